"""Is quantisation-aware training worth it? Float, PTQ and QAT side by side.

  python -m tools.compare_qat_ptq --run_dir=build/demo/run \
    --data_dir=build/demo/data --output_dir=build/demo/quantisation

On the 10 s windows of the run's test subjects, none of whom any variant has
seen: errors, paired differences and how the pulse goes with the PPG; noise by
layer; codes that features use; PTQ by size and draw of the calibration set;
raw pixels against background-normalised ones. PTQ is calibrated on 100 ROI
frames of training subjects, as many of each 10 BPM of heart rate, and keeps
the float model's head; QAT is what tools.export_tflite left in the run, with
the head that was fine-tuned along.

Prints tables, the verdict last; writes comparison.json, ptq.tflite and plots
to --output_dir. Without --run_dir: the model that ships with the package.
"""

import pathlib

from absl import flags

from rppg_tf import run_directory
from rppg_tf.entry_point import run
from tools.quantisation.comparison import compare

_RUN_DIR = flags.DEFINE_string(
  'run_dir',
  None,
  'Run of rppg_tf.train, exported; default: the model that ships.',
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'The --data_dir that it was trained on.', required=True
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', None, 'Folder for tables and plots.', required=True
)
_RAW_RUN_DIR = flags.DEFINE_string(
  'raw_run_dir',
  None,
  'Run trained on the same data with --background=none, to compare with.',
)
_SWEEP_SEEDS = flags.DEFINE_integer(
  'sweep_seeds',
  3,
  'Calibration sets of each size and draw; 0: no sweep.',
  lower_bound=0,
)


def main() -> None:
  """Compares, writes, prints."""
  raw_run_dir = _RAW_RUN_DIR.value
  compare(
    pathlib.Path(_RUN_DIR.value or run_directory.PRETRAINED),
    _DATA_DIR.value,
    pathlib.Path(_OUTPUT_DIR.value),
    pathlib.Path(raw_run_dir) if raw_run_dir else None,
    _SWEEP_SEEDS.value,
  )


if __name__ == '__main__':
  run(main)
