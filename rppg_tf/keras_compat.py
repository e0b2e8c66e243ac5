"""The only import of TensorFlow, and of Keras 2 (tf_keras), which tfmot needs.

tensorflow-model-optimization sets TF_USE_LEGACY_KERAS itself when imported;
set here first, so that the order of imports elsewhere does not matter.

TensorFlow is told to keep the memory that it frees. malloc gives large blocks
back to Linux, which clears their pages again for the next step of a training:
a quarter of its CPU time (docs/results.md, Speed).
"""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

os.environ['TF_USE_LEGACY_KERAS'] = '1'
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
# Read when TensorFlow first computes.
os.environ.setdefault('TF_CPU_ALLOCATOR_USE_BFC', 'true')

# Lines on processors and drivers that TensorFlow 2.21 writes before its log
# level holds.
_START_LINES = re.compile(
  rb'(WARNING: All log messages before absl::InitializeLog|'
  rb'[IWE]\d{4} .*(port|cudart_stub|cuda_platform|cpu_feature_guard)\.cc:|'
  rb'To enable the following instructions:)'
)


@contextlib.contextmanager
def without_start_lines() -> Iterator[None]:
  """Keeps _START_LINES from stderr; everything else comes when it ends."""
  try:
    stderr = os.dup(2)
  except OSError:  # closed
    yield
    return
  with tempfile.TemporaryFile() as held:
    if sys.stderr is not None:
      sys.stderr.flush()
    os.dup2(held.fileno(), 2)
    try:
      yield
    finally:
      os.dup2(stderr, 2)
      os.close(stderr)
      held.seek(0)
      for line in held:
        if not _START_LINES.match(line):
          os.write(2, line)


with without_start_lines():
  import tensorflow as tf
  import tf_keras as keras

  tf.config.list_physical_devices()  # looks for drivers

__all__ = ['keras', 'tf']
