"""Time and memory of build and training at 1, 4 and 16 times the recordings.

  python -m tools.benchmark_scale --recordings_dir=build/demo/recordings \
    --output=build/bench/scale.json

The same recordings again and again, under other subjects' numbers: nothing
is rendered or copied. Linear time and flat memory are to be shown; CPU time
says more than time on a machine that works on something else too. Each
command is a process of its own (docs/scale.md).
"""

import pathlib
import tempfile

from absl import flags

from rppg_tf import files
from rppg_tf.data import ubfc
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from tools.benchmarks import scale

_RECORDINGS_DIR = flags.DEFINE_string(
  'recordings_dir',
  None,
  "Five or more recordings of 11 s or more in the layout of UBFC's DATASET_2; "
  'the first five are used.',
  required=True,
)
_OUTPUT = flags.DEFINE_string(
  'output', None, 'Where to write the figures as JSON.', required=True
)


def main() -> None:
  """Measures, writes, prints."""
  output = pathlib.Path(_OUTPUT.value)
  if not output.parent.is_dir():
    raise InputError(f'--output={output}: no folder {output.parent}')
  found = ubfc.find_recordings(_RECORDINGS_DIR.value)
  num_sources = scale.NUM_SOURCES
  if len(found) < num_sources:
    raise InputError(
      f'--recordings_dir={_RECORDINGS_DIR.value}: {num_sources} recordings '
      f'are needed, {len(found)} are there'
    )
  sources = [folder for _, folder in found[:num_sources]]
  figures: dict[str, list[scale.Figures]] = {}
  for factor in scale.FACTORS:
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
      for name, taken in scale.measure(
        sources, factor, pathlib.Path(folder)
      ).items():
        figures.setdefault(name, []).append(taken)
  files.write_json(
    output,
    {
      name: [taken._asdict() for taken in of_factors]
      for name, of_factors in figures.items()
    },
  )
  print(scale.table(figures))
  print(f'written: {output}')


if __name__ == '__main__':
  run(main)
