"""Heart rates of whole recordings by each form of a model, and their errors.

Every form sees a recording as the board would: from its first frame on, all
frames, causally. An estimate is made of the last 10 s, every second.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from rppg_tf import contract
from rppg_tf.errors import InputError
from rppg_tf.evaluation import metrics
from rppg_tf.signals import background, chrominance, resampling

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


# Takes a recording: what with_codes returns.
Estimator = Callable[[dict], Estimates]


def window_ends(num_samples: int) -> np.ndarray:
  """Returns the last sample of each 10 s window, int64 [windows]."""
  return np.arange(contract.WINDOW_SAMPLES - 1, num_samples, _STRIDE)


def pulse_windows(
  values: np.ndarray, length: int = contract.WINDOW_SAMPLES
) -> np.ndarray:
  """Cuts the last `length` samples up to the end of each 10 s window.

  Args:
    values: float [samples] on the 30 Hz grid.
    length: samples; ends before which there are fewer are left out.

  Returns:
    float [windows, length].
  """
  ends = window_ends(len(values))
  ends = ends[ends + 1 >= length]
  return values[ends[:, np.newaxis] + np.arange(1 - length, 1)]


def first_estimate_s(timestamp_s: np.ndarray) -> float | None:
  """Returns how long after its first frame a recording has an estimate.

  That is the frame at or after the 300th grid time; computing comes on top.
  None if the recording ends before.
  """
  _, newer, _ = resampling.grid_positions(timestamp_s)
  if len(newer) < contract.WINDOW_SAMPLES:
    return None
  return float(timestamp_s[newer[contract.WINDOW_SAMPLES - 1]] - timestamp_s[0])


def float_features(spatial_cnn, input_quantisation, codes) -> np.ndarray:
  """Encodes frames with a Keras CNN: int8 codes → float32 [frames, 48]."""
  scale, zero_point = input_quantisation
  images = codes.reshape(-1, *contract.ROI_FRAME_SHAPE)
  parts = []
  for start in range(0, len(images), _IMAGES_PER_BATCH):
    part = images[start : start + _IMAGES_PER_BATCH].astype(np.float32)
    parts.append(spatial_cnn((part - zero_point) * scale, training=False))
  return np.concatenate(parts).reshape(-1, contract.NUM_ROI_FEATURES)


def head_outputs(head, features, timestamp_s) -> dict[str, np.ndarray]:
  """Runs a Keras head on float32 [frames, 52] features at measured times."""
  features = features[:, : head.input_shape[-1]]
  grid = resampling.to_grid(features, timestamp_s)
  outputs = head(grid[np.newaxis], training=False)
  return {name: np.asarray(value)[0] for name, value in outputs.items()}


def head_estimates(head, features, timestamp_s) -> Estimates:
  """Estimates by a Keras head, as head_outputs, of the last 10 s each."""
  outputs = head_outputs(head, features, timestamp_s)
  if head.name == 'pulse_head':
    return Estimates(
      outputs['heart_rate_bpm'], outputs['pulse'], outputs['confidence']
    )
  _, newer, _ = resampling.grid_positions(timestamp_s)
  return Estimates(median_of_windows(outputs['heart_rate_bpm'], len(newer)))


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

  def estimate(recording):
    features = float_features(encode, input_quantisation, recording['codes'])
    features = chrominance.append(features, recording['chrominance'])
    return head_estimates(head, features, recording['timestamp_s'])

  return estimate


def int8_estimator(int8_cnn, head) -> Estimator:
  """Returns the INT8 CNN with a Keras head as an estimator."""

  def estimate(recording):
    features = int8_cnn.frame_features(recording['codes'])
    features = int8_cnn.dequantise(features)
    features = chrominance.append(features, recording['chrominance'])
    return head_estimates(head, features, recording['timestamp_s'])

  return estimate


def int8_c_estimator(int8_cnn, compiled_head) -> Estimator:
  """Returns the INT8 CNN with the emitted C head as an estimator."""

  def estimate(recording):
    features = int8_cnn.frame_features(recording['codes'])
    features = chrominance.append(features, recording['chrominance'])
    return compiled_head.estimates(features, recording['timestamp_s'])

  return estimate


def reference_bpm(heart_rate_bpm, timestamp_s) -> np.ndarray:
  """Returns the mean label of each 10 s window, NaN where any is unknown."""
  rates = resampling.to_grid(heart_rate_bpm, timestamp_s)
  return np.mean(pulse_windows(rates), axis=1, dtype=np.float32)


def with_codes(example: dict, mode: str) -> dict:
  """Adds what the network reads to an example: `codes` and `chrominance`.

  Args:
    example: of tfds_ubfc as NumPy.
    mode: one of background.MODES.
  """
  when = (example['timestamp_s'], example['face_found'])
  return {
    **example,
    'codes': background.input_codes(example['frames'], *when, mode),
    'chrominance': chrominance.chrominance_codes(
      example['mid_face_rgb'], *when
    ),
  }


def estimated(
  examples: Iterable[dict], mode: str, estimators: dict[str, Estimator]
) -> Iterator[tuple[dict, dict[str, Estimates]]]:
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
    if first_estimate_s(timestamp_s) is None:
      continue
    recording = with_codes(example, mode)
    yield (
      recording,
      {name: estimator(recording) for name, estimator in estimators.items()},
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
    The rows of window_rows, of all recordings.

  Raises:
    InputError: there is no window with a label.
  """
  rows = []
  for recording, estimates in estimated(examples, mode, estimators):
    rows += window_rows(recording, estimates, training_mean_bpm)
  check_any(rows)
  return rows


def check_any(rows: list[dict]) -> None:
  """Refuses an evaluation without a window."""
  if not rows:
    raise InputError(
      'no window of 10 s with a label in these recordings; give longer ones'
    )


def window_rows(
  recording: dict, estimates: dict[str, Estimates], training_mean_bpm: float
) -> list[dict]:
  """Returns a row for each window that has a label.

  Args:
    recording: an example of tfds_ubfc as NumPy.
    estimates: by name.
    training_mean_bpm: what the training-mean predictor says.

  Returns:
    {subject, time_s, reference_bpm, train_mean, and for each estimator its
    BPM, NAME_confidence and, where it has a pulse, NAME_snr_db}.
  """
  reference = reference_bpm(
    recording['heart_rate_bpm'], recording['timestamp_s']
  )
  columns = {
    'reference_bpm': reference,
    'train_mean': np.full(len(reference), training_mean_bpm),
  }
  for name, estimate in estimates.items():
    columns[name] = estimate.heart_rate_bpm
    if estimate.confidence is not None:
      columns[f'{name}_confidence'] = estimate.confidence
    if estimate.pulse is not None:
      columns[f'{name}_snr_db'] = metrics.pulse_snr_db(
        pulse_windows(estimate.pulse), reference
      )
  subject = recording['subject'].decode()
  return [
    {
      'subject': subject,
      'time_s': float(window * contract.WINDOW_STRIDE_S + contract.WINDOW_S),
    }
    | {name: float(values[window]) for name, values in columns.items()}
    for window in np.flatnonzero(np.isfinite(reference))
  ]


def summarise(rows: list[dict], name: str) -> dict:
  """Errors of one estimator over all windows, and per subject.

  Returns:
    metrics.heart_rate_errors of all windows, snr_db (the mean) where the
    estimator has a pulse, mae_interval_bpm (95 %, [low, high]), and
    per_subject: the same without the interval, by subject.
  """
  summary = errors(rows, name)
  summary['mae_interval_bpm'] = list(
    metrics.bootstrap_mae_interval_bpm(
      absolute_error_bpm(rows, name), [row['subject'] for row in rows]
    )
  )
  subjects = dict.fromkeys(row['subject'] for row in rows)
  summary['per_subject'] = {
    subject: errors([row for row in rows if row['subject'] == subject], name)
    for subject in subjects
  }
  return summary


def errors(rows: list[dict], name: str) -> dict:
  """Errors of one estimator over some rows, as summarise describes."""
  found = metrics.heart_rate_errors(
    column(rows, 'reference_bpm'), column(rows, name)
  )
  if f'{name}_snr_db' in rows[0]:
    found['snr_db'] = float(np.mean(column(rows, f'{name}_snr_db')))
  return found


def absolute_error_bpm(rows: list[dict], name: str) -> np.ndarray:
  """Returns how far off an estimator is, float64 [windows]."""
  return np.abs(column(rows, name) - column(rows, 'reference_bpm'))


def column(rows: list[dict], name: str) -> np.ndarray:
  """Returns one column of the rows, float64 [windows]."""
  return np.array([row[name] for row in rows], np.float64)
