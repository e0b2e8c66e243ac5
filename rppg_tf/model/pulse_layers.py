"""Layers of the pulse head, each registered with Keras under `rppg_tf`."""

from rppg_tf import contract
from rppg_tf.keras_compat import keras, tf
from rppg_tf.signals import pulse_constants, spectrum


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
      pulse_constants.standardisation_weight(),
      1.0 / tf.cast(tf.range(1, num_samples + 1), tf.float32),
    )[tf.newaxis, :, tf.newaxis]
    keep = 1.0 - weight
    mean = _recursion(keep, weight * features)
    deviation = features - _delay(mean, 1)
    variance = _recursion(keep, keep * weight * tf.square(deviation))
    return (features - mean) / tf.sqrt(
      variance + pulse_constants.VARIANCE_FLOOR
    )


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
    parts = tf.signal.frame(
      chrominance,
      pulse_constants.PART_SAMPLES,
      pulse_constants.PART_STRIDE,
      axis=2,
    )
    # [batch, windows, 22, 48, 4]
    parts -= tf.reduce_mean(parts, axis=3, keepdims=True)
    deviation = tf.sqrt(tf.reduce_mean(tf.square(parts), axis=3, keepdims=True))
    s1, s2, x, y = tf.unstack(parts, axis=-1)
    of_s1, of_s2, of_x, of_y = tf.unstack(deviation, axis=-1)
    parts = tf.stack(
      [
        s1 + of_s1 / (of_s2 + pulse_constants.DEVIATION_FLOOR) * s2,
        x - of_x / (of_y + pulse_constants.DEVIATION_FLOOR) * y,
      ],
      axis=2,
    )  # [batch, windows, 2, 22, 48]
    waves = tf.signal.overlap_and_add(
      parts * spectrum.hann(pulse_constants.PART_SAMPLES),
      pulse_constants.PART_STRIDE,
    )
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
    weighted = waves * spectrum.hann(contract.WINDOW_SAMPLES)
    # Not matmul: with 4 dimensions on the left and 2 on the right, oneDNN's
    # writes beyond its result (tensorflow/tensorflow#117700, in 2.21.0).
    parts = tf.tensordot(weighted, spectrum.fourier_basis(), 1)
    real, imaginary = tf.split(parts, 2, axis=-1)
    power = tf.square(real) + tf.square(imaginary)
    mean_power = tf.reduce_mean(power, axis=-1, keepdims=True)
    relative = power / (mean_power + pulse_constants.MEAN_POWER_FLOOR)
    level = tf.math.log(
      relative + pulse_constants.POWER_FLOOR
    )  # [batch, windows, n, 71]
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
    moment = tf.tensordot(cubes, spectrum.rates_bpm(), 1)
    return moment / tf.reduce_sum(cubes, axis=-1)


@keras.utils.register_keras_serializable('rppg_tf')
class ProbabilityNear(keras.layers.Layer):
  """([..., 71] probabilities, [...] BPM) → [...] probability near the BPM."""

  def call(self, inputs):
    """Sums the probabilities of the rates near the estimate."""
    probability, bpm = inputs
    distance = tf.abs(spectrum.rates_bpm() - bpm[..., tf.newaxis])
    share = (
      pulse_constants.confidence_limit_bpm() - distance
    ) / contract.RATE_STEP_BPM
    near = tf.clip_by_value(share, 0.0, 1.0)
    return tf.reduce_sum(probability * near, axis=-1)
