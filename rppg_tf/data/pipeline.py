"""Recordings of TFDS → int8 frames → batches of clips.

Recordings are prepared once and cached as int8 frames; clips are cut anew every
epoch.
"""

from collections.abc import Callable

import numpy as np

from rppg_tf import contract
from rppg_tf.data import augmentation, clips
from rppg_tf.data.clips import ClipShape
from rppg_tf.data.teacher_targets import TEACHER, teacher_columns
from rppg_tf.errors import InputError
from rppg_tf.keras_compat import tf
from rppg_tf.signals import background, chrominance

# Recordings among which clips are mixed, beyond the batches' own shuffling:
# of those that are in memory anyway, and of those that are read every epoch.
MIXED_IN_MEMORY = 1024
MIXED_AS_READ = 16

# Faster cameras are thinned out in training (not on the board) to at most
# this rate, so that a clip's number of frames covers its time.
MAX_TRAINING_RATE_HZ = 33


def prepare(recordings: tf.data.Dataset, mode: str) -> tf.data.Dataset:
  """Turns examples into training recordings, ready to be cached.

  Args:
    recordings: examples of tfds_ubfc.
    mode: one of background.MODES.

  Returns:
    Dataset of {codes: int8 [frames, 3, 36, 36, 3], chrominance: int16
    [frames, 4], timestamp_s: float64 [frames], ppg, heart_rate_bpm: float32
    [frames]}, and of what teacher.attach has put there.
  """

  def codes_of(frames, mid_face_rgb, timestamp_s, face_found):
    return (
      background.input_codes(frames, timestamp_s, face_found, mode),
      chrominance.chrominance_codes(mid_face_rgb, timestamp_s, face_found),
    )

  def prepare_one(example):
    names = ('frames', 'mid_face_rgb', 'timestamp_s', 'face_found')
    codes, colour = tf.numpy_function(
      codes_of, [example[name] for name in names], (tf.int8, tf.int16)
    )
    codes.set_shape([None, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE])
    colour.set_shape([None, contract.NUM_CHROMINANCE])
    names = ('timestamp_s', 'ppg', 'heart_rate_bpm')
    series = {name: example[name] for name in names} | teacher_columns(example)
    series |= {'codes': codes, 'chrominance': colour}
    kept = _kept_frames(example['timestamp_s'])
    return {name: tf.gather(value, kept) for name, value in series.items()}

  return recordings.map(prepare_one, num_parallel_calls=tf.data.AUTOTUNE)


def _kept_frames(timestamp_s):
  """Indices of every n-th frame, so that the rate is at most the maximum."""
  num_frames = tf.shape(timestamp_s)[0]
  duration_s = tf.maximum(timestamp_s[-1] - timestamp_s[0], 1e-3)
  rate_hz = tf.cast(num_frames, tf.float64) / duration_s
  step = tf.math.ceil(rate_hz / MAX_TRAINING_RATE_HZ)
  return tf.range(0, num_frames, tf.cast(step, tf.int32))


def training_clips(
  recordings: tf.data.Dataset,
  shape: ClipShape,
  batch_size: int,
  clips_per_recording: int,
  seed: int,
  num_mixed: int = MIXED_IN_MEMORY,
) -> tf.data.Dataset:
  """Cuts clips at random places, augmented, shuffled and batched.

  Args:
    recordings: from `prepare`, cached or not.
    shape: how to cut.
    batch_size: clips in a batch.
    clips_per_recording: clips cut from a recording in an epoch.
    seed: makes the sequence of all epochs reproducible.
    num_mixed: recordings held at a time, of which the next is drawn.

  Returns:
    Dataset of (inputs, targets, sample weights) for Keras' fit.
  """
  return cut_at_random(
    long_enough(recordings, shape).shuffle(num_mixed, seed),
    lambda item, seed: augmentation.random_clip(item, seed, shape),
    batch_size,
    clips_per_recording,
    seed,
  )


def cut_at_random(
  recordings: tf.data.Dataset,
  cut: Callable,
  batch_size: int,
  clips_per_recording: int,
  seed: int,
) -> tf.data.Dataset:
  """Cuts clips of each recording, shuffles and batches them.

  Args:
    recordings: from `prepare`, each long enough for a clip.
    cut: gives (inputs, targets, sample weights) of a recording and a seed,
      int32 [2].
    batch_size: clips in a batch.
    clips_per_recording: clips cut from a recording in an epoch.
    seed: makes the sequence of all epochs reproducible.
  """
  items = recordings.flat_map(
    lambda item: tf.data.Dataset.from_tensors(item).repeat(clips_per_recording)
  )
  seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
  pairs = tf.data.Dataset.zip((items, seeds.batch(2)))
  clips = pairs.map(
    lambda item, seed: cut(item, tf.cast(seed, tf.int32)),
    num_parallel_calls=tf.data.AUTOTUNE,
    deterministic=True,
  )
  clips = clips.shuffle(4 * batch_size, seed)
  return clips.batch(batch_size, drop_remainder=True).prefetch(2)


def validation_clips(
  recordings: tf.data.Dataset,
  shape: ClipShape,
  batch_size: int,
  num_replicas: int = 1,
) -> tf.data.Dataset:
  """Cuts every recording end to end into clips, always the same ones.

  Batched as pipeline.validation_batches says; its InputErrors.
  """

  def cut_all(item):
    num_frames = tf.shape(item['timestamp_s'], out_type=tf.int64)[0]
    step = shape.num_frames
    starts = tf.data.Dataset.range(0, num_frames - step + 1, step)
    return starts.map(
      lambda start: clips.cut_clip(
        item, tf.cast(start, tf.int32), tf.constant(1.0, tf.float64), shape
      )
    )

  every = long_enough(recordings, shape).flat_map(cut_all)
  return validation_batches(every, batch_size, num_replicas)


def long_enough(
  recordings: tf.data.Dataset, shape: ClipShape
) -> tf.data.Dataset:
  """Returns the recordings that a clip can be cut from."""
  return recordings.filter(
    lambda item: tf.shape(item['timestamp_s'])[0] >= shape.num_frames
  )


def survey(recordings: tf.data.Dataset, shape: ClipShape) -> tuple[float, int]:
  """Passes over training recordings once.

  Args:
    recordings: examples of tfds_ubfc, or from `prepare`.
    shape: how clips will be cut.

  Returns:
    The mean of all known labels, BPM (the predictor to beat), and how many
    recordings are long enough for a clip.

  Raises:
    InputError: no frame has a label.
  """
  sum_bpm, num_known, num_long_enough = 0.0, 0, 0
  for item in recordings.as_numpy_iterator():
    rates_bpm = item['heart_rate_bpm']
    known = rates_bpm > contract.NO_PULSE_BPM
    sum_bpm += float(np.sum(rates_bpm, where=known, dtype=np.float64))
    num_known += int(np.sum(known))
    num_long_enough += len(item['timestamp_s']) >= shape.num_frames
  if not num_known:
    raise InputError('no training recording has a heart rate; give others')
  return sum_bpm / num_known, num_long_enough


def validation_batches(
  clips: tf.data.Dataset, batch_size: int, num_replicas: int
) -> tf.data.Dataset:
  """Batches clips so that each counts once and each replica has some of all.

  Several replicas have full batches only: the last one is filled up with a
  clip that weighs nothing. Losses are means over all clips of a batch, these
  too, so that the others weigh more by as much. Errors in BPM are means over
  weights, to which a factor for all does nothing.

  Args:
    clips: (inputs, targets, sample weights), not batched; passed over once to
      count them.
    batch_size: clips in a batch of all replicas together, a multiple of
      num_replicas.
    num_replicas: how many share each batch.

  Raises:
    InputError: there is no clip, or none with a heart rate to compare with.
  """
  num_clips, num_labels = _count(clips)
  if not num_clips:
    raise InputError(
      'no validation recording is as long as a clip (11 s); give longer ones'
    )
  if not num_labels:
    raise InputError(
      'no window of the validation recordings has a steady heart rate in '
      'range; give others'
    )
  if num_replicas == 1:
    return clips.batch(batch_size).prefetch(2)
  num_filling = -num_clips % batch_size
  filling = (
    clips.take(1)
    .map(_weighed(0.0))
    .flat_map(
      lambda *clip: tf.data.Dataset.from_tensors(clip).repeat(num_filling)
    )
  )
  clips = clips.map(_weighed((num_clips + num_filling) / num_clips))
  filled = clips.concatenate(filling)
  return filled.batch(batch_size, drop_remainder=True).prefetch(2)


def _count(clips: tf.data.Dataset) -> tuple[int, int]:
  """Returns how many clips there are, and how many rates to compare with."""

  def add(counts, clip):
    _, _, weights = clip
    labels = [
      tf.math.count_nonzero(weights[name])
      for name in ('heart_rate_bpm', f'{TEACHER}heart_rate_bpm')
      if name in weights
    ]
    return counts + tf.stack([1, tf.add_n(labels)])

  num_clips, num_labels = clips.reduce(tf.zeros(2, tf.int64), add).numpy()
  return int(num_clips), int(num_labels)


def _weighed(factor: float):
  """Returns what multiplies a clip's sample weights."""

  def weighed(inputs, targets, weights):
    return (
      inputs,
      targets,
      {name: factor * weight for name, weight in weights.items()},
    )

  return weighed
