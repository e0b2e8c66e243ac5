"""What a teacher predicts → a table for `rppg_tf.train --teacher`.

  python -m tools.teacher_predictions --teacher=build/demo/teacher \
    --data_dir=build/demo/data --output=build/demo/teacher.npz

A student taught by the table is the student taught by the model itself, but
needs only the file.
"""

import pathlib

from absl import flags

from rppg_tf.data import dataset
from rppg_tf.distillation import table as teacher_table
from rppg_tf.distillation import teacher
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError

_TEACHER = flags.DEFINE_string(
  'teacher',
  None,
  'Run directory, .keras, .h5 or .tflite, as --teacher of rppg_tf.train.',
  required=True,
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Folder given to `tfds build --data_dir`.', required=True
)
_OUTPUT = flags.DEFINE_string('output', None, 'The table, .npz.', required=True)
_ROI_GEOMETRY = flags.DEFINE_enum(
  'roi_geometry',
  'inner',
  ('inner', 'original'),
  'Which dataset a .keras, .h5 or .tflite file reads; a run reads its own.',
)


def main() -> None:
  """Predicts for every recording of the data and writes the table."""
  output = pathlib.Path(_OUTPUT.value)
  if output.suffix != '.npz':
    raise InputError(f'{output}: expected a name that ends in .npz')
  by_split = dataset.subjects_by_split(_DATA_DIR.value, _ROI_GEOMETRY.value)
  subjects = sorted(name for names in by_split.values() for name in names)
  table = teacher.predictions(
    pathlib.Path(_TEACHER.value),
    _DATA_DIR.value,
    _ROI_GEOMETRY.value,
    subjects,
  )
  num_rows = teacher_table.write(output, table)
  print(f'{output}: {num_rows:,} rows of {len(table.tracks)} recordings')


if __name__ == '__main__':
  run(main)
