"""Training steps under TensorFlow's own switches; each function in a process.

`process.measure` calls them (tools/benchmark_steps).
"""

import math
import pathlib
import tempfile
import time

from rppg_tf.data.clips import ClipShape
from rppg_tf.errors import InputError
from rppg_tf.keras_compat import keras, tf
from rppg_tf.model import spatial_cnn
from tools.benchmarks import training

# In which the profiler books the time from asking for a batch to having it.
_WAIT = 'IteratorGetNextOp::DoCompute'
# Of the matrices whose product shows what the cores can do.
MATRIX_SIDE = 2048
_NUM_PRODUCTS = 10
_NUM_FRAMES = training.CLIPS_PER_BATCH * ClipShape().num_frames


class _Profile(keras.callbacks.Callback):
  """Profiles the steps after the first few."""

  def __init__(self, folder: str):
    super().__init__()
    self._folder = folder

  def on_train_batch_begin(self, batch, logs=None):
    """Keras calls this before every step."""
    del logs
    if batch == training.WARM_UP_STEPS:
      tf.profiler.experimental.start(self._folder)

  def on_train_end(self, logs=None):
    """Keras calls this after the last step."""
    del logs
    tf.profiler.experimental.stop()


def step_gflop(cnn: keras.Model) -> float:
  """Operations of a CNN's convolutions for one image in a training step.

  Output, gradient by the kernel, and by the input except of the first layer.

  Args:
    cnn: of build_spatial_cnn.

  Returns:
    1e9 floating-point operations; a multiply-add is two.
  """
  flop = 0
  for layer in cnn.layers:
    if isinstance(layer, keras.layers.Conv2D):
      passes = 3 if flop else 2
      pixels = math.prod(layer.output_shape[1:3])
      flop += passes * 2 * pixels * math.prod(layer.kernel.shape)
  return 1e-9 * flop


def float32(data_dir: pathlib.Path) -> dict:
  """Steps of CNN and pulse head."""
  return _steps(data_dir, spatial_cnn.build_spatial_cnn())


def xla(data_dir: pathlib.Path) -> dict:
  """The same with whole steps compiled by XLA."""
  return _steps(data_dir, spatial_cnn.build_spatial_cnn(), jit_compile=True)


def bfloat16(data_dir: pathlib.Path) -> dict:
  """The same with the CNN computed in bfloat16, its weights in float32."""
  keras.mixed_precision.set_global_policy('mixed_bfloat16')
  cnn = spatial_cnn.build_spatial_cnn()
  keras.mixed_precision.set_global_policy('float32')
  return _steps(data_dir, cnn)


def profiled(data_dir: pathlib.Path) -> dict:
  """Steps as of `float32`, and how long they wait for their input."""
  with tempfile.TemporaryDirectory() as folder:
    figures = _steps(
      data_dir, spatial_cnn.build_spatial_cnn(), _Profile(folder)
    )
    waits_s = _waits_s(pathlib.Path(folder))
  num = training.NUM_STEPS - training.WARM_UP_STEPS
  steps_s = num * _NUM_FRAMES / figures['frames_per_s']
  return {'steps': num, 'steps_s': steps_s, 'waits_s': waits_s}


def product() -> dict:
  """Products of two large float32 matrices on all cores."""
  side = MATRIX_SIDE
  left, right = tf.random.normal((2, side, side))
  tf.linalg.matmul(left, right)
  start_s = time.perf_counter()
  for _ in range(_NUM_PRODUCTS):
    last = tf.linalg.matmul(left, right)
  last.numpy()
  took_s = time.perf_counter() - start_s
  return {'gflop_per_s': _NUM_PRODUCTS * 2e-9 * side**3 / took_s}


def _steps(
  data_dir: pathlib.Path,
  cnn: keras.Model,
  *callbacks: keras.callbacks.Callback,
  jit_compile: bool = False,
) -> dict:
  joined, batches = training.clip_network(
    data_dir, cnn, 'pulse', 'normalise', training.CLIPS_PER_BATCH
  )
  step_s, cpu_s = training.keras_step_s(
    joined, batches, *callbacks, jit_compile=jit_compile
  )
  return {
    'frames_per_s': _NUM_FRAMES / step_s,
    'cpu_ms_per_frame': 1e3 * cpu_s / _NUM_FRAMES,
  }


def _waits_s(folder: pathlib.Path) -> float:
  """Returns the time in which a batch was asked for and not there yet."""
  # Not a public module; there is no other reader without one more package.
  from tensorflow.tsl.profiler.protobuf import xplane_pb2

  waits_ps, num_waits = 0, 0
  for path in folder.rglob('*.xplane.pb'):
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    for plane in space.planes:
      names = {key: one.name for key, one in plane.event_metadata.items()}
      for line in plane.lines:
        for event in line.events:
          if names[event.metadata_id] == _WAIT:
            waits_ps += event.duration_ps
            num_waits += 1
  if not num_waits:
    raise InputError(f'the profile has no {_WAIT}: another TensorFlow?')
  return waits_ps * 1e-12
