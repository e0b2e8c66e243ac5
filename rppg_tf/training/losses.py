"""Training losses; labels in BPM, windows without a label weigh nothing."""

from rppg_tf import contract
from rppg_tf.keras_compat import keras, tf
from rppg_tf.signals.spectrum import rates_bpm

# Errors below this many BPM count squared, above it linearly.
HUBER_DELTA_BPM = 5.0
# Width of the target distribution around the label: a rate changes by about
# this much within a window.
RATE_DEVIATION_BPM = 3.0


@keras.utils.register_keras_serializable('rppg_tf')
class NegativePearson(keras.losses.Loss):
  """1 - Pearson correlation over time of [batch, samples] waves, in [0, 2]."""

  def call(self, y_true, y_pred):
    """Returns float32 [batch]; a flat wave correlates with nothing."""
    y_true -= tf.reduce_mean(y_true, axis=-1, keepdims=True)
    y_pred -= tf.reduce_mean(y_pred, axis=-1, keepdims=True)
    covariance = tf.reduce_sum(y_true * y_pred, axis=-1)
    energy = tf.reduce_sum(y_true**2, axis=-1) * tf.reduce_sum(
      y_pred**2, axis=-1
    )
    return 1.0 - covariance * tf.math.rsqrt(energy + 1e-8)


@keras.utils.register_keras_serializable('rppg_tf')
class RateCrossEntropy(keras.losses.Loss):
  """Cross entropy of a rate distribution against a normal one at the label.

  y_true: float32 [batch, windows] BPM, contract.NO_PULSE_BPM for a uniform
  distribution instead; y_pred: [batch, windows, 71].
  """

  def call(self, y_true, y_pred):
    """Returns float32 [batch, windows], nats."""
    distance = (rates_bpm() - y_true[..., tf.newaxis]) / RATE_DEVIATION_BPM
    pulse_less = y_true[..., tf.newaxis] == contract.NO_PULSE_BPM
    distance = tf.where(pulse_less, 0.0, distance)
    target = tf.nn.softmax(-0.5 * tf.square(distance))
    return -tf.reduce_sum(target * tf.math.log(y_pred + 1e-7), axis=-1)


@keras.utils.register_keras_serializable('rppg_tf')
class RateDistillation(keras.losses.Loss):
  """Kullback-Leibler divergence from a teacher's rate distribution.

  Both are taken at a temperature T: p ** (1 / T), scaled to sum to 1. Times
  T ** 2, so that the gradient is as large at any (Hinton et al. 2015,
  "Distilling the Knowledge in a Neural Network").
  """

  def __init__(self, temperature: float, **kwargs):
    super().__init__(**kwargs)
    self.temperature = temperature

  def call(self, y_true, y_pred):
    """Takes [batch, windows, 71] each; returns [batch, windows], nats."""
    teacher, student = (
      tf.nn.log_softmax(tf.math.log(p + 1e-7) / self.temperature)
      for p in (y_true, y_pred)
    )
    divergence = tf.reduce_sum(tf.exp(teacher) * (teacher - student), axis=-1)
    return self.temperature**2 * divergence

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {**super().get_config(), 'temperature': self.temperature}


@keras.utils.register_keras_serializable('rppg_tf')
class FeatureDistillation(keras.losses.Loss):
  """1 - Pearson correlation over time, the mean over features.

  That is half the squared difference of features that were standardised over
  the clip, which is how the heads read them: by their changes.
  """

  def call(self, y_true, y_pred):
    """Takes [batch, samples, features] each; returns [batch]."""
    pairs = (tf.transpose(wave, (0, 2, 1)) for wave in (y_true, y_pred))
    return tf.reduce_mean(NegativePearson().call(*pairs), axis=-1)


@keras.utils.register_keras_serializable('rppg_tf')
class HuberBpm(keras.losses.Loss):
  """Huber over BPM, divided by its delta: slope 1 for large errors."""

  def call(self, y_true, y_pred):
    """Returns float32 of the shape of both, [batch, windows]."""
    error = tf.abs(y_true - y_pred)
    small = 0.5 * tf.square(error) / HUBER_DELTA_BPM
    large = error - 0.5 * HUBER_DELTA_BPM
    return tf.where(error < HUBER_DELTA_BPM, small, large)


class MeanAbsoluteErrorBpm(keras.metrics.Mean):
  """Mean absolute error over all windows that have a label."""

  def update_state(self, y_true, y_pred, sample_weight=None):
    """Adds [batch, windows] labels, estimates and weights."""
    super().update_state(tf.abs(y_true - y_pred), sample_weight)


class RootMeanSquaredErrorBpm(keras.metrics.Mean):
  """Root mean squared error over all windows that have a label."""

  def update_state(self, y_true, y_pred, sample_weight=None):
    """Adds [batch, windows] labels, estimates and weights."""
    super().update_state(tf.square(y_true - y_pred), sample_weight)

  def result(self):
    """Returns the error so far, BPM."""
    return tf.sqrt(super().result())
