"""Cross-validation by subject: a training for each fold."""

import dataclasses

from rppg_tf import run_directory
from rppg_tf.training.config import TrainConfig
from rppg_tf.training.loop import train


def train_folds(config: TrainConfig) -> None:
  """Trains config.num_folds runs, of which each subject is tested by one.

  They go to config.run_dir/fold0 and so on; a run that was killed resumes, a
  finished one is kept. `fold` of the config does not count.

  Raises:
    InputError: the data do not suffice, or a run is another training's.
  """
  run_dirs = run_directory.fold_dirs(config.run_dir, config.num_folds)
  for fold, run_dir in enumerate(run_dirs):
    print(f'training {run_dir}', flush=True)
    train(dataclasses.replace(config, run_dir=str(run_dir), fold=fold))
