"""A few feature frames → BPM: UltraLightRPPG's own head.

Eight consecutive frames at 30 Hz are 0.27 s, a quarter of a beat: this head
cannot read a heart rate from them (docs/results.md). It is kept for those
who hold models of that shape; `frame_stride` 4 gives it a whole second.
"""

from rppg_tf import contract
from rppg_tf.keras_compat import keras, tf


@keras.utils.register_keras_serializable('rppg_tf')
class FrameWindows(keras.layers.Layer):
  """[batch, samples, features] → [batch, windows, length, features].

  Window w holds the samples w, w + stride, ..., w + (length - 1) * stride.
  """

  def __init__(self, length: int, stride: int, **kwargs):
    super().__init__(**kwargs)
    self.length = length
    self.stride = stride

  def call(self, features):
    """Gathers the windows; the number of samples may be unknown."""
    span = (self.length - 1) * self.stride
    num_windows = tf.shape(features)[1] - span
    starts = tf.range(num_windows)[:, tf.newaxis]
    offsets = tf.range(self.length)[tf.newaxis, :] * self.stride
    windows = tf.gather(features, starts + offsets, axis=1)
    windows.set_shape([None, None, self.length, features.shape[-1]])
    return windows

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {
      **super().get_config(),
      'length': self.length,
      'stride': self.stride,
    }


@keras.utils.register_keras_serializable('rppg_tf')
class SigmoidToBpm(keras.layers.Layer):
  """[..., 1] logits → [...] BPM in (30, 180)."""

  def call(self, logits):
    """Applies sigmoid(logit) * 150 + 30."""
    span_bpm = contract.SEED_OUTPUT_SPAN_BPM
    # float64: TensorFlow's float32 sigmoid is off by up to 4.5 ulp (3e-5
    # BPM), and by another amount in the last elements of a tensor.
    share = tf.sigmoid(tf.cast(logits, tf.float64))
    bpm = share * span_bpm + contract.SEED_OUTPUT_MIN_BPM
    return tf.squeeze(tf.cast(bpm, tf.float32), axis=-1)


def build_window_head(
  window: int = contract.SEED_WINDOW_FRAMES, frame_stride: int = 1
) -> keras.Model:
  """Builds the head over all windows of a feature sequence.

  Args:
    window: T, feature frames in a window; at least 1.
    frame_stride: grid samples (1/30 s) from one frame of a window to the
      next; at least 1.

  Returns:
    Model float32 [batch, samples, 48] → {'heart_rate_bpm': float32 [batch,
    windows]}, windows = samples - (window - 1) * frame_stride.
  """
  if window < 1 or frame_stride < 1:
    raise ValueError(
      'window and frame_stride: expected at least 1, got '
      f'{window} and {frame_stride}'
    )
  features = keras.Input((None, contract.NUM_ROI_FEATURES), name='features')
  x = FrameWindows(window, frame_stride, name='windows')(features)
  # [batch, windows, window, 48]
  x = keras.layers.Conv1D(
    32, 3, padding='same', activation='relu', name='conv1'
  )(x)  # [batch, windows, window, 32]
  x = keras.layers.Conv1D(
    16, 3, padding='same', activation='relu', name='conv2'
  )(x)  # [batch, windows, window, 16]
  x = keras.layers.Reshape((-1, window * 16), name='flatten')(x)
  # [batch, windows, window * 16], frame by frame
  x = keras.layers.Dense(32, activation='relu', name='dense1')(x)
  x = keras.layers.Dense(1, name='dense2')(x)  # [batch, windows, 1]
  bpm = SigmoidToBpm(name='heart_rate')(x)  # [batch, windows]
  return keras.Model(features, {'heart_rate_bpm': bpm}, name='window_head')
