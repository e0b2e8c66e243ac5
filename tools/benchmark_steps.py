"""What TensorFlow's own switches are worth in training, and what it waits for.

  python -m tools.benchmark_steps --data_dir=build/demo/data

Trains CNN and pulse head for a few steps on clips of two recordings, in a
process of its own each: as rppg_tf.train does, with memory given back to Linux
(rppg_tf/keras_compat.py), with oneDNN and without (TensorFlow's default is the
processor's), with XLA, in bfloat16. TensorFlow's profiler says how long the
steps of the first wait for their input. Prints a table, and how near the
convolutions come to what these cores can multiply at all.
"""

import math
import pathlib
import tempfile
import time

from absl import flags

from rppg_tf import contract
from rppg_tf.data.clips import ClipShape
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from rppg_tf.keras_compat import keras, tf
from rppg_tf.model import spatial_cnn
from tools import markdown
from tools.benchmarks import process, training

_DATA_DIR = flags.DEFINE_string(
  'data_dir',
  None,
  'Folder given to `tfds build --data_dir`; its first two recordings are read.',
  required=True,
)

# Function of this module, and variables that its process starts with.
_FORMS = {
  'as rppg_tf.train': ('float32', {}),
  'memory given back': ('float32', {'TF_CPU_ALLOCATOR_USE_BFC': 'false'}),
  'with oneDNN': ('float32', {'TF_ENABLE_ONEDNN_OPTS': '1'}),
  'without oneDNN': ('float32', {'TF_ENABLE_ONEDNN_OPTS': '0'}),
  'XLA': ('xla', {}),
  'bfloat16': ('bfloat16', {}),
}
# In which the profiler books the time from asking for a batch to having it.
_WAIT = 'IteratorGetNextOp::DoCompute'
# Of the matrices whose product shows what the cores can do.
_MATRIX_SIDE = 2048
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


def main() -> None:
  """Measures and prints."""
  data_dir = pathlib.Path(_DATA_DIR.value)
  gflop = contract.NUM_ROIS * step_gflop(spatial_cnn.build_spatial_cnn())
  rows, fastest = [], 0.0
  for name, (function, environment) in _FORMS.items():
    figures, done = process.measure(
      'tools.benchmark_steps', function, data_dir, environment=environment
    )
    rows.append(
      [
        name,
        f'{figures["frames_per_s"]:.0f}',
        f'{figures["cpu_ms_per_frame"]:.2f}',
        f'{done.peak_memory_mb:,.0f}',
      ]
    )
    fastest = max(fastest, figures['frames_per_s'])
  print(
    markdown.table(['training', 'frames/s', 'CPU ms a frame', 'peak MB'], rows)
  )
  figures, _ = process.measure('tools.benchmark_steps', 'profiled', data_dir)
  print(
    f'\nof {figures["steps_s"]:.1f} s in {figures["steps"]} steps, '
    f'{1e3 * figures["waits_s"]:.2f} ms were spent waiting for input'
  )
  figures, _ = process.measure('tools.benchmark_steps', 'product')
  print(
    f'convolutions: {1e3 * gflop:.1f} MFLOP a frame, forward and backward, '
    f'{gflop * fastest:.1f} GFLOP/s at most; a matrix product of side '
    f'{_MATRIX_SIDE}: {figures["gflop_per_s"]:.1f} GFLOP/s'
  )


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


# --- Each in a process of its own -------------------------------------------


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
  side = _MATRIX_SIDE
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


if __name__ == '__main__':
  run(main)
