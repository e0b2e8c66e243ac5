"""Run directories of networks that nobody trained, for the tests."""

import pathlib
from collections.abc import Sequence

from rppg_tf import files, run_directory
from rppg_tf.keras_compat import keras
from rppg_tf.model import network
from rppg_tf.model.spatial_cnn import build_spatial_cnn


def write(
  run_dir: pathlib.Path,
  width: int = 1,
  learnt_from: Sequence[str] = ('subject1001',),
) -> pathlib.Path:
  """Writes what a pulse-head run would hold; returns its folder."""
  flags = {
    'head': 'pulse',
    'width': width,
    'background': 'normalise',
    'roi_geometry': 'inner',
  }
  split = {'train': list(learnt_from), 'validation': [], 'test': []}
  keras.utils.set_random_seed(3)
  parts = {
    run_directory.SPATIAL_WEIGHTS: build_spatial_cnn(width=width),
    run_directory.HEAD_WEIGHTS: network.build_head('pulse', width=width),
  }
  run_dir.mkdir()
  files.write_json(run_dir / run_directory.FLAGS, flags)
  files.write_json(run_dir / run_directory.SPLIT, split)
  for name, part in parts.items():
    part.save_weights(run_dir / name)
  return run_dir
