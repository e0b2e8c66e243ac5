"""A run directory: everything that one training made.

flags.json                what it was trained with (rebuilds the model)
versions.json             packages it was trained with
split.json                subjects of train, validation, test
history.csv head_history.csv tensorboard/ backup/   losses; logs; resumes
spatial_cnn.weights.h5 head.weights.h5       the best float model
spatial_int8.tflite int8_head.weights.h5     the INT8 model (export_tflite)
temporal_head.c temporal_head.h temporal_head.npz   its head in C, as a table
metrics.json evaluation.json windows.csv     accuracy (evaluate)
provenance.json           where the evaluated recordings come from (evaluate)
confidence.json           below it an estimate is rejected (evaluate)
"""

import importlib.metadata
import os
import pathlib
import platform
from typing import Any

from rppg_tf import files
from rppg_tf.errors import InputError
from rppg_tf.signals import background

# The model that ships; used where no run directory is given.
PRETRAINED = pathlib.Path(__file__).with_name('pretrained')

FLAGS = 'flags.json'
VERSIONS = 'versions.json'
SPLIT = 'split.json'
HISTORY = 'history.csv'
HEAD_HISTORY = 'head_history.csv'
METRICS = 'metrics.json'
SPATIAL_WEIGHTS = 'spatial_cnn.weights.h5'
HEAD_WEIGHTS = 'head.weights.h5'
INT8_HEAD_WEIGHTS = 'int8_head.weights.h5'
INT8_MODEL = 'spatial_int8.tflite'
HEAD_SOURCE = 'temporal_head.c'
HEAD_HEADER = 'temporal_head.h'
HEAD_TABLE = 'temporal_head.npz'
CONFIDENCE = 'confidence.json'
EVALUATION = 'evaluation.json'
WINDOWS = 'windows.csv'
PROVENANCE = 'provenance.json'

# The flags that decide what the weights mean.
MODEL_FLAGS = (
  'head',
  'width',
  'window',
  'frame_stride',
  'background',
  'roi_geometry',
)
# Of runs from before there were such flags, and of imported ones.
_DEFAULT_FLAGS = {'width': 1}

_PACKAGES = (
  'tensorflow',
  'tf_keras',
  'tensorflow-model-optimization',
  'tensorflow-datasets',
  'numpy',
  'opencv-python',
)


def read_flags(run_dir: pathlib.Path) -> dict[str, Any]:
  """Returns the flags of a run."""
  return _DEFAULT_FLAGS | files.read_json(run_dir / FLAGS)


def fold_dirs(run_dir: str | os.PathLike, num_folds: int) -> list[pathlib.Path]:
  """Returns the runs of a cross-validation, in the order of their folds."""
  return [pathlib.Path(run_dir) / f'fold{fold}' for fold in range(num_folds)]


def check_same(
  run_dir: pathlib.Path, flags: dict[str, Any], split: dict[str, list[str]]
) -> None:
  """Refuses to go on with a run of another model or of other subjects."""
  if not (run_dir / FLAGS).exists():
    return
  before = read_flags(run_dir)
  for name in MODEL_FLAGS:
    if before[name] != flags[name]:
      raise InputError(
        f'{run_dir}: holds a run with --{name}={before[name]}, not '
        f'{flags[name]}; give another --run_dir'
      )
  if files.read_json(run_dir / SPLIT) != split:
    raise InputError(
      f'{run_dir}: holds a run on other subjects; give another --run_dir'
    )


def begin(
  run_dir: pathlib.Path, flags: dict[str, Any], split: dict[str, list[str]]
) -> None:
  """Makes the folder, and writes what is trained, on whom and by what."""
  versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
  versions['python'] = platform.python_version()
  try:
    run_dir.mkdir(parents=True, exist_ok=True)
    files.write_json(run_dir / FLAGS, flags)
    files.write_json(run_dir / SPLIT, split)
    files.write_json(run_dir / VERSIONS, versions)
  except OSError as error:
    raise InputError(
      f'{run_dir}: cannot be written ({error.strerror}); give another --run_dir'
    ) from None


def input_quantisation(run_dir: pathlib.Path) -> tuple[float, int]:
  """Returns (scale, zero_point) of the run's input codes."""
  return background.input_quantisation(read_flags(run_dir)['background'])


def describe_parameters(parts: dict[str, int]) -> str:
  """Returns a line with the number of parameters by part and in all."""
  listed = ', '.join(f'{name} {count:,}' for name, count in parts.items())
  return f'parameters: {listed}, total {sum(parts.values()):,}'


def split_by(run_dir: pathlib.Path) -> str:
  """Returns how a run's data were split: by `subject` or by `window`."""
  return read_flags(run_dir).get('split_by', 'subject')
