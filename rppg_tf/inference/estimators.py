"""Estimators: each variant of a model over a whole recording."""

import numpy as np

from rppg_tf import contract
from rppg_tf.inference import estimates
from rppg_tf.signals import background, chrominance, resampling

_IMAGES_PER_BATCH = 768


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


def head_estimates(head, features, timestamp_s) -> estimates.Estimates:
  """Estimates by a Keras head, as head_outputs, of the last 10 s each."""
  outputs = head_outputs(head, features, timestamp_s)
  if head.name == 'pulse_head':
    return estimates.Estimates(
      outputs['heart_rate_bpm'], outputs['pulse'], outputs['confidence']
    )
  _, newer, _ = resampling.grid_positions(timestamp_s)
  return estimates.Estimates(
    estimates.median_of_windows(outputs['heart_rate_bpm'], len(newer))
  )


def float_estimator(
  spatial_cnn, head, input_quantisation
) -> estimates.Estimator:
  """Returns the Keras model as an estimator."""
  from rppg_tf.keras_compat import tf

  encode = tf.function(spatial_cnn, reduce_retracing=True)

  def estimate(recording):
    features = float_features(encode, input_quantisation, recording['codes'])
    features = chrominance.append(features, recording['chrominance'])
    return head_estimates(head, features, recording['timestamp_s'])

  return estimate


def int8_estimator(int8_cnn, head) -> estimates.Estimator:
  """Returns the INT8 CNN with a Keras head as an estimator."""

  def estimate(recording):
    features = int8_cnn.frame_features(recording['codes'])
    features = int8_cnn.dequantise(features)
    features = chrominance.append(features, recording['chrominance'])
    return head_estimates(head, features, recording['timestamp_s'])

  return estimate


def int8_c_estimator(int8_cnn, compiled_head) -> estimates.Estimator:
  """Returns the INT8 CNN with the emitted C head as an estimator."""

  def estimate(recording):
    features = int8_cnn.frame_features(recording['codes'])
    features = chrominance.append(features, recording['chrominance'])
    return compiled_head.estimates(features, recording['timestamp_s'])

  return estimate


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
