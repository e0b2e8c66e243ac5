"""Heart rates of whole recordings by each variant of a model, and their errors.

Every variant sees a recording as the board would: from its first frame on, all
frames, causally. An estimate is made of the last 10 s, every second.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas

from rppg_tf import contract
from rppg_tf.errors import InputError
from rppg_tf.evaluation import metrics
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.inference import estimators as inference_estimators
from rppg_tf.signals import readout, resampling


def reference_bpm(heart_rate_bpm, timestamp_s) -> np.ndarray:
  """Returns the mean label of each 10 s window, NaN where any is unknown."""
  rates = resampling.to_grid(heart_rate_bpm, timestamp_s)
  return inference_estimates.pulse_windows(rates).mean(axis=1, dtype=np.float32)


def estimated(
  examples: Iterable[dict],
  mode: str,
  estimators: dict[str, inference_estimates.Estimator],
) -> Iterator[tuple[dict, dict[str, inference_estimates.Estimates]]]:
  """Runs every estimator on every recording that has 10 s.

  Args:
    examples: recordings of tfds_ubfc as NumPy.
    mode: one of background.MODES.
    estimators: by name.

  Yields:
    The recording with its `codes`, and what each estimator says of it.
  """
  for example in examples:
    timestamp_s = example['timestamp_s']
    if inference_estimates.first_estimate_s(timestamp_s) is None:
      continue
    recording = inference_estimators.with_codes(example, mode)
    yield (
      recording,
      {name: estimator(recording) for name, estimator in estimators.items()},
    )


def evaluate(
  examples: Iterable[dict],
  mode: str,
  estimators: dict[str, inference_estimates.Estimator],
  training_mean_bpm: float,
) -> pandas.DataFrame:
  """Runs every estimator on every recording.

  Args:
    examples: recordings of tfds_ubfc as NumPy.
    mode: one of background.MODES.
    estimators: by name.
    training_mean_bpm: what the training-mean predictor says.

  Returns:
    The rows of window_rows, of all recordings.

  Raises:
    InputError: there is no window with a label.
  """
  return joined(
    window_rows(recording, estimates, training_mean_bpm)
    for recording, estimates in estimated(examples, mode, estimators)
  )


def joined(parts: Iterable[pandas.DataFrame]) -> pandas.DataFrame:
  """Returns the rows of several recordings.

  Raises:
    InputError: there is none.
  """
  parts = [part for part in parts if len(part)]
  if not parts:
    raise InputError(
      'no window of 10 s with a label in these recordings; give longer ones'
    )
  return pandas.concat(parts, ignore_index=True)


def window_rows(
  recording: dict,
  estimates: dict[str, inference_estimates.Estimates],
  training_mean_bpm: float,
) -> pandas.DataFrame:
  """Returns a row for each window that has a label.

  Args:
    recording: an example of tfds_ubfc as NumPy.
    estimates: by name.
    training_mean_bpm: what the training-mean predictor says.

  Returns:
    Columns subject, time_s, reference_bpm, train_mean, and for each estimator
    its BPM; where it has a pulse, that is read by beats (signals/readout.py),
    beside NAME_spectrum, the BPM of the spectrum, NAME_snr_db and
    NAME_confidence, the signal quality. All but the first are float64.
  """
  reference = reference_bpm(
    recording['heart_rate_bpm'], recording['timestamp_s']
  )
  starts_s = np.arange(len(reference)) * contract.WINDOW_STRIDE_S
  columns = {
    'time_s': starts_s + contract.WINDOW_S,
    'reference_bpm': reference,
    'train_mean': np.full(len(reference), training_mean_bpm),
  }
  for name, estimate in estimates.items():
    columns |= estimator_columns(name, estimate, reference)
  return table(recording, columns, np.flatnonzero(np.isfinite(reference)))


def table(
  recording: dict, columns: dict[str, np.ndarray], chosen: np.ndarray
) -> pandas.DataFrame:
  """Returns some windows of a recording as rows, its subject in front.

  Args:
    recording: an example of tfds_ubfc as NumPy.
    columns: values [windows] by name.
    chosen: which windows, int [rows].
  """
  values = {
    name: np.asarray(column[chosen], np.float64)
    for name, column in columns.items()
  }
  subject = [recording['subject'].decode()] * len(chosen)
  return pandas.DataFrame({'subject': subject} | values)


def estimator_columns(
  name: str, estimate: inference_estimates.Estimates, reference: np.ndarray
) -> dict[str, np.ndarray]:
  """Returns an estimator's columns of window_rows, float [windows] each.

  Args:
    name: of the estimator.
    estimate: what it says of one recording.
    reference: float32 [windows], mean labels.
  """
  if estimate.pulse is None:
    found = {name: estimate.heart_rate_bpm}
    if estimate.confidence is not None:
      found[f'{name}_confidence'] = estimate.confidence
    return found
  spectral = [
    readout.Spectral(float(bpm), float(confidence))
    for bpm, confidence in zip(
      estimate.heart_rate_bpm,
      # Unsupervised methods have none, and their quality is not asked for.
      np.zeros(len(reference))
      if estimate.confidence is None
      else estimate.confidence,
      strict=True,
    )
  ]
  ends = inference_estimates.window_ends(len(estimate.pulse))
  readings = readout.read_windows(estimate.pulse, ends, spectral)
  columns = {
    name: np.array([reading.bpm for reading in readings]),
    f'{name}_spectrum': estimate.heart_rate_bpm,
    f'{name}_snr_db': metrics.pulse_snr_db(
      inference_estimates.pulse_windows(estimate.pulse), reference
    ),
  }
  if estimate.confidence is not None:
    columns[f'{name}_confidence'] = np.array([r.quality for r in readings])
  return columns


def summarise(rows: pandas.DataFrame, name: str) -> dict:
  """Errors of one estimator over all windows, and per subject.

  Returns:
    metrics.heart_rate_errors of all windows; where the estimator has a pulse,
    snr_db (the mean) and spectrum_mae_bpm (MAE by the spectrum in place of the
    beats); mae_interval_bpm (95 %, [low, high]), and
    per_subject: the same without the interval, by subject.
  """
  summary = errors(rows, name)
  summary['mae_interval_bpm'] = list(
    metrics.bootstrap_mae_interval_bpm(
      absolute_error_bpm(rows, name), rows['subject'].to_numpy()
    )
  )
  summary['per_subject'] = {
    subject: errors(of_subject, name)
    for subject, of_subject in rows.groupby('subject', sort=False)
  }
  return summary


def errors(rows: pandas.DataFrame, name: str) -> dict:
  """Errors of one estimator over some rows, as summarise describes."""
  found = metrics.heart_rate_errors(rows['reference_bpm'], rows[name])
  if f'{name}_snr_db' in rows:
    found['snr_db'] = float(np.mean(rows[f'{name}_snr_db'].to_numpy()))
    found['spectrum_mae_bpm'] = float(
      np.mean(absolute_error_bpm(rows, f'{name}_spectrum'))
    )
  return found


def absolute_error_bpm(rows: pandas.DataFrame, name: str) -> np.ndarray:
  """Returns how far off an estimator is, float64 [windows]."""
  return np.abs(rows[name].to_numpy() - rows['reference_bpm'].to_numpy())
