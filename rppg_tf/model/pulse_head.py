"""Feature frames on the 30 Hz grid → pulse wave → heart rate, confidence.

Two stages, both causal and both cheap to run frame by frame:

  52 features → running standardisation → 3 causal convolutions → one pulse
  sample a frame;
  last 10 s of the pulse, and of two waves that nobody trained, POS and CHROM
  of the chrominance → Hann-windowed power at 40, 42, ... 180 BPM → logarithm,
  plus 3 small convolutions over it → distribution over rates → mean of its
  cubes (BPM) and the probability near that (confidence).

The waves of colour bear witness for or against the trained one: where motion
or a face unlike any in training misleads it, they often still hold the pulse.

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
# Parts of the waves of colour: 1.6 s (Wang 2017, de Haan 2013), every 0.4 s.
PART_SAMPLES = 48
PART_STRIDE = 12
# Added to a deviation that is divided by; chrominance is about 0.1 wide.
DEVIATION_FLOOR = 1e-3
# The confidence is the probability this close to the estimate: rates within
# 5 BPM count whole, from 7 BPM on not at all, linearly in between.
CONFIDENCE_SPAN_BPM = 6.0

_PULSE_LAYERS = ('pulse_conv1', 'pulse_conv2', 'pulse')
_RATE_KERNEL_SIZES = (9, 9, 5)
_RATE_CHANNELS = 8
_PULSE_CHANNELS = 16
# What the spectra's logarithms weigh in the logits before training: the head
# begins as a soft choice of the highest peak, and learns when not to.
_RATE_SKIP = (1.0, 0.5, 0.5)
# How often training puts another recording's spectrum in a wave's place. On
# recordings like those trained on the trained wave is nearly always right, and
# the head would learn to believe it alone.
_EXCHANGED = (0.1, 0.1, 0.1)


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


def hann(num_samples: int) -> np.ndarray:
  """Returns the periodic Hann window, float32 [num_samples]."""
  phase = 2 * np.pi * np.arange(num_samples) / num_samples
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
class Chrominance(keras.layers.Layer):
  """[batch, samples, 52] features → [batch, samples, 4], the last of them."""

  def call(self, features):
    """Cuts the CNN's features off."""
    return features[..., contract.NUM_ROI_FEATURES :]


@keras.utils.register_keras_serializable('rppg_tf')
class LastSeconds(keras.layers.Layer):
  """[batch, samples, n] → [batch, windows, 300, n], the last 10 s each.

  No gradient passes back to the pulse, which learns from the PPG alone: the
  rate is as well read off an inverted wave, and a pulse that has begun as one
  would have to pass through zero to turn over.
  """

  def __init__(self, stride: int, **kwargs):
    super().__init__(**kwargs)
    self.stride = stride

  def call(self, samples):
    """Cuts a window every `stride` samples."""
    return tf.signal.frame(
      tf.stop_gradient(samples), contract.WINDOW_SAMPLES, self.stride, axis=1
    )

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {**super().get_config(), 'stride': self.stride}


@keras.utils.register_keras_serializable('rppg_tf')
class PulseWaves(keras.layers.Layer):
  """[batch, windows, 300, 5] → [batch, windows, 300, 3] waves.

  In: pulse, and chrominance S1, S2, X, Y (signals/chrominance.py). Out: pulse,
  POS: S1 + a * S2, a = deviation(S1) / deviation(S2) (Wang 2017), and CHROM: X
  - a * Y, a = deviation(X) / deviation(Y) (de Haan 2013), of parts of 1.6 s
  that begin every 0.4 s, each minus its mean; the parts are Hann-windowed and
  added up where they lie.
  """

  def call(self, samples):
    """Computes the two waves of colour and puts them behind the pulse."""
    pulse, chrominance = samples[..., :1], samples[..., 1:]
    parts = tf.signal.frame(chrominance, PART_SAMPLES, PART_STRIDE, axis=2)
    # [batch, windows, 22, 48, 4]
    parts -= tf.reduce_mean(parts, axis=3, keepdims=True)
    deviation = tf.sqrt(tf.reduce_mean(tf.square(parts), axis=3, keepdims=True))
    s1, s2, x, y = tf.unstack(parts, axis=-1)
    of_s1, of_s2, of_x, of_y = tf.unstack(deviation, axis=-1)
    parts = tf.stack(
      [
        s1 + of_s1 / (of_s2 + DEVIATION_FLOOR) * s2,
        x - of_x / (of_y + DEVIATION_FLOOR) * y,
      ],
      axis=2,
    )  # [batch, windows, 2, 22, 48]
    waves = tf.signal.overlap_and_add(parts * hann(PART_SAMPLES), PART_STRIDE)
    return tf.concat([pulse, tf.transpose(waves, (0, 1, 3, 2))], axis=-1)


@keras.utils.register_keras_serializable('rppg_tf')
class WaveSpectra(keras.layers.Layer):
  """[batch, windows, 300, n] waves → [batch, windows, 71, n] log power.

  Per wave: minus its mean, times Hann, power P of the Fourier sum at each
  rate, log(P / mean over rates of P + POWER_FLOOR).
  """

  def call(self, waves):
    """Takes the spectrum of every wave."""
    waves = tf.transpose(waves, (0, 1, 3, 2))  # [batch, windows, n, 300]
    waves -= tf.reduce_mean(waves, axis=-1, keepdims=True)
    weighted = waves * hann(contract.WINDOW_SAMPLES)
    # Not matmul: with 4 dimensions on the left and 2 on the right, oneDNN's
    # writes beyond its result (tensorflow/tensorflow#117700, in 2.21.0).
    parts = tf.tensordot(weighted, fourier_basis(), 1)
    real, imaginary = tf.split(parts, 2, axis=-1)
    power = tf.square(real) + tf.square(imaginary)
    mean_power = tf.reduce_mean(power, axis=-1, keepdims=True)
    relative = power / (mean_power + 1e-12)
    level = tf.math.log(relative + POWER_FLOOR)  # [batch, windows, n, 71]
    return tf.transpose(level, (0, 1, 3, 2))


@keras.utils.register_keras_serializable('rppg_tf')
class ExchangeSpectra(keras.layers.Layer):
  """In training, puts the next recording's spectrum in a wave's place.

  [batch, windows, 71, waves] → the same; each window's wave is exchanged with
  the probability given for it, independently. Nothing happens in inference.
  """

  def __init__(self, probabilities: tuple[float, ...], **kwargs):
    super().__init__(**kwargs)
    self.probabilities = tuple(probabilities)

  def call(self, spectra, training=None):
    """Draws which to exchange."""
    if not training:
      return spectra
    shape = tf.shape(spectra)
    drawn = tf.random.uniform((shape[0], shape[1], 1, shape[3]))
    return tf.where(
      drawn < tf.constant(self.probabilities),
      tf.roll(spectra, shift=1, axis=0),
      spectra,
    )

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {**super().get_config(), 'probabilities': self.probabilities}


@keras.utils.register_keras_serializable('rppg_tf')
class ExpectedRate(keras.layers.Layer):
  """[..., 71] probabilities → [...] BPM, the mean of their cubes.

  The cubes, scaled to sum up to 1, are the distribution at a third of its
  temperature: what lies far from its peak does not pull the mean away.
  """

  def call(self, probability):
    """Sums rate times cube."""
    cubes = probability**3
    moment = tf.tensordot(cubes, rates_bpm(), 1)
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
  width: int = 1,
) -> keras.Model:
  """Builds the head over a feature sequence of at least 300 samples.

  Args:
    window_stride: grid samples from one 10 s window to the next.
    width: how many times the channels below the hidden layers have; more than
      1 is for teachers.

  Returns:
    Model float32 [batch, samples, 52] → {'pulse': [batch, samples],
    'rate_probability': [batch, windows, 71], 'heart_rate_bpm': [batch,
    windows], 'confidence': [batch, windows] in [0, 1]}, all float32.
  """
  features = keras.Input((None, contract.NUM_FRAME_FEATURES), name='features')
  x = RunningStandardisation(name='standardise')(features)
  # [batch, samples, 52]
  for name in _PULSE_LAYERS[:-1]:
    x = _causal_conv(width * _PULSE_CHANNELS, 'relu', name)(x)
    # [batch, samples, 16 * width]
  x = _causal_conv(1, None, _PULSE_LAYERS[-1])(x)  # [batch, samples, 1]
  pulse = keras.layers.Reshape((-1,), name='pulse_wave')(x)
  # [batch, samples]
  chrominance = Chrominance(name='chrominance')(features)
  # [batch, samples, 4]
  x = keras.layers.Concatenate(name='wave_samples')([x, chrominance])
  # [batch, samples, 5]
  x = LastSeconds(window_stride, name='last_seconds')(x)
  # [batch, windows, 300, 5]
  x = PulseWaves(name='waves')(x)  # [batch, windows, 300, 3]
  spectra = WaveSpectra(name='spectra')(x)
  spectra = ExchangeSpectra(_EXCHANGED, name='exchange')(spectra)
  # [batch, windows, 71, 3]
  x = spectra
  for number, kernel_size in enumerate(_RATE_KERNEL_SIZES, 1):
    last = number == len(_RATE_KERNEL_SIZES)
    x = keras.layers.Conv1D(
      1 if last else width * _RATE_CHANNELS,
      kernel_size,
      padding='same',
      activation=None if last else 'relu',
      name=f'rate_conv{number}',
    )(x)  # [batch, windows, 71, 8 * width], at last [batch, windows, 71, 1]
  skip = keras.layers.Conv1D(
    1,
    1,
    use_bias=False,
    kernel_initializer=keras.initializers.Constant(_RATE_SKIP),
    name='rate_skip',
  )(spectra)  # [batch, windows, 71, 1]
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
