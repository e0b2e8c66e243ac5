"""Feature frames on the 30 Hz grid → pulse wave → heart rate, confidence.

Two stages, both causal and both cheap to run frame by frame:

  52 features → running standardisation → 3 causal convolutions → one pulse
  sample a frame;
  last 10 s of the pulse → Hann-windowed power at 40, 42, ... 180 BPM →
  logarithm, plus 3 small convolutions over it → distribution over rates →
  mean of its cubes (BPM) and the probability near that (confidence).

`build_pulse_head` is the batch form that trains; `PulseStream` computes the
same pulse one frame at a time, which is what the emitted C does.
"""

import math

import numpy as np
import tensorflow as tf

from rppg_tf import contract
from rppg_tf.keras_compat import keras

KERNEL_SIZE = 5
# Added to the running variance. Features are about 0.1 wide: this only keeps
# a feature that stands still from being divided by zero.
VARIANCE_FLOOR = 1e-4
# Added to the relative power before its logarithm, so that an empty bin does
# not reach the network as minus infinity.
POWER_FLOOR = 1e-3
# The confidence is the probability this close to the estimate: rates within
# 5 BPM count whole, from 7 BPM on not at all, linearly in between.
CONFIDENCE_SPAN_BPM = 6.0

_PULSE_LAYERS = ('pulse_conv1', 'pulse_conv2', 'pulse')
_RATE_KERNEL_SIZES = (9, 9, 5)
_RATE_CHANNELS = 8
# What the spectrum's logarithm weighs in the logits before training: the head
# begins as a soft choice of the highest peak, and learns when not to.
_RATE_SKIP = 2.0


def rates_bpm() -> np.ndarray:
  """Returns the rates of the spectrum, float32 [71]: 40, 42, ... 180 BPM."""
  return (
    contract.MIN_RATE_BPM
    + contract.RATE_STEP_BPM * np.arange(contract.NUM_RATES)
  ).astype(np.float32)


def standardisation_weight() -> np.float32:
  """The share of a new sample in the running mean once it has settled."""
  samples = contract.STANDARDISATION_TIME_CONSTANT_S * contract.GRID_RATE_HZ
  # 1 minus a float32 is exact: weight and 1 - weight add up to 1, or a
  # constant feature would have another mean.
  return np.float32(1.0) - np.float32(math.exp(-1.0 / samples))


def confidence_limit_bpm() -> float:
  """Rates this far from the estimate, or farther, lend it no confidence."""
  return CONFIDENCE_SPAN_BPM + contract.RATE_STEP_BPM / 2


def hann_window() -> np.ndarray:
  """Returns the periodic Hann window over the pulse, float32 [300]."""
  phase = 2 * np.pi * np.arange(contract.WINDOW_SAMPLES)
  phase /= contract.WINDOW_SAMPLES
  return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


def fourier_basis() -> np.ndarray:
  """Returns cos and sin of every rate at every sample, float32 [300, 142].

  All phases are multiples of one turn / 900 (2 BPM at 30 Hz), so C computes
  the same numbers from a table of 900 cosines.
  """
  turn = 60 * contract.GRID_RATE_HZ
  rates = rates_bpm().astype(np.int64)
  steps = np.outer(np.arange(contract.WINDOW_SAMPLES), rates) % turn
  phase = 2 * np.pi * steps / turn
  return np.concatenate([np.cos(phase), np.sin(phase)], 1).astype(np.float32)


@keras.utils.register_keras_serializable('rppg_tf')
class RunningStandardisation(keras.layers.Layer):
  """[batch, samples, features] → the same, standardised by its own past.

  With a = max(1 - exp(-dt / tau), 1 / samples seen), per feature:
    d = x - mean;  mean += a * d;  variance = (1 - a) * (variance + a * d * d)
    output = (x - mean) / sqrt(variance + VARIANCE_FLOOR)
  (West 1979, "Updating mean and variance estimates").

  Both recursions are y[t] = c[t] * y[t-1] + u[t]; they are computed for all
  samples at once by doubling the reach of y instead of looping over time.
  """

  def call(self, features):
    """Standardises; the number of samples may be unknown."""
    # The result does not depend on an offset; its roundings do.
    features -= features[:, :1]
    num_samples = tf.shape(features)[1]
    weight = tf.maximum(
      standardisation_weight(),
      1.0 / tf.cast(tf.range(1, num_samples + 1), tf.float32),
    )[tf.newaxis, :, tf.newaxis]
    keep = 1.0 - weight
    mean = _recursion(keep, weight * features)
    deviation = features - _delay(mean, 1)
    variance = _recursion(keep, keep * weight * tf.square(deviation))
    return (features - mean) / tf.sqrt(variance + VARIANCE_FLOOR)


def _delay(values, steps: int):
  """Shifts [batch, samples, features] by `steps` samples; zeros move in."""
  num_samples = tf.shape(values)[1]
  return tf.pad(values, [[0, 0], [steps, 0], [0, 0]])[:, :num_samples]


def _recursion(keep, update):
  """Solves y[t] = keep[t] * y[t-1] + update[t], y[-1] = 0, along axis 1.

  Reaches back 2,048 samples; what is older weighs less than 2e-12, below
  float32 resolution.
  """
  for exponent in range(11):
    update = update + keep * _delay(update, 2**exponent)
    keep = keep * _delay(keep, 2**exponent)
  return update


@keras.utils.register_keras_serializable('rppg_tf')
class PulseSpectrum(keras.layers.Layer):
  """[batch, samples] pulse → [batch, windows, 71, 1] log relative power.

  Per window of 300 samples: minus its mean, times Hann, power P of the
  Fourier sum at each rate, log(P / mean over rates of P + POWER_FLOOR).

  No gradient passes back to the pulse, which learns from the PPG alone: the
  rate is as well read off an inverted wave, and a pulse that has begun as one
  would have to pass through zero to turn over.
  """

  def __init__(self, stride: int, **kwargs):
    super().__init__(**kwargs)
    self.stride = stride

  def call(self, pulse):
    """Takes the spectrum of every window."""
    pulse = tf.stop_gradient(pulse)
    windows = tf.signal.frame(pulse, contract.WINDOW_SAMPLES, self.stride)
    windows -= tf.reduce_mean(windows, axis=-1, keepdims=True)
    parts = tf.linalg.matmul(windows * hann_window(), fourier_basis())
    real, imaginary = tf.split(parts, 2, axis=-1)
    power = tf.square(real) + tf.square(imaginary)
    mean_power = tf.reduce_mean(power, axis=-1, keepdims=True)
    relative = power / (mean_power + 1e-12)
    return tf.math.log(relative + POWER_FLOOR)[..., tf.newaxis]

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {**super().get_config(), 'stride': self.stride}


@keras.utils.register_keras_serializable('rppg_tf')
class ExpectedRate(keras.layers.Layer):
  """[..., 71] probabilities → [...] BPM, the mean of their cubes.

  The cubes, scaled to sum up to 1, are the distribution at a third of its
  temperature: what lies far from its peak does not pull the mean away.
  """

  def call(self, probability):
    """Sums rate times cube."""
    cubes = probability**3
    moment = tf.linalg.matvec(cubes, rates_bpm())
    return moment / tf.reduce_sum(cubes, axis=-1)


@keras.utils.register_keras_serializable('rppg_tf')
class ProbabilityNear(keras.layers.Layer):
  """([..., 71] probabilities, [...] BPM) → [...] probability near the BPM."""

  def call(self, inputs):
    """Sums the probabilities of the rates near the estimate."""
    probability, bpm = inputs
    distance = tf.abs(rates_bpm() - bpm[..., tf.newaxis])
    share = (confidence_limit_bpm() - distance) / contract.RATE_STEP_BPM
    near = tf.clip_by_value(share, 0.0, 1.0)
    return tf.reduce_sum(probability * near, axis=-1)


def build_pulse_head(
  window_stride: int = contract.WINDOW_STRIDE_S * contract.GRID_RATE_HZ,
) -> keras.Model:
  """Builds the head over a feature sequence of at least 300 samples.

  Args:
    window_stride: grid samples from one 10 s window to the next.

  Returns:
    Model float32 [batch, samples, 52] → {'pulse': [batch, samples],
    'rate_probability': [batch, windows, 71], 'heart_rate_bpm': [batch,
    windows], 'confidence': [batch, windows] in [0, 1]}, all float32.
  """
  features = keras.Input((None, contract.NUM_FRAME_FEATURES), name='features')
  x = RunningStandardisation(name='standardise')(features)
  # [batch, samples, 52]
  x = _causal_conv(20, 'relu', _PULSE_LAYERS[0])(x)  # [batch, samples, 20]
  x = _causal_conv(16, 'relu', _PULSE_LAYERS[1])(x)  # [batch, samples, 16]
  x = _causal_conv(1, None, _PULSE_LAYERS[2])(x)  # [batch, samples, 1]
  pulse = keras.layers.Reshape((-1,), name='pulse_wave')(x)
  # [batch, samples]
  spectrum = PulseSpectrum(window_stride, name='spectrum')(pulse)
  # [batch, windows, 71, 1]
  x = spectrum
  for number, kernel_size in enumerate(_RATE_KERNEL_SIZES, 1):
    last = number == len(_RATE_KERNEL_SIZES)
    x = keras.layers.Conv1D(
      1 if last else _RATE_CHANNELS,
      kernel_size,
      padding='same',
      activation=None if last else 'relu',
      name=f'rate_conv{number}',
    )(x)  # [batch, windows, 71, 8], at last [batch, windows, 71, 1]
  skip = keras.layers.Conv1D(
    1,
    1,
    use_bias=False,
    kernel_initializer=keras.initializers.Constant(_RATE_SKIP),
    name='rate_skip',
  )(spectrum)  # [batch, windows, 71, 1]
  x = keras.layers.Add(name='rate_scores')([x, skip])
  x = keras.layers.Reshape((-1, contract.NUM_RATES), name='rate_logits')(x)
  probability = keras.layers.Softmax(name='rate_probability')(x)
  # [batch, windows, 71]
  bpm = ExpectedRate(name='heart_rate')(probability)  # [batch, windows]
  confidence = ProbabilityNear(name='confidence')([probability, bpm])
  outputs = {
    'pulse': pulse,
    'rate_probability': probability,
    'heart_rate_bpm': bpm,
    'confidence': confidence,
  }
  return keras.Model(features, outputs, name='pulse_head')


def _causal_conv(channels: int, activation: str | None, name: str):
  return keras.layers.Conv1D(
    channels, KERNEL_SIZE, padding='causal', activation=activation, name=name
  )


class PulseStream:
  """The pulse of a trained head, one frame at a time, in NumPy float32."""

  def __init__(self, head: keras.Model):
    self._layers = [
      head.get_layer(name).get_weights() for name in _PULSE_LAYERS
    ]
    self._columns = [
      np.zeros((KERNEL_SIZE, kernel.shape[1]), np.float32)
      for kernel, _ in self._layers
    ]
    self._mean = np.zeros(contract.NUM_FRAME_FEATURES, np.float32)
    self._variance = np.zeros(contract.NUM_FRAME_FEATURES, np.float32)
    self._samples_seen = 0

  def push(self, features: np.ndarray) -> np.float32:
    """Takes float32 [52] features of one grid time, returns its pulse."""
    column = self._standardise(features)
    for index, (kernel, bias) in enumerate(self._layers):
      past = self._columns[index]
      past[:-1] = past[1:]
      past[-1] = column
      column = np.tensordot(past, kernel, 2) + bias
      if index < len(self._layers) - 1:
        column = np.maximum(column, 0)
    return column[0]

  def _standardise(self, features: np.ndarray) -> np.ndarray:
    self._samples_seen += 1
    weight = max(
      standardisation_weight(), np.float32(1) / np.float32(self._samples_seen)
    )
    deviation = features - self._mean
    self._mean += weight * deviation
    self._variance += weight * deviation * deviation
    self._variance *= np.float32(1) - weight
    scale = np.sqrt(self._variance + np.float32(VARIANCE_FLOOR))
    return (features - self._mean) / scale
