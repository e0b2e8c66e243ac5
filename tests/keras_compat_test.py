"""Memory that TensorFlow has freed is there again, its pages with it."""

import os
import subprocess
import sys

import pytest

from tests.support import commands

# How many pages Linux has to give for a tensor like one that was freed.
_SCRIPT = """
import resource

from rppg_tf.keras_compat import keras

def fill():
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  keras.backend.ones((25, 1_000_000))
  return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

fill()
print(fill())
"""


@pytest.mark.parametrize(
  ('setting', 'least', 'most'), [(None, 0, 20), ('false', 30, 50_000)]
)
def test_a_tensor_like_one_that_was_freed_costs_no_page(setting, least, most):
  environ = dict(os.environ)
  environ.pop('TF_CPU_ALLOCATOR_USE_BFC', None)
  if setting is not None:
    environ['TF_CPU_ALLOCATOR_USE_BFC'] = setting
  done = subprocess.run(
    [sys.executable, '-c', _SCRIPT],
    cwd=commands.ROOT,
    env=environ,
    capture_output=True,
    text=True,
    check=True,
  )
  assert least <= int(done.stdout) <= most
