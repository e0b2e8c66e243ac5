"""The leaky protocol: windows, not people, are split at random.

Of every recording, windows that end at some frames train, those that end at
others validate and test. Next to almost every test window lies a training
window of the same person that shares all frames but one; a network that
remembers faces reads their heart rates off its memory. Published errors of
4-5 BPM from 8 frames come about like this (docs/architecture.md). This module
exists to make that number again, never to judge a model.
"""

import numpy as np
import tensorflow as tf

from rppg_tf import contract
from rppg_tf.data import clips
from rppg_tf.data.clips import ClipShape
from rppg_tf.data.splits import SPLITS
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.inference import estimators
from rppg_tf.signals import chrominance, resampling, spectrum
from rppg_tf.training import distribution

# Printed and written beside every figure of this protocol.
WARNING = (
  'split by window: every person in the test windows was trained on; this is '
  'not the error on people never seen'
)

_SHARES = (0.7, 0.1, 0.2)  # of subject_splits.SPLITS
# Which split a frame's millisecond is in: drawn once, for all recordings.
_DRAW_SEED = 0
_SPLIT_OF_MS = np.random.default_rng(_DRAW_SEED).choice(
  len(_SHARES), size=2**16, p=_SHARES
)


def is_in(split: str, timestamp_s):
  """Whether windows that end at these frames belong to a split.

  Args:
    split: `train`, `validation` or `test`: 70, 10 and 20 % of the frames.
    timestamp_s: float64 tensor, seconds.

  Returns:
    bool tensor of the same shape. A frame is in one split only.
  """
  time_ms = tf.cast(tf.round(timestamp_s * 1000), tf.int64)
  drawn = tf.gather(tf.constant(_SPLIT_OF_MS), time_ms % len(_SPLIT_OF_MS))
  return drawn == SPLITS.index(split)


def training_clips(
  recordings: tf.data.Dataset,
  shape: ClipShape,
  batch_size: int,
  clips_per_recording: int,
  seed: int,
) -> tf.data.Dataset:
  """Cuts clips at random places; only their training windows count.

  Not augmented, unlike clips.training_clips: UltraLightRPPG is not, and a face
  that is turned and played faster is harder to remember.

  Args:
    recordings: from clips.prepare, cached.
    shape: how to cut.
    batch_size: clips in a batch.
    clips_per_recording: clips cut from a recording in an epoch.
    seed: makes the sequence of all epochs reproducible.

  Returns:
    Dataset of (inputs, targets, sample weights) for Keras' fit.
  """
  items = _long_enough(recordings, shape).flat_map(
    lambda item: tf.data.Dataset.from_tensors(item).repeat(clips_per_recording)
  )
  seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)

  def cut(item, clip_seed):
    last_start = tf.shape(item['codes'])[0] - shape.num_frames
    start = tf.random.stateless_uniform(
      [], tf.cast(clip_seed, tf.int32), 0, last_start + 1, tf.int32
    )
    return _cut_clip(item, start, shape, 'train')

  pairs = tf.data.Dataset.zip((items, seeds.batch(2)))
  cut_clips = pairs.map(cut, tf.data.AUTOTUNE, deterministic=True)
  cut_clips = cut_clips.shuffle(4 * batch_size, seed)
  return cut_clips.batch(batch_size, drop_remainder=True).prefetch(2)


def validation_clips(
  recordings: tf.data.Dataset,
  shape: ClipShape,
  batch_size: int,
  num_replicas: int = 1,
) -> tf.data.Dataset:
  """Cuts the first clip of every recording; validation windows count.

  Batched as distribution.validation_batches says; its InputErrors.
  """
  first = _long_enough(recordings, shape).map(
    lambda item: _cut_clip(item, tf.constant(0), shape, 'validation')
  )
  return distribution.validation_batches(first, batch_size, num_replicas)


def _long_enough(recordings: tf.data.Dataset, shape: ClipShape):
  return recordings.filter(
    lambda item: tf.shape(item['codes'])[0] >= shape.num_frames
  )


def _cut_clip(item, start, shape: ClipShape, split: str):
  """clips.cut_clip, windows of other splits weighing nothing."""
  speed = tf.constant(1.0, tf.float64)
  inputs, targets, weights = clips.cut_clip(item, start, speed, shape)
  ends = _window_ends(tf.shape(targets['heart_rate_bpm'])[0], shape)
  end_frames = start + tf.gather(inputs['newer'], ends)
  counts = tf.cast(
    is_in(split, tf.gather(item['timestamp_s'], end_frames)), tf.float32
  )
  weights = {
    # The pulse has one weight a clip.
    name: weight * (tf.reduce_max(counts) if name == 'pulse' else counts)
    for name, weight in weights.items()
  }
  return inputs, targets, weights


def _window_ends(num_windows, shape: ClipShape):
  """Returns the last sample of each of a head's windows."""
  span = (shape.window - 1) * shape.window_spacing + 1
  return tf.range(num_windows) * shape.window_stride + span - 1


def float_estimator(
  spatial_cnn, head, input_quantisation: tuple[float, int]
) -> inference_estimates.Estimator:
  """Returns the Keras model, estimating on every window of its own length."""
  encode = tf.function(spatial_cnn, reduce_retracing=True)

  def estimate(recording):
    features = estimators.float_features(
      encode, input_quantisation, recording['codes']
    )
    features = chrominance.append(features, recording['chrominance'])
    outputs = estimators.head_outputs(head, features, recording['timestamp_s'])
    return inference_estimates.Estimates(outputs['heart_rate_bpm'])

  return estimate


def window_rows(
  recording: dict,
  estimates: dict[str, inference_estimates.Estimates],
  shape: ClipShape,
  training_mean_bpm: float,
) -> list[dict]:
  """Returns a row for each test window of the head's own length.

  Pulse waves are read by their highest peak over the 10 s up to the window's
  end, so that windows of the first 10 s are left out.

  Args:
    recording: an example of tfds_ubfc as NumPy.
    estimates: by name; `model` as float_estimator gives it, the others with
      pulses.
    shape: of the head's windows.
    training_mean_bpm: what the training-mean predictor says.

  Returns:
    {subject, time_s, reference_bpm, subject_was_trained_on (1: always),
    train_mean, subject_mean (the mean of the same person's training windows:
    what remembering a face comes to), and the BPM by name}.
  """
  labels, tested, trained, ends = _labelled(recording, shape)
  chosen = np.flatnonzero(tested & (ends + 1 >= contract.WINDOW_SAMPLES))
  if not chosen.size or not np.any(trained):
    return []
  before = ends[chosen, np.newaxis] + np.arange(1 - contract.WINDOW_SAMPLES, 1)
  columns = {
    'time_s': (ends[chosen] + 1) / contract.GRID_RATE_HZ,
    'reference_bpm': labels[chosen],
    'subject_was_trained_on': np.ones(len(chosen)),
    'train_mean': np.full(len(chosen), training_mean_bpm),
    'subject_mean': np.full(len(chosen), np.mean(labels[trained])),
  }
  for name, estimate in estimates.items():
    if estimate.pulse is None:
      columns[name] = estimate.heart_rate_bpm[chosen]
    else:
      columns[name] = spectrum.peak_bpm(estimate.pulse[before])
  subject = recording['subject'].decode()
  return [
    {'subject': subject}
    | {name: float(values[row]) for name, values in columns.items()}
    for row in range(len(chosen))
  ]


def _labelled(recording: dict, shape: ClipShape):
  """Returns labels, whether to test, whether to train, and last samples."""
  timestamp_s = recording['timestamp_s']
  rates = resampling.to_grid(recording['heart_rate_bpm'], timestamp_s)
  labels, weights = clips.window_labels(rates, shape)
  known = weights.numpy() > 0
  ends = _window_ends(len(known), shape).numpy()
  _, newer, _ = resampling.grid_positions(timestamp_s)
  end_s = timestamp_s[newer[ends]]
  tested, trained = (
    known & is_in(split, end_s).numpy() for split in ('test', 'train')
  )
  return labels.numpy(), tested, trained, ends
