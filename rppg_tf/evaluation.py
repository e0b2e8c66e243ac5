"""Heart rates of whole recordings by each form of a model, and their errors.

Every form sees a recording as the board would: from its first frame on, all
frames, causally. An estimate is made of the last 10 s, every second.
"""

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np

from rppg_tf import background, contract, feature_timeline, metrics
from rppg_tf.entry_point import InputError

_STRIDE = contract.WINDOW_STRIDE_S * contract.GRID_RATE_HZ
_IMAGES_PER_BATCH = 768


@dataclasses.dataclass(frozen=True)
class Estimates:
  """What a model says of one recording.

  Attributes:
    heart_rate_bpm: float32 [windows], of the 10 s up to each window's end.
    pulse: float32 [samples] on the 30 Hz grid; None if the head has none.
    confidence: float32 [windows] in [0, 1]; None if the head has none.
  """

  heart_rate_bpm: np.ndarray
  pulse: np.ndarray | None = None
  confidence: np.ndarray | None = None


# (codes int8 [frames, 3, 36, 36, 3], timestamp_s float64 [frames]) → Estimates
Estimator = Callable[[np.ndarray, np.ndarray], Estimates]


def window_ends(num_samples: int) -> np.ndarray:
  """Returns the last sample of each 10 s window, int64 [windows]."""
  return np.arange(contract.WINDOW_SAMPLES - 1, num_samples, _STRIDE)


def float_features(spatial_cnn, input_quantisation, codes) -> np.ndarray:
  """Encodes frames with a Keras CNN: int8 codes → float32 [frames, 48]."""
  scale, zero_point = input_quantisation
  images = codes.reshape(-1, *contract.ROI_FRAME_SHAPE)
  parts = []
  for start in range(0, len(images), _IMAGES_PER_BATCH):
    part = images[start : start + _IMAGES_PER_BATCH].astype(np.float32)
    parts.append(spatial_cnn((part - zero_point) * scale, training=False))
  return np.concatenate(parts).reshape(-1, contract.NUM_FRAME_FEATURES)


def head_estimates(head, features, timestamp_s) -> Estimates:
  """Runs a Keras head on float32 [frames, 48] features at measured times."""
  grid = feature_timeline.to_grid(features, timestamp_s)
  outputs = {
    name: np.asarray(value)[0]
    for name, value in head(grid[np.newaxis], training=False).items()
  }
  if head.name == 'pulse_head':
    return Estimates(
      outputs['heart_rate_bpm'], outputs['pulse'], outputs['confidence']
    )
  return Estimates(median_of_windows(outputs['heart_rate_bpm'], len(grid)))


def median_of_windows(step_bpm: np.ndarray, num_samples: int) -> np.ndarray:
  """Medians of a short-window head's estimates over each 10 s.

  Args:
    step_bpm: float32 [steps], one estimate a sample, the last one at the
      last sample.
    num_samples: samples in the recording.

  Returns:
    float32 [windows], of the estimates that lie whole within the 10 s.
  """
  lead = num_samples - len(step_bpm)
  starts = window_ends(num_samples) + 1 - contract.WINDOW_SAMPLES
  steps = contract.WINDOW_SAMPLES - lead
  return np.array(
    [np.median(step_bpm[start : start + steps]) for start in starts],
    np.float32,
  )


def float_estimator(spatial_cnn, head, input_quantisation) -> Estimator:
  """Returns the Keras model as an estimator."""
  import tensorflow as tf

  encode = tf.function(spatial_cnn, reduce_retracing=True)

  def estimate(codes, timestamp_s):
    features = float_features(encode, input_quantisation, codes)
    return head_estimates(head, features, timestamp_s)

  return estimate


def int8_estimator(int8_cnn, head) -> Estimator:
  """Returns the INT8 CNN with a Keras head as an estimator."""

  def estimate(codes, timestamp_s):
    features = int8_cnn.dequantise(int8_cnn.frame_features(codes))
    return head_estimates(head, features, timestamp_s)

  return estimate


def int8_c_estimator(int8_cnn, compiled_head) -> Estimator:
  """Returns the INT8 CNN with the emitted C head as an estimator."""

  def estimate(codes, timestamp_s):
    features = int8_cnn.frame_features(codes)
    return compiled_head.estimates(features, timestamp_s)

  return estimate


def reference_bpm(heart_rate_bpm, timestamp_s) -> np.ndarray:
  """Returns the mean label of each 10 s window, NaN where any is unknown."""
  rates = feature_timeline.to_grid(heart_rate_bpm, timestamp_s)
  return np.array(
    [
      np.mean(rates[end + 1 - contract.WINDOW_SAMPLES : end + 1])
      for end in window_ends(len(rates))
    ],
    np.float32,
  )


def evaluate(
  examples: Iterable[dict],
  mode: str,
  estimators: dict[str, Estimator],
  training_mean_bpm: float,
) -> list[dict]:
  """Runs every estimator on every recording.

  Args:
    examples: recordings of tfds_ubfc as NumPy.
    mode: one of background.MODES.
    estimators: by name.
    training_mean_bpm: what the training-mean predictor says.

  Returns:
    A row for each window that has a label: {subject, time_s, reference_bpm,
    train_mean, and for each estimator its BPM and NAME_confidence}.
  """
  rows = []
  for example in examples:
    rows += _recording_rows(example, mode, estimators, training_mean_bpm)
  if not rows:
    raise InputError(
      'no window of 10 s with a label in these recordings; give longer ones'
    )
  return rows


def _recording_rows(example, mode, estimators, training_mean_bpm):
  timestamp_s = example['timestamp_s']
  codes = background.input_codes(
    example['frames'], timestamp_s, example['face_found'], mode
  )
  reference = reference_bpm(example['heart_rate_bpm'], timestamp_s)
  if not len(reference):
    return []
  estimates = {
    name: estimator(codes, timestamp_s)
    for name, estimator in estimators.items()
  }
  rows = []
  for window in np.flatnonzero(np.isfinite(reference)):
    row = {
      'subject': example['subject'].decode(),
      'time_s': float(window * contract.WINDOW_STRIDE_S + contract.WINDOW_S),
      'reference_bpm': float(reference[window]),
      'train_mean': training_mean_bpm,
    }
    for name, estimate in estimates.items():
      row[name] = float(estimate.heart_rate_bpm[window])
      if estimate.confidence is not None:
        row[f'{name}_confidence'] = float(estimate.confidence[window])
    rows.append(row)
  return rows


def summarise(rows: list[dict], name: str) -> dict:
  """Errors of one estimator over all windows, and per subject."""
  summary = _errors(rows, name)
  subjects = dict.fromkeys(row['subject'] for row in rows)
  summary['per_subject'] = {
    subject: _errors([row for row in rows if row['subject'] == subject], name)
    for subject in subjects
  }
  return summary


def _errors(rows, name):
  return metrics.heart_rate_errors(
    np.array([row['reference_bpm'] for row in rows]),
    np.array([row[name] for row in rows]),
  )


def table(summaries: dict[str, dict]) -> str:
  """Returns the summaries as text: overall, then the MAE per subject."""
  lines = [
    f'{"":12}{"MAE":>8}{"RMSE":>8}{"MAPE %":>8}{"r":>8}{"windows":>9}',
  ]
  for name, errors in summaries.items():
    lines.append(
      f'{name:12}{errors["mae_bpm"]:8.2f}{errors["rmse_bpm"]:8.2f}'
      f'{errors["mape_percent"]:8.2f}{errors["pearson_r"]:8.3f}'
      f'{errors["windows"]:9d}'
    )
  subjects = next(iter(summaries.values()))['per_subject']
  lines += ['', f'{"MAE of":12}' + ''.join(f'{n:>12}' for n in summaries)]
  for subject in subjects:
    cells = (
      f'{errors["per_subject"][subject]["mae_bpm"]:12.2f}'
      for errors in summaries.values()
    )
    lines.append(f'{subject:12}' + ''.join(cells))
  return '\n'.join(lines)
