"""What trained runs say of the recordings they are tested on.

One run, or a run for each fold of a cross-validation; every figure is of the
pooled windows.
"""

import dataclasses
import pathlib

import pandas
import tqdm

from rppg_tf import contract, files, run_directory
from rppg_tf.data import clips, dataset
from rppg_tf.errors import InputError
from rppg_tf.evaluation import (
  beat_errors,
  confidence,
  unsupervised_methods,
  window_lengths,
  window_split,
  windows,
)
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.inference import estimators as inference_estimators
from rppg_tf.inference.c_head import CompiledHead
from rppg_tf.inference.int8_cnn import Int8SpatialCnn
from rppg_tf.model import loading
from rppg_tf.signals import readout


@dataclasses.dataclass
class Collected:
  """What passes over recordings give, recording by recording.

  Attributes:
    parts: of windows.window_rows.
    length_parts: of window_lengths.window_rows.
    beat_rows: of beat_errors.recording_rows.
    first_rates_s: when the beats of a model's last variant first said a rate
      that is reported; 10 if they did not before.
  """

  parts: list[pandas.DataFrame] = dataclasses.field(default_factory=list)
  length_parts: list[pandas.DataFrame] = dataclasses.field(default_factory=list)
  beat_rows: list[dict] = dataclasses.field(default_factory=list)
  first_rates_s: list[int] = dataclasses.field(default_factory=list)

  @property
  def rows(self) -> pandas.DataFrame:
    """Of all recordings; InputError if there is none."""
    return windows.joined(self.parts)

  @property
  def length_rows(self) -> pandas.DataFrame:
    """Of all recordings; InputError if there is none."""
    return windows.joined(self.length_parts)

  def add(self, other: 'Collected') -> None:
    """Appends what another pass gave."""
    self.parts += other.parts
    self.length_parts += other.length_parts
    self.beat_rows += other.beat_rows
    self.first_rates_s += other.first_rates_s


def run_estimators(
  run_dir: pathlib.Path,
) -> dict[str, inference_estimates.Estimator]:
  """Returns an estimator for each variant of the model that is there."""
  quantisation = run_directory.input_quantisation(run_dir)
  estimators = {
    'model': inference_estimators.float_estimator(
      *loading.load_float(run_dir), quantisation
    )
  }
  if (run_dir / run_directory.INT8_MODEL).is_file():
    int8_cnn = Int8SpatialCnn(run_dir / run_directory.INT8_MODEL)
    estimators['int8'] = inference_estimators.int8_estimator(
      int8_cnn, loading.load_int8_head(run_dir)
    )
    if (run_dir / run_directory.HEAD_SOURCE).is_file():
      estimators['int8_c'] = inference_estimators.int8_c_estimator(
        int8_cnn, CompiledHead(run_dir)
      )
  return estimators


def subjects_of(run_dir: pathlib.Path, data_dir: str, split: str) -> list[str]:
  """Returns the subjects of a split of a run; `all`: all that data_dir holds.

  Raises:
    InputError: the split has no subject.
  """
  if split == 'all':
    geometry = run_directory.read_flags(run_dir)['roi_geometry']
    by_split = dataset.subjects_by_split(data_dir, geometry)
    return sorted(name for names in by_split.values() for name in names)
  subjects = files.read_json(run_dir / run_directory.SPLIT).get(split)
  if not subjects:
    raise InputError(f'{run_dir}: its split {split!r} has no subject')
  return subjects


def collect(
  run_dir: pathlib.Path,
  data_dir: str,
  subjects: list[str],
  estimators: dict[str, inference_estimates.Estimator],
) -> Collected:
  """Runs estimators over the recordings of some subjects.

  Args:
    run_dir: says geometry, background mode and the training mean.
    data_dir: the --data_dir of `tfds build`.
    subjects: whose recordings.
    estimators: by name.
  """
  mean_bpm = _training_mean_bpm(run_dir)
  collected = Collected()
  for recording, estimates in _estimated(
    run_dir, data_dir, subjects, estimators
  ):
    collected.parts.append(windows.window_rows(recording, estimates, mean_bpm))
    collected.length_parts.append(
      window_lengths.window_rows(recording, estimates)
    )
    collected.beat_rows += beat_errors.recording_rows(recording, estimates)
    collected.first_rates_s += _first_rates_s(estimates)
  return collected


def collect_split_by_window(
  run_dir: pathlib.Path, data_dir: str
) -> pandas.DataFrame:
  """Returns window_split.window_rows of a run of --split_by=window."""
  values = run_directory.read_flags(run_dir)
  shape = clips.clip_shape(
    values['head'], values['window'], values['frame_stride']
  )
  model = window_split.float_estimator(
    *loading.load_float(run_dir),
    run_directory.input_quantisation(run_dir),
  )
  mean_bpm = _training_mean_bpm(run_dir)
  return windows.joined(
    window_split.window_rows(recording, estimates, shape, mean_bpm)
    for recording, estimates in _estimated(
      run_dir,
      data_dir,
      subjects_of(run_dir, data_dir, 'test'),
      {'model': model, **unsupervised_methods.estimators()},
    )
  )


def _first_rates_s(
  estimates: dict[str, inference_estimates.Estimates],
) -> list[int]:
  waves = [e.pulse for e in estimates.values() if e.confidence is not None]
  if not waves or waves[-1] is None:
    return []
  said_s = readout.first_rate_s(waves[-1], confidence.MIN_THRESHOLD)
  return [said_s or contract.WINDOW_S]


def _training_mean_bpm(run_dir: pathlib.Path) -> float:
  return files.read_json(run_dir / run_directory.METRICS)['train_mean_bpm']


def _estimated(run_dir, data_dir: str, subjects: list[str], estimators):
  """evaluation.estimated of a run's input, with a progress bar."""
  values = run_directory.read_flags(run_dir)
  examples = dataset.load_recordings(data_dir, values['roi_geometry'], subjects)
  bar = tqdm.tqdm(
    examples.as_numpy_iterator(),
    total=len(subjects),
    unit='recording',
    disable=None,  # only on a terminal
  )
  yield from windows.estimated(bar, values['background'], estimators)


def check_split_by(run_dir: pathlib.Path, wanted: str) -> None:
  """Refuses to take one protocol's run for the other's."""
  is_by = run_directory.split_by(run_dir)
  if is_by != wanted:
    raise InputError(
      f'{run_dir}: was trained with --split_by={is_by}, not {wanted}; give '
      'another run'
    )
