"""Teacher columns of a recording → targets beside the labels of a clip."""

from rppg_tf import contract
from rppg_tf.keras_compat import tf
from rppg_tf.signals import spectrum

# Names of a teacher's outputs, and of targets made of them, begin with this.
TEACHER = 'teacher_'


def teacher_columns(item: dict) -> dict:
  """Returns a recording's teacher outputs, empty without a teacher."""
  return {name: item[name] for name in item if name.startswith(TEACHER)}


def blend(targets, weights, outputs, known, has_pulse, shape) -> None:
  """Blends labels and teacher in the loss of a clip.

  The blend weight of the teacher is shape.teacher_weight where there are
  teacher outputs, and 0 where they are missing.

  Args:
    targets, weights: of the labels, by name; the teacher's are added.
    outputs, known: of `targets`.
    has_pulse: float32 0 or 1; without, the teacher can only be wrong.
    shape: clips.ClipShape.
  """
  for name in sorted(known.keys() & weights.keys()):
    part = shape.teacher_weight * has_pulse * known[name]
    weights[name] = weights[name] * (1.0 - part)
    weights[f'{TEACHER}{name}'] = part
    targets[f'{TEACHER}{name}'] = outputs[name]
  if 'features' in known:
    weights[f'{TEACHER}features'] = known['features']
    targets[f'{TEACHER}features'] = outputs['features']


def targets(outputs, speed, shape):
  """Makes targets of teacher outputs; they hold no NaN.

  The teacher's rate of a window is the one of the window's middle: the teacher
  has looked around there itself.

  Args:
    outputs: of `teacher_columns`, on the clip's grid: float32 [num_samples] or
      [num_samples, values].
    speed: float64, rates are to be multiplied by it.
    shape: clips.ClipShape, how windows are cut.

  Returns:
    targets: by name of teacher_table.COLUMNS, heart_rate_bpm float32
      [windows]; rate_probability [windows, 71], or heart_rate_bpm again where
      there is none; pulse [num_samples], features [num_samples, n] where
      there are.
    known: by the same names, what each counts, 0 or 1: [windows], [windows],
      scalar, scalar.
  """
  outputs = {
    name.removeprefix(TEACHER): values for name, values in outputs.items()
  }
  speed = tf.cast(speed, tf.float32)
  span = (shape.window - 1) * shape.window_spacing + 1
  num_windows = (shape.num_samples - span) // shape.window_stride + 1
  middles = (shape.window // 2) * shape.window_spacing
  middles = middles + shape.window_stride * tf.range(num_windows)
  rates = tf.gather(outputs['heart_rate_bpm'], middles) * speed
  is_known = (rates >= contract.MIN_LABEL_BPM) & (
    rates <= contract.MAX_LABEL_BPM
  )
  rates = tf.where(is_known, rates, 0.0)
  found = {'heart_rate_bpm': rates, 'rate_probability': rates}
  if 'rate_probability' in outputs:
    drawn_out = stretch_rates(
      tf.gather(outputs['rate_probability'], middles), speed
    )
    is_finite = tf.reduce_all(tf.math.is_finite(drawn_out), 1)
    is_known = is_known & is_finite
    found['rate_probability'] = tf.where(
      is_known[:, tf.newaxis], drawn_out, 1.0 / contract.NUM_RATES
    )
  known = dict.fromkeys(found, tf.cast(is_known, tf.float32))
  for name in outputs.keys() & {'pulse', 'features'}:
    is_whole = tf.reduce_all(tf.math.is_finite(outputs[name]))
    found[name] = tf.where(is_whole, outputs[name], 0.0)
    known[name] = tf.cast(is_whole, tf.float32)
  return found, known


def stretch_rates(probability, speed):
  """Returns the distribution of rates that are all multiplied by `speed`.

  Args:
    probability: float32 [windows, 71] at 40, 42, ... 180 BPM.
    speed: float32.

  Returns:
    float32 [windows, 71], summing to 1; what leaves 40-180 BPM is lost.
  """
  position = (
    tf.constant(spectrum.rates_bpm()) / speed - contract.MIN_RATE_BPM
  ) / contract.RATE_STEP_BPM
  last = contract.NUM_RATES - 1
  inside = tf.cast((position >= 0) & (position <= last), tf.float32)
  position = tf.clip_by_value(position, 0.0, float(last))
  lower = tf.minimum(tf.cast(position, tf.int32), last - 1)
  share = position - tf.cast(lower, tf.float32)
  low = tf.gather(probability, lower, axis=1)
  high = tf.gather(probability, lower + 1, axis=1)
  stretched = (low + share * (high - low)) * inside
  total = tf.reduce_sum(stretched, axis=1, keepdims=True)
  return stretched / tf.maximum(total, 1e-6)
