"""Beats of a pulse wave against those of the contact PPG.

A finger's pulse comes later than a face's, by a delay that nobody knows: the
median difference of a recording is taken off first, and is told.
"""

import math

import numpy as np

from rppg_tf.data import labels
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.signals import beat_rate, beats, variability

# A beat is found if one is said this near to it.
MAX_ERROR_S = 0.1
# Beats farther apart are none of the same for the delay.
_MAX_DELAY_S = 0.5
# The network and the filters have to settle.
_START_S = 3.0


def recording_rows(
  recording: dict, estimates: dict[str, inference_estimates.Estimates]
) -> list[dict]:
  """Returns a row for each estimator that has a pulse wave.

  Args:
    recording: an example of tfds_ubfc as NumPy.
    estimates: by name.

  Returns:
    {estimator, subject, delay_ms, errors_ms (float64 [right]), num_said,
    num_right (beats that were), num_beats, num_found (of them), rmssd_error_ms
    (NaN where one has none)}. Beats before 3 s and beats of a quality below 0.5
    do not count.
  """
  start_s = recording['timestamp_s'][0]
  true_s, _ = labels.find_beats(recording['ppg'], recording['timestamp_s'])
  true_s = true_s - start_s
  rows = []
  for name, estimate in estimates.items():
    if estimate.pulse is None or len(true_s) < beat_rate.MIN_BEATS:
      continue
    found = beats.find_beats(estimate.pulse)
    rows.append(
      {'estimator': name, 'subject': recording['subject'].decode()}
      | _compared(true_s, found)
    )
  return rows


def _compared(true_s: np.ndarray, found: beats.Beats) -> dict:
  believed = found.quality >= beat_rate.MIN_QUALITY
  said_s = found.time_s[believed & (found.time_s >= _START_S)]
  settled_s = true_s[true_s >= _START_S]
  difference_s = _nearest(said_s, true_s)
  near = np.abs(difference_s) <= _MAX_DELAY_S
  delay_s = float(np.median(difference_s[near])) if np.any(near) else math.nan
  errors_s = difference_s - delay_s
  hit = np.abs(errors_s) <= MAX_ERROR_S
  missed_s = _nearest(settled_s, said_s - delay_s)
  truth = variability.variability(beats.Beats(true_s, np.ones(len(true_s))))
  return {
    'delay_ms': 1000 * delay_s,
    'errors_ms': 1000 * errors_s[hit],
    'num_said': len(said_s),
    'num_right': int(np.sum(hit)),
    'num_beats': len(settled_s),
    'num_found': int(np.sum(np.abs(missed_s) <= MAX_ERROR_S)),
    'rmssd_error_ms': variability.variability(found).rmssd_ms - truth.rmssd_ms,
  }


def _nearest(time_s: np.ndarray, others_s: np.ndarray) -> np.ndarray:
  """Returns each time minus the nearest of the others; inf if there is none."""
  if not len(others_s):
    return np.full(len(time_s), np.inf)
  after = np.clip(np.searchsorted(others_s, time_s), 1, len(others_s) - 1)
  pair = np.stack([others_s[after - 1], others_s[after]])
  difference_s = time_s - pair
  chosen = np.argmin(np.abs(difference_s), axis=0)
  return np.take_along_axis(difference_s, chosen[np.newaxis], axis=0)[0]


def summarise(rows: list[dict], name: str) -> dict[str, float | int | None]:
  """Pools the recordings of one estimator.

  Returns:
    {beats, recall_percent, precision_percent, median_error_ms (absolute),
    median_delay_ms, median_rmssd_error_ms (absolute), rmssd_recordings}; None
    where there is nothing to say.
  """
  rows = [row for row in rows if row['estimator'] == name]
  errors_ms = [np.abs(row['errors_ms']) for row in rows]
  rmssd_ms = np.abs([row['rmssd_error_ms'] for row in rows])
  rmssd_ms = rmssd_ms[np.isfinite(rmssd_ms)]
  num_beats = sum(row['num_beats'] for row in rows)
  num_said = sum(row['num_said'] for row in rows)
  return {
    'beats': num_beats,
    'recall_percent': _percent(sum(r['num_found'] for r in rows), num_beats),
    'precision_percent': _percent(sum(r['num_right'] for r in rows), num_said),
    'median_error_ms': _median(np.concatenate([np.empty(0), *errors_ms])),
    'median_delay_ms': _median(
      np.array([r['delay_ms'] for r in rows if math.isfinite(r['delay_ms'])])
    ),
    'median_rmssd_error_ms': _median(rmssd_ms),
    'rmssd_recordings': len(rmssd_ms),
  }


def _percent(count: int, of: int) -> float | None:
  return 100 * count / of if of else None


def _median(values: np.ndarray) -> float | None:
  return float(np.median(values)) if len(values) else None
