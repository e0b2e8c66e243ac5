"""The leaky protocol: windows of one recording in training and in test."""

import numpy as np

from rppg_tf.data import clips, pipeline
from rppg_tf.data.clips import ClipShape
from rppg_tf.data.splits import SPLITS
from rppg_tf.keras_compat import tf

# Printed and written beside every figure of this protocol.
WARNING = (
  'split by window: every person in the test windows was trained on; this is '
  'not the error on people never seen'
)

_SHARES = (0.7, 0.1, 0.2)  # of splits.SPLITS
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

  Not augmented, unlike pipeline.training_clips: UltraLightRPPG is not, and a
  face that is turned and played faster is harder to remember.

  Args:
    recordings: from pipeline.prepare, cached.
    shape: how to cut.
    batch_size: clips in a batch.
    clips_per_recording: clips cut from a recording in an epoch.
    seed: makes the sequence of all epochs reproducible.

  Returns:
    Dataset of (inputs, targets, sample weights) for Keras' fit.
  """

  def cut(item, clip_seed):
    last_start = tf.shape(item['codes'])[0] - shape.num_frames
    start = tf.random.stateless_uniform(
      [], clip_seed, 0, last_start + 1, tf.int32
    )
    return _cut_clip(item, start, shape, 'train')

  return pipeline.cut_at_random(
    pipeline.long_enough(recordings, shape),
    cut,
    batch_size,
    clips_per_recording,
    seed,
  )


def validation_clips(
  recordings: tf.data.Dataset,
  shape: ClipShape,
  batch_size: int,
  num_replicas: int = 1,
) -> tf.data.Dataset:
  """Cuts the first clip of every recording; validation windows count.

  Batched as pipeline.validation_batches says; its InputErrors.
  """
  first = pipeline.long_enough(recordings, shape).map(
    lambda item: _cut_clip(item, tf.constant(0), shape, 'validation')
  )
  return pipeline.validation_batches(first, batch_size, num_replicas)


def _cut_clip(item, start, shape: ClipShape, split: str):
  """clips.cut_clip, windows of other splits weighing nothing."""
  speed = tf.constant(1.0, tf.float64)
  inputs, targets, weights = clips.cut_clip(item, start, speed, shape)
  ends = window_ends(tf.shape(targets['heart_rate_bpm'])[0], shape)
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


def window_ends(num_windows, shape: ClipShape):
  """Returns the last sample of each of a head's windows."""
  span = (shape.window - 1) * shape.window_spacing + 1
  return tf.range(num_windows) * shape.window_stride + span - 1
