"""What TensorFlow's own switches are worth in training, and what it waits for.

  python -m tools.benchmark_steps --data_dir=build/demo/data

Trains CNN and pulse head for a few steps on clips of two recordings, in a
process of its own each: as rppg_tf.train does, with memory given back to Linux
(rppg_tf/keras_compat.py), with oneDNN and without (TensorFlow's default is the
processor's), with XLA, in bfloat16. TensorFlow's profiler says how long the
steps of the first wait for their input. Prints a table, and how near the
convolutions come to what these cores can multiply at all.
"""

import pathlib

from absl import flags

from rppg_tf import contract
from rppg_tf.entry_point import run
from rppg_tf.model import spatial_cnn
from tools import markdown
from tools.benchmarks import process, steps

_DATA_DIR = flags.DEFINE_string(
  'data_dir',
  None,
  'Folder given to `tfds build --data_dir`; its first two recordings are read.',
  required=True,
)

# Function of benchmarks.steps, and variables that its process starts with.
_FORMS = {
  'as rppg_tf.train': ('float32', {}),
  'memory given back': ('float32', {'TF_CPU_ALLOCATOR_USE_BFC': 'false'}),
  'with oneDNN': ('float32', {'TF_ENABLE_ONEDNN_OPTS': '1'}),
  'without oneDNN': ('float32', {'TF_ENABLE_ONEDNN_OPTS': '0'}),
  'XLA': ('xla', {}),
  'bfloat16': ('bfloat16', {}),
}


def main() -> None:
  """Measures and prints."""
  data_dir = pathlib.Path(_DATA_DIR.value)
  gflop = contract.NUM_ROIS * steps.step_gflop(spatial_cnn.build_spatial_cnn())
  rows, fastest = [], 0.0
  for name, (function, environment) in _FORMS.items():
    figures, done = process.measure(
      'tools.benchmarks.steps', function, data_dir, environment=environment
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
  figures, _ = process.measure('tools.benchmarks.steps', 'profiled', data_dir)
  print(
    f'\nof {figures["steps_s"]:.1f} s in {figures["steps"]} steps, '
    f'{1e3 * figures["waits_s"]:.2f} ms were spent waiting for input'
  )
  figures, _ = process.measure('tools.benchmarks.steps', 'product')
  print(
    f'convolutions: {1e3 * gflop:.1f} MFLOP a frame, forward and backward, '
    f'{gflop * fastest:.1f} GFLOP/s at most; a matrix product of side '
    f'{steps.MATRIX_SIDE}: {figures["gflop_per_s"]:.1f} GFLOP/s'
  )


if __name__ == '__main__':
  run(main)
