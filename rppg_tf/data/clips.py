"""TFDS recordings → background-normalised codes → training clips.

A clip is a run of video frames of one recording with the labels of every
window in it. Recordings are prepared once and cached as int8 codes; clips
are cut anew every epoch.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from rppg_tf import contract
from rppg_tf.data import teacher_targets
from rppg_tf.data.teacher_targets import TEACHER, taught
from rppg_tf.errors import InputError
from rppg_tf.signals import background, chrominance
from rppg_tf.training import distribution

# Recordings among which clips are mixed, beyond the batches' own shuffling:
# of those that are in memory anyway, and of those that are read every epoch.
MIXED_IN_MEMORY = 1024
MIXED_AS_READ = 16
# What a frame brings to a network, by the name of its input.
_FRAME_SHAPES = {
  'codes': (contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE),
  'chrominance': (contract.NUM_CHROMINANCE,),
  'features': (contract.NUM_FRAME_FEATURES,),
}
# Faster cameras are thinned out in training (not on the board) to at most
# this rate, so that a clip's number of frames covers its time.
MAX_TRAINING_RATE_HZ = 33


@dataclasses.dataclass(frozen=True)
class ClipShape:
  """How clips are cut.

  Attributes:
    num_samples: length of a clip on the 30 Hz grid.
    num_frames: video frames a clip holds; it spans num_samples at up to
      MAX_TRAINING_RATE_HZ.
    window: samples in a label window.
    window_spacing: samples between two of a window's samples.
    window_stride: samples from one window to the next.
    label: `mean` of the window's heart rates, or of its `middle` sample.
    targets: what the network has outputs and losses for.
    teacher_weight: share of a teacher's targets against the labels' in the
      loss, in [0, 1], where the teacher says something.
  """

  num_samples: int = 300
  num_frames: int = 330
  window: int = contract.WINDOW_SAMPLES
  window_spacing: int = 1
  window_stride: int = contract.GRID_RATE_HZ
  label: str = 'mean'
  targets: tuple[str, ...] = ('heart_rate_bpm', 'pulse', 'rate_probability')
  teacher_weight: float = 0.0


def subjects_by_split(data_dir: str, roi_geometry: str) -> dict[str, list[str]]:
  """Returns the subjects of every split of a build, sorted.

  Args:
    data_dir: the --data_dir of `tfds build`.
    roi_geometry: the dataset's configuration, `inner` or `original`.
  """
  builder = _builder(data_dir, roi_geometry)
  only_subject = tfds.decode.PartialDecoding({'subject': tf.string})
  subjects = {}
  for split in builder.info.splits:
    examples = builder.as_dataset(
      split=split, decoders=only_subject, read_config=_read_config()
    )
    names = {item['subject'].decode() for item in tfds.as_numpy(examples)}
    subjects[split] = sorted(names)
  return subjects


def load_recordings(
  data_dir: str,
  roi_geometry: str,
  subjects: Sequence[str],
  shuffle_seed: int | None = None,
) -> tf.data.Dataset:
  """Reads recordings that `tfds build` has written, whatever their split.

  Args:
    data_dir: the --data_dir of `tfds build`.
    roi_geometry: the dataset's configuration, `inner` or `original`.
    subjects: whose recordings.
    shuffle_seed: for the files' order, another in each pass; None for a fixed
      one.

  Returns:
    Dataset of the examples of tfds_ubfc, file by file.
  """
  wanted = tf.constant(list(subjects))
  examples = _builder(data_dir, roi_geometry).as_dataset(
    split='all',
    shuffle_files=shuffle_seed is not None,
    read_config=_read_config(shuffle_seed),
  )
  return examples.filter(
    lambda example: tf.reduce_any(example['subject'] == wanted)
  )


def recording_times(
  data_dir: str, roi_geometry: str, subjects: Sequence[str]
) -> list[tuple[str, np.ndarray]]:
  """Returns subject and timestamp_s, float64 [frames], of each recording.

  Args:
    data_dir: the --data_dir of `tfds build`.
    roi_geometry: the dataset's configuration, `inner` or `original`.
    subjects: whose recordings.

  Returns:
    In the order of load_recordings.
  """
  examples = _builder(data_dir, roi_geometry).as_dataset(
    split='all',
    read_config=_read_config(),
    decoders=tfds.decode.PartialDecoding({'subject', 'timestamp_s'}),
  )
  every = [
    (example['subject'].decode(), example['timestamp_s'])
    for example in examples.as_numpy_iterator()
  ]
  return [(name, times) for name, times in every if name in set(subjects)]


def _read_config(shuffle_seed: int | None = None) -> tfds.ReadConfig:
  """File by file; TFDS itself reads nothing ahead and keeps nothing.

  It would hold 16 recordings of each file, and all of a small dataset, beside
  what --cache says.
  """
  return tfds.ReadConfig(
    interleave_cycle_length=1,
    interleave_block_length=1,
    skip_prefetch=True,
    try_autocache=False,
    shuffle_seed=shuffle_seed,
  )


def _builder(data_dir: str, roi_geometry: str) -> tfds.core.DatasetBuilder:
  import tfds_ubfc  # noqa: F401  Registers the dataset with TFDS.

  builder = tfds.builder(f'tfds_ubfc/{roi_geometry}', data_dir=data_dir)
  if not builder.info.splits:
    raise InputError(
      f'{data_dir}: no tfds_ubfc/{roi_geometry} dataset here; run '
      f'`tfds build tfds_ubfc --manual_dir=... --data_dir={data_dir}`'
    )
  return builder


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

  def codes_of(frames, mid_face_rgb, *when):
    return (
      background.input_codes(frames, *when, mode),
      chrominance.chrominance_codes(mid_face_rgb, *when),
    )

  def prepare_one(example):
    names = ('frames', 'mid_face_rgb', 'timestamp_s', 'face_found')
    codes, colour = tf.numpy_function(
      codes_of, [example[name] for name in names], (tf.int8, tf.int16)
    )
    codes.set_shape([None, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE])
    colour.set_shape([None, contract.NUM_CHROMINANCE])
    names = ('timestamp_s', 'ppg', 'heart_rate_bpm')
    series = {name: example[name] for name in names} | taught(example)
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
  recordings = recordings.filter(lambda item: _long_enough(item, shape))
  recordings = recordings.shuffle(num_mixed, seed)
  items = recordings.flat_map(
    lambda item: tf.data.Dataset.from_tensors(item).repeat(clips_per_recording)
  )
  seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
  pairs = tf.data.Dataset.zip((items, seeds.batch(2)))
  clips = pairs.map(
    lambda item, seed: random_clip(item, tf.cast(seed, tf.int32), shape),
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

  Batched as distribution.validation_batches says; its InputErrors.
  """

  def cut_all(item):
    num_frames = tf.shape(item['timestamp_s'], out_type=tf.int64)[0]
    step = shape.num_frames
    starts = tf.data.Dataset.range(0, num_frames - step + 1, step)
    return starts.map(
      lambda start: cut_clip(
        item, tf.cast(start, tf.int32), tf.constant(1.0, tf.float64), shape
      )
    )

  recordings = recordings.filter(lambda item: _long_enough(item, shape))
  return distribution.validation_batches(
    recordings.flat_map(cut_all), batch_size, num_replicas
  )


def _long_enough(item, shape: ClipShape):
  return tf.shape(item['timestamp_s'])[0] >= shape.num_frames


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
  clip = cut_clip(item, start, speed, shape)
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


def cut_clip(item, start, speed, shape: ClipShape):
  """Cuts one clip whose grid ends at its last frame.

  Args:
    item: one recording of `prepare`, or of training.encoded_recordings.
    start: int32, first frame.
    speed: float64, grid steps are speed / 30 s.
    shape: how to cut.

  Returns:
    (inputs of build_network or build_head_network, targets, sample weights),
    unbatched, of shape.targets: pulse float32 [num_samples]; heart_rate_bpm
    float32 [windows], and the same as rate_probability, whose loss makes a
    distribution of it. A recording without a pulse has weight in
    rate_probability alone. With a teacher also its targets, TEACHER and a
    name each (teacher_targets.py).
  """
  end = start + shape.num_frames
  stamps = item['timestamp_s'][start:end]
  older, newer, fraction = _grid_positions(stamps, speed, shape.num_samples)

  def on_grid(values):
    share = tf.reshape(fraction, [-1] + [1] * (len(values.shape) - 1))
    first = tf.gather(values[start:end], older)
    return first + share * (tf.gather(values[start:end], newer) - first)

  rates = on_grid(item['heart_rate_bpm']) * tf.cast(speed, tf.float32)
  labels, weights = window_labels(rates, shape)
  pulse_less = tf.reduce_all(item['heart_rate_bpm'] == contract.NO_PULSE_BPM)
  has_pulse = tf.where(pulse_less, 0.0, 1.0)
  inputs = {
    name: tf.ensure_shape(item[name][start:end], [shape.num_frames, *frame])
    for name, frame in _FRAME_SHAPES.items()
    if name in item
  }
  inputs |= {
    'older': older,
    'newer': newer,
    'fraction': fraction,
  }
  targets = {
    'pulse': on_grid(item['ppg']),
    'heart_rate_bpm': labels,
    'rate_probability': labels,
  }
  target_weights = {
    'pulse': has_pulse,
    'heart_rate_bpm': weights,
    # Without a pulse no rate is to be more probable than another.
    'rate_probability': tf.maximum(weights, 1.0 - has_pulse),
  }
  targets = {name: targets[name] for name in shape.targets}
  weights = {name: target_weights[name] for name in shape.targets}
  said = {name: on_grid(values) for name, values in taught(item).items()}
  if said:
    more = teacher_targets.targets(said, speed, shape)
    teacher_targets.share(targets, weights, *more, has_pulse, shape)
  return inputs, targets, weights


def _grid_positions(stamps, speed, num_samples: int):
  """As feature_timeline.grid_positions, for a grid that ends with the clip."""
  step_s = speed / contract.GRID_RATE_HZ
  back = tf.cast(tf.range(num_samples - 1, -1, -1), tf.float64)
  grid_s = tf.maximum(stamps[-1] - back * step_s, stamps[0])
  newer = tf.searchsorted(stamps, grid_s, side='left')
  older = tf.maximum(newer - 1, 0)
  start_s = tf.gather(stamps, older)
  span_s = tf.gather(stamps, newer) - start_s
  fraction = tf.where(
    span_s > 0, (grid_s - start_s) / tf.maximum(span_s, 1e-9), 1.0
  )
  return older, newer, tf.cast(fraction, tf.float32)


def window_labels(heart_rate_bpm, shape: ClipShape):
  """Labels every window of a heart-rate series; NaN means not known.

  A window is dropped (weight 0) where any of its rates is unknown or outside
  40-160 BPM, or where they deviate by 15 BPM or more.

  Args:
    heart_rate_bpm: float32 [num_samples].
    shape: window, window_spacing, window_stride, label.

  Returns:
    labels float32 [windows] BPM (0 where dropped), weights float32
    [windows], 0 or 1.
  """
  span = (shape.window - 1) * shape.window_spacing + 1
  windows = tf.signal.frame(heart_rate_bpm, span, shape.window_stride)
  windows = windows[:, :: shape.window_spacing]
  in_range = (windows >= contract.MIN_LABEL_BPM) & (
    windows <= contract.MAX_LABEL_BPM
  )
  steady = tf.math.reduce_std(windows, 1) < contract.MAX_LABEL_DEVIATION_BPM
  known = tf.reduce_all(in_range, 1) & steady
  if shape.label == 'middle':
    label = windows[:, shape.window // 2]
  else:
    label = tf.reduce_mean(windows, 1)
  return tf.where(known, label, 0.0), tf.cast(known, tf.float32)


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
