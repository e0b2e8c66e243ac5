"""Backends: quantised frames in, pulse wave and estimates out."""

import concurrent.futures
import pathlib
from typing import Protocol

import numpy as np

from rppg_tf import run_directory
from rppg_tf.errors import InputError
from rppg_tf.inference.c_head import CompiledHead, HeadStream
from rppg_tf.inference.c_library import NoCompilerError
from rppg_tf.inference.estimates import HeadRun
from rppg_tf.inference.int8_cnn import Int8SpatialCnn
from rppg_tf.inference.numpy_head import NumpyHead, NumpyHeadStream
from rppg_tf.signals import chrominance

BACKENDS = ('int8', 'keras')


class Backend(Protocol):
  """Codes of frames as they come → pulse and estimates every second."""

  def push(
    self, codes: np.ndarray, colour: np.ndarray, timestamp_s: np.ndarray
  ) -> HeadRun:
    """Takes codes, colour and elapsed_s of a Batch."""
    ...


class Int8Stream:
  """INT8 CNN by LiteRT and the emitted head: what the board runs.

  The head is its C, compiled here; without a C compiler NumPy computes it.
  """

  def __init__(self, run_dir: pathlib.Path):
    """Loads the CNN; begins to compile the head, as the first frames come."""
    # One thread: the other core decodes and cuts.
    self._cnn = Int8SpatialCnn(
      run_dir / run_directory.INT8_MODEL, num_threads=1
    )
    compiler = concurrent.futures.ThreadPoolExecutor(1)
    self._head = compiler.submit(_load_head, run_dir, self._cnn)
    compiler.shutdown(wait=False)

  def push(
    self, codes: np.ndarray, colour: np.ndarray, timestamp_s: np.ndarray
  ) -> HeadRun:
    """Takes the next frames; see Backend.

    Raises:
      InputError: the head could not be compiled, or does not fit the CNN.
    """
    features = chrominance.append(self._cnn.frame_features(codes), colour)
    return self._head.result().push(features, timestamp_s)


def _load_head(
  run_dir: pathlib.Path, cnn: Int8SpatialCnn
) -> HeadStream | NumpyHeadStream:
  try:
    head = CompiledHead(run_dir)
  except NoCompilerError:
    head = NumpyHead(run_dir)
  emitted_for = (head.input_scale, head.input_zero_point)
  if emitted_for != (np.float32(cnn.output_scale), cnn.output_zero_point):
    raise InputError(
      f'{run_dir}: its temporal head was emitted for another '
      f'{run_directory.INT8_MODEL}; run tools.emit_temporal_head of a '
      'checkout again'
    )
  if not head.has_pulse:
    raise InputError(_no_confidence(run_dir))
  return head.stream()


def load_backend(name: str, run_dir: pathlib.Path) -> Backend:
  """Loads one of BACKENDS.

  Raises:
    InputError: something of the run is missing, or it is of the window head;
      no such backend, or its packages are not installed.
  """
  if name not in BACKENDS:
    raise InputError(f'backend: expected one of {BACKENDS}, got {name!r}')
  if run_directory.read_flags(run_dir)['head'] != 'pulse':
    raise InputError(_no_confidence(run_dir))
  if name == 'int8':
    return Int8Stream(run_dir)
  # TensorFlow takes seconds to load.
  try:
    from rppg_tf.inference import keras_stream
    from rppg_tf.model import loading
  except ModuleNotFoundError as error:
    raise InputError(
      f'the backend keras needs {error.name}, which is not installed: pip '
      "install 'rppg_tf[train]'"
    ) from None

  return keras_stream.KerasStream(
    *loading.load_float(run_dir),
    run_directory.input_quantisation(run_dir),
  )


def _no_confidence(run_dir: pathlib.Path) -> str:
  return (
    f'{run_dir}: its window head knows no confidence; give a run of '
    '--head=pulse'
  )
