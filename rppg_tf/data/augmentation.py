"""Random clips: place, speed, mirrored pixels, order of the ROIs."""

from rppg_tf import contract
from rppg_tf.data import clips
from rppg_tf.data.clips import ClipShape
from rppg_tf.data.teacher_targets import TEACHER
from rppg_tf.keras_compat import tf


def random_clip(item, seed, shape: ClipShape):
  """Cuts one clip; changes its speed, turns it and shuffles its ROIs.

  A clip played faster by s has its heart rate times s: rates that nobody in
  the data has are learnt too. Skin looks the same mirrored, upside down and
  on another cheek.
  """
  seeds = tf.random.experimental.stateless_split(seed, 4)
  last_start = tf.shape(item['timestamp_s'])[0] - shape.num_frames
  start = tf.random.stateless_uniform([], seeds[0], 0, last_start + 1, tf.int32)
  speed = _random_speed(item, start, seeds[1:3], shape)
  clip = clips.cut_clip(item, start, speed, shape)
  if 'codes' in clip[0]:
    clip[0]['codes'] = turn_codes(clip[0]['codes'], seeds[3])
  else:
    clip[0]['features'] = shuffle_features(clip[0]['features'], seeds[3])
  features = clip[1].get(f'{TEACHER}features')
  if features is not None and features.shape[-1] == contract.NUM_ROI_FEATURES:
    order_seed = tf.random.experimental.stateless_split(seeds[3], 3)[0]
    clip[1][f'{TEACHER}features'] = shuffle_features(features, order_seed)
  return clip


def turn_codes(codes, seed):
  """Mirrors [frames, 3, 36, 36, 3] both ways and shuffles the ROIs."""
  seeds = tf.random.experimental.stateless_split(seed, 3)
  codes = tf.gather(codes, _roi_order(seeds[0]), axis=1)
  for axis, axis_seed in ((2, seeds[1]), (3, seeds[2])):
    step = tf.where(tf.random.stateless_uniform([], axis_seed) < 0.5, 1, -1)
    pixels = tf.range(contract.ROI_SIZE_PX)
    codes = tf.gather(
      codes, tf.where(step > 0, pixels, pixels[::-1]), axis=axis
    )
  return codes


def shuffle_features(features, seed):
  """Shuffles the ROIs of [frames, 48 or 52]; chrominance stays behind."""
  by_roi = tf.reshape(
    features[:, : contract.NUM_ROI_FEATURES],
    (-1, contract.NUM_ROIS, contract.NUM_SPATIAL_FEATURES),
  )
  by_roi = tf.gather(by_roi, _roi_order(seed), axis=1)
  by_roi = tf.reshape(by_roi, (-1, contract.NUM_ROI_FEATURES))
  return tf.concat([by_roi, features[:, contract.NUM_ROI_FEATURES :]], axis=1)


def _roi_order(seed):
  rois = tf.range(contract.NUM_ROIS)
  return tf.random.experimental.stateless_shuffle(rois, seed)


def _random_speed(item, start, seeds, shape: ClipShape):
  """Draws a speed of 0.7-1.4 that keeps rates in range, 1 half the time."""
  end = start + shape.num_frames
  stamps = item['timestamp_s'][start:end]
  rates = item['heart_rate_bpm'][start:end]
  known = tf.boolean_mask(rates, rates > contract.NO_PULSE_BPM)
  middle = tf.cond(
    tf.size(known) > 0, lambda: tf.reduce_mean(known), lambda: 80.0
  )
  clip_s = (shape.num_samples - 1) / contract.GRID_RATE_HZ
  covered = tf.cast(stamps[-1] - stamps[0], tf.float32) / clip_s
  low = tf.maximum(0.7, (contract.MIN_LABEL_BPM + 4) / middle)
  high = tf.minimum(1.4, (contract.MAX_LABEL_BPM - 4) / middle)
  high = tf.maximum(tf.minimum(high, covered), 0.1)
  low = tf.minimum(low, high)
  drawn = tf.random.stateless_uniform([], seeds[0], low, high)
  stretch = tf.random.stateless_uniform([], seeds[1]) < 0.5
  unchanged = tf.minimum(1.0, high)
  return tf.cast(tf.where(stretch, drawn, unchanged), tf.float64)
