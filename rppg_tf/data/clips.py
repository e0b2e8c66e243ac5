"""A clip: a run of frames of one recording, with the label of every window."""

import dataclasses

from rppg_tf import contract
from rppg_tf.data import teacher_targets
from rppg_tf.data.teacher_targets import teacher_columns
from rppg_tf.errors import InputError
from rppg_tf.keras_compat import tf

# What a frame brings to a network, by the name of its input.
FRAME_SHAPES = {
  'codes': (contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE),
  'chrominance': (contract.NUM_CHROMINANCE,),
  'features': (contract.NUM_FRAME_FEATURES,),
}


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
    teacher_weight: blend weight of a teacher's targets against the labels' in
      the loss, in [0, 1], where there are teacher outputs.
  """

  num_samples: int = 300
  num_frames: int = 330
  window: int = contract.WINDOW_SAMPLES
  window_spacing: int = 1
  window_stride: int = contract.GRID_RATE_HZ
  label: str = 'mean'
  targets: tuple[str, ...] = ('heart_rate_bpm', 'pulse', 'rate_probability')
  teacher_weight: float = 0.0


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
    for name, frame in FRAME_SHAPES.items()
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
  outputs = {
    name: on_grid(values) for name, values in teacher_columns(item).items()
  }
  if outputs:
    more = teacher_targets.targets(outputs, speed, shape)
    teacher_targets.blend(targets, weights, *more, has_pulse, shape)
  return inputs, targets, weights


def _grid_positions(stamps, speed, num_samples: int):
  """As resampling.grid_positions, for a grid that ends with the clip."""
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


def clip_shape(head: str, window: int, frame_stride: int) -> ClipShape:
  """Returns how clips are cut and labelled for a head."""
  if head == 'pulse':
    return ClipShape()
  return ClipShape(
    window=window,
    window_spacing=frame_stride,
    window_stride=1,
    label='middle',
    targets=('heart_rate_bpm',),
  )


def steps_per_epoch(
  num_recordings: int, clips_per_recording: int, batch_size: int
) -> int:
  """Returns the number of batches in an epoch of training_clips.

  Args:
    num_recordings: of those that are long enough for a clip.
    clips_per_recording: clips cut in an epoch.
    batch_size: clips in a batch.

  Raises:
    InputError: there is not one whole batch.
  """
  num_clips = num_recordings * clips_per_recording
  if num_clips < batch_size:
    raise InputError(
      f'--batch_size={batch_size}: more than the {num_clips} clips of an '
      f'epoch ({num_recordings} training recordings of 11 s or more); give a '
      'smaller one, more --clips_per_recording or more recordings'
    )
  return num_clips // batch_size
