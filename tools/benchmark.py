"""How fast, how small: data preparation, training, prediction.

  python -m tools.benchmark --output=build/bench/benchmark.json

Every measurement runs in a process of its own, so that its peak memory is
its own. Beside ours stands the plain way: cascade on every whole frame,
loaded anew for each, windows as float32; a trainer that encodes all 24 ROI
frames of every window. Ratios are of one run. Takes some minutes, many more
on a machine that works on something else too.
"""

import pathlib

from absl import flags

from rppg_tf import files
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from tools.benchmarks import measurements, targets

_OUTPUT = flags.DEFINE_string(
  'output', None, 'Where to write the figures as JSON.', required=True
)
_RECORDINGS_DIR = flags.DEFINE_string(
  'recordings_dir',
  None,
  "Recordings in the layout of UBFC's DATASET_2, of 12 s or more; default: "
  'four of 20 s, rendered once beside --output.',
)


def main() -> None:
  """Measures, writes, prints."""
  output = pathlib.Path(_OUTPUT.value)
  if not output.parent.is_dir():
    raise InputError(f'--output={output}: no folder {output.parent}')
  if _RECORDINGS_DIR.value is None:
    recordings_dir = measurements.rendered(
      output.parent / 'benchmark_recordings'
    )
  else:
    recordings_dir = pathlib.Path(_RECORDINGS_DIR.value)
  figures = measurements.measure(recordings_dir)
  files.write_json(output, figures)
  print(targets.table(figures))
  print(f'written: {output}')


if __name__ == '__main__':
  run(main)
