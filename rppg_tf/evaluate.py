"""Errors of a run in BPM, beside what a user would pick instead.

  python -m rppg_tf.evaluate --run_dir=build/demo/run \
    --data_dir=build/demo/data --recordings_dir=build/demo/recordings

Over 10 s windows every 1 s of the test subjects: every variant of the model
that the run directory holds (`model` is float, `int8` has the INT8 CNN,
`int8_c` that and the C head), the unsupervised methods POS, CHROM and GREEN on
the mid face (`pos`, `chrom`, `green`) and on the ROIs (`pos_rois`, ...), and
the mean heart rate of the training subjects (`train_mean`).

Writes evaluation.json, windows.csv and provenance.json (which recordings were
rendered), and from the validation subjects confidence.json: the confidence
below which estimates are rejected.

Without --run_dir: the model that ships with the package, on all of the data.

Cross-validation by subject, of which every subject is tested once:

  python -m rppg_tf.evaluate --folds=5 --run_dir=R --data_dir=D \
    --train_flagfile=F

trains R/fold0 ... R/fold4 first (a killed one is resumed, a finished one is
kept), then pools the windows of all of them. --split_by=window evaluates, or
trains with --train_flagfile first, a run of the leaky protocol
(evaluation/window_split.py).

From Python: `evaluation.evaluate(evaluation.EvaluateConfig(data_dir=...,
run_dir=...))`, which trains nothing.
"""

import contextlib
import sys

from absl import flags

from rppg_tf import evaluation, run_directory
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from rppg_tf.evaluation import config as evaluation_config

_RUN_DIR = flags.DEFINE_string(
  'run_dir',
  None,
  'Run of rppg_tf.train; default: the model that ships with the package.',
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Folder given to `tfds build --data_dir`.', required=True
)
_SPLIT = flags.DEFINE_enum(
  'split',
  None,
  evaluation_config.SPLITS,
  'Which subjects; all: every one in --data_dir, whatever the run was trained '
  'on. Default: test; all without --run_dir.',
)
_JSON = flags.DEFINE_string(
  'json',
  None,
  'Where to write the errors, windows.csv and provenance.json beside it; '
  'default RUN_DIR/evaluation.json. Needed without --run_dir.',
)
_RECORDINGS_DIR = flags.DEFINE_string(
  'recordings_dir',
  None,
  'Recordings by tools.render_recordings of a checkout, its --output_dir: '
  'adds tables by motion and by amplitude.',
)

_FOLDS = flags.DEFINE_integer(
  'folds',
  0,
  'Cross-validation by subject: train this many runs, RUN_DIR/fold0 and so '
  'on, and pool their test windows; 0: evaluate RUN_DIR itself.',
  lower_bound=0,
)
_TRAIN_FLAGFILE = flags.DEFINE_string(
  'train_flagfile',
  None,
  'Flags of rppg_tf.train to train with first, for --folds and '
  '--split_by=window; default for the latter: RUN_DIR is there.',
)
_SPLIT_BY = flags.DEFINE_enum(
  'split_by',
  'subject',
  evaluation_config.PROTOCOLS,
  'window: the leaky protocol, which tests on people that were trained on; '
  'only to make a number of that kind again.',
)


def main() -> None:
  """Trains if it is to, evaluates, prints the tables."""
  leaky = _SPLIT_BY.value == 'window'
  if _TRAIN_FLAGFILE.value and not (_FOLDS.value or leaky):
    raise InputError(
      '--train_flagfile is for --folds and --split_by=window; run rppg_tf.train'
    )
  config = evaluation.EvaluateConfig(
    data_dir=_DATA_DIR.value,
    run_dir=_RUN_DIR.value,
    split=_SPLIT.value,
    json=_JSON.value,
    recordings_dir=_RECORDINGS_DIR.value,
    folds=_FOLDS.value,
    split_by=_SPLIT_BY.value,
  )
  if config.json_path is None:
    raise InputError(
      'without --run_dir, --json must say where the errors are to be written'
    )
  if _FOLDS.value and not _TRAIN_FLAGFILE.value:
    raise InputError('--folds: needs --train_flagfile, for rppg_tf.train')
  if _TRAIN_FLAGFILE.value:
    _train(config)
  print(evaluation.evaluate(config).text)
  path = config.json_path
  print(f'written: {path}, {path.with_name(run_directory.WINDOWS)}')


def _train(config: evaluation.EvaluateConfig) -> None:
  """Trains what is then evaluated, or resumes it; tells of it on stderr."""
  from rppg_tf import training

  train_config = training.TrainConfig.from_flagfile(
    _TRAIN_FLAGFILE.value,
    data_dir=config.data_dir,
    run_dir=config.run_dir,
    num_folds=config.folds,
    split_by=config.split_by,
  )
  train = training.train_folds if config.folds else training.train
  with contextlib.redirect_stdout(sys.stderr):
    train(train_config)


if __name__ == '__main__':
  run(main)
