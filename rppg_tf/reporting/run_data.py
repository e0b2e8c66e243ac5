"""What a run directory says, read and checked for its report.

NumPy only. Nothing here draws or writes: report.py does.
"""

import csv
import dataclasses
import pathlib
import re
from typing import Any

import numpy as np

from rppg_tf import files, run_directory
from rppg_tf.data import provenance
from rppg_tf.errors import InputError

# Variants of a model as `rppg_tf.evaluate` names them, nearest to the board
# last; then what they are measured against.
MODEL_VARIANTS = ('model', 'int8', 'int8_c')
VARIANTS = (*MODEL_VARIANTS, 'pos', 'chrom', 'green', 'train_mean')
TRAINING_MAE = 'heart_rate_bpm_mae_bpm'

_TRAIN = '`python -m rppg_tf.train`'
_MADE_BY = {
  run_directory.INT8_MODEL: '`python -m tools.export_tflite` in a checkout',
  run_directory.EVALUATION: '`python -m rppg_tf.evaluate`',
  run_directory.WINDOWS: '`python -m rppg_tf.evaluate`',
  run_directory.PROVENANCE: '`python -m rppg_tf.evaluate`',
}
# CSVLogger writes NA where an epoch has no such value.
_NO_VALUE = ('', 'NA')


@dataclasses.dataclass(frozen=True)
class Run:
  """All that the report is made of.

  Attributes:
    history: by column of history.csv, float64 [epochs].
    evaluation: by variant, its errors and those per subject.
    subject: str [windows], whose window it is.
    windows: by column of windows.csv but `subject`, float64 [windows].
    metrics: metrics.json.
    flags: flags.json.
    split: subjects of train, validation, test.
    versions: by package.
    origins: where recordings come from, by subject (data.provenance).
    tflite_bytes: size of the INT8 model; None if it was not exported.
  """

  history: dict[str, np.ndarray]
  evaluation: dict[str, dict[str, Any]]
  subject: np.ndarray
  windows: dict[str, np.ndarray]
  metrics: dict[str, Any]
  flags: dict[str, Any]
  split: dict[str, list[str]]
  versions: dict[str, str]
  origins: dict[str, str]
  tflite_bytes: int | None

  @property
  def variants(self) -> list[str]:
    """The variants of VARIANTS that were evaluated."""
    return [variant for variant in VARIANTS if variant in self.evaluation]

  @property
  def variant(self) -> str:
    """The variant that is nearest to what the board runs."""
    return [name for name in self.variants if name in MODEL_VARIANTS][-1]

  @property
  def subjects(self) -> list[str]:
    """Evaluated subjects, subject9 before subject10."""
    return sorted(set(self.subject.tolist()), key=_natural_order)

  @property
  def num_rendered(self) -> int:
    """How many of the subjects are known to be rendered."""
    origins = [self.origins.get(name) for name in self.subjects]
    return origins.count(provenance.RENDERED)


def load(run_dir: pathlib.Path) -> Run:
  """Reads a run directory.

  Args:
    run_dir: where train and evaluate have written.

  Raises:
    InputError: a file is missing, damaged, or of another evaluation.
  """
  if not run_dir.is_dir():
    raise InputError(
      f'{run_dir}: no such folder; give --run_dir a run of rppg_tf.train'
    )
  # The JSON files of a run, in the order in which they come about.
  flags, versions, split, metrics, evaluation = (
    _read_object(run_dir, name, members)
    for name, members in {
      run_directory.FLAGS: (),
      run_directory.VERSIONS: (),
      run_directory.SPLIT: (),
      run_directory.METRICS: (
        'parameters',
        'train_mean_bpm',
        'validation_mae_bpm',
      ),
      run_directory.EVALUATION: ('model', 'train_mean'),
    }.items()
  )
  subject, windows = _read_windows(_existing(run_dir, run_directory.WINDOWS))
  _check_same_evaluation(run_dir, evaluation, windows)
  return Run(
    history=_read_history(_existing(run_dir, run_directory.HISTORY)),
    evaluation=evaluation,
    subject=subject,
    windows=windows,
    metrics=metrics,
    flags=flags,
    split=split,
    versions=versions,
    origins=_origins(run_dir),
    tflite_bytes=_tflite_bytes(run_dir, evaluation),
  )


def summary(run: Run) -> dict[str, float | int | None]:
  """Returns the numbers of summary.json; None where there is no number."""

  def mae_bpm(variant):
    return finite(run.evaluation.get(variant, {}).get('mae_bpm'))

  difference_bpm = None
  if {'int8', 'int8_c'} <= set(run.variants):
    difference_bpm = finite(
      np.max(np.abs(run.windows['int8_c'] - run.windows['int8']))
    )
  return {
    'float_mae_bpm': mae_bpm('model'),
    'int8_mae_bpm': mae_bpm('int8'),
    'int8_c_mae_bpm': mae_bpm('int8_c'),
    'train_mean_mae_bpm': mae_bpm('train_mean'),
    'c_head_max_abs_diff_bpm': difference_bpm,
    'tflite_bytes': run.tflite_bytes,
    'parameters': run.metrics['parameters']['total'],
  }


def finite(value: float | None) -> float | None:
  """Returns the number, or None for None, NaN and infinity."""
  if value is None or not np.isfinite(value):
    return None
  return float(value)


def evaluated_split(run: Run) -> str | None:
  """Returns which split the windows are of; None if of no one split."""
  for name in ('test', 'validation', 'train'):
    if set(run.subjects) <= set(run.split.get(name, ())):
      return name
  return None


def agreement(
  reference_bpm: np.ndarray, estimate_bpm: np.ndarray
) -> dict[str, float]:
  """Bias and limits of agreement, after Bland and Altman (Lancet, 1986).

  Args:
    reference_bpm: float64 [windows], BPM.
    estimate_bpm: float64 [windows], BPM.

  Returns:
    {bias_bpm, lower_bpm, upper_bpm}: mean difference, and that -/+ 1.96
    standard deviations; the limits are NaN for fewer than two windows.
  """
  difference_bpm = estimate_bpm - reference_bpm
  bias_bpm = float(np.mean(difference_bpm))
  spread_bpm = float('nan')
  if difference_bpm.size > 1:
    spread_bpm = 1.96 * float(np.std(difference_bpm, ddof=1))
  return {
    'bias_bpm': bias_bpm,
    'lower_bpm': bias_bpm - spread_bpm,
    'upper_bpm': bias_bpm + spread_bpm,
  }


def mae_by_confidence(
  confidence: np.ndarray, absolute_error_bpm: np.ndarray
) -> tuple[float, float] | None:
  """Returns the MAE of the less and of the more confident half of windows.

  None if the confidence is everywhere the same, so that no half is.
  """
  if np.ptp(confidence) == 0.0:
    return None
  order = np.argsort(confidence, kind='stable')
  less, more = np.array_split(absolute_error_bpm[order], 2)
  return float(np.mean(less)), float(np.mean(more))


def _existing(run_dir: pathlib.Path, name: str) -> pathlib.Path:
  path = run_dir / name
  if not path.is_file():
    raise InputError(f'{path}: not there; run {_made_by(name)} first')
  return path


def _made_by(name: str) -> str:
  return _MADE_BY.get(name, _TRAIN)


def _read_object(run_dir, name: str, members: tuple[str, ...]) -> dict:
  path = _existing(run_dir, name)
  content = files.read_json(path)
  if not isinstance(content, dict):
    raise InputError(
      f'{path}: expected a JSON object, got {type(content).__name__}; run '
      f'{_made_by(name)} again'
    )
  for member in members:
    if member not in content:
      raise InputError(f'{path}: has no {member!r}; run {_made_by(name)} again')
  return content


def _origins(run_dir: pathlib.Path) -> dict[str, str]:
  """Reads what evaluate has noted; nothing is known without it."""
  if not (run_dir / run_directory.PROVENANCE).is_file():
    return {}
  return _read_object(run_dir, run_directory.PROVENANCE, ())


def _read_table(path: pathlib.Path, needed: tuple[str, ...]) -> list[dict]:
  with path.open(newline='', encoding='utf-8') as file:
    reader = csv.DictReader(file)
    rows = list(reader)
  for column in needed:
    if column not in (reader.fieldnames or ()):
      raise InputError(f'{path}: has no column {column!r}; make it anew')
  if not rows:
    raise InputError(f'{path}: has no row; make it anew')
  return rows


def _number(path: pathlib.Path, row: int, column: str, text: str | None):
  if text in _NO_VALUE:
    return float('nan')
  try:
    return float(text or '')
  except ValueError:
    raise InputError(
      f'{path}: row {row + 1}, column {column!r}: expected a number, got '
      f'{text!r}; mend or remove that row'
    ) from None


def _numbers(path, rows: list[dict], column: str) -> np.ndarray:
  return np.array(
    [
      _number(path, index, column, row[column])
      for index, row in enumerate(rows)
    ],
    np.float64,
  )


def _read_history(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Reads losses; where a run was resumed, its last word on an epoch."""
  rows = _read_table(path, ('epoch', 'loss'))
  columns = {name: _numbers(path, rows, name) for name in rows[0] if name}
  kept: list[int] = []
  for row, epoch in enumerate(columns['epoch']):
    # Whatever was resumed at an epoch has taken back those from it on.
    kept = [index for index in kept if columns['epoch'][index] < epoch]
    kept.append(row)
  return {name: values[kept] for name, values in columns.items()}


def _read_windows(path: pathlib.Path):
  rows = _read_table(path, ('subject', 'time_s', 'reference_bpm'))
  names = [name for name in rows[0] if name and name != 'subject']
  columns = {name: _numbers(path, rows, name) for name in names}
  return np.array([row['subject'] for row in rows]), columns


def _check_same_evaluation(run_dir, evaluation: dict, windows: dict) -> None:
  """Refuses errors and windows of which one was overwritten since."""
  for variant in VARIANTS:
    if variant not in evaluation:
      continue
    if variant in windows:
      error_bpm = np.abs(windows[variant] - windows['reference_bpm'])
      mae_bpm = evaluation[variant]['mae_bpm']
      if np.isclose(np.mean(error_bpm), mae_bpm, atol=1e-6, equal_nan=True):
        continue
    raise InputError(
      f'{run_dir}: evaluation.json and windows.csv differ on {variant!r}, so '
      'they are of two evaluations; run `python -m rppg_tf.evaluate` again'
    )


def _tflite_bytes(run_dir, evaluation: dict) -> int | None:
  path = run_dir / run_directory.INT8_MODEL
  if 'int8' not in evaluation and not path.is_file():
    return None
  return _existing(run_dir, run_directory.INT8_MODEL).stat().st_size


def _natural_order(name: str) -> list:
  parts = re.split(r'([0-9]+)', name)
  return [int(part) if part.isdecimal() else part for part in parts]
