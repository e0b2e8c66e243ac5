"""Spatial CNN + head over a clip, every frame encoded exactly once.

However many windows look at a frame, it passes the CNN once; windows are
taken of features. The board does the same with its feature ring.
"""

import tensorflow as tf

from rppg_tf import contract
from rppg_tf.keras_compat import keras
from rppg_tf.pulse_head import build_pulse_head
from rppg_tf.window_head import build_window_head

HEADS = ('pulse', 'window')


@keras.utils.register_keras_serializable('rppg_tf')
class DecodeFrames(keras.layers.Layer):
  """int8 [batch, frames, 3, 36, 36, 3] → float32 [batch*frames*3, 36, 36, 3].

  Every ROI frame becomes one image of the batch, as the NPU sees it.
  """

  def __init__(self, scale: float, zero_point: int, **kwargs):
    super().__init__(**kwargs)
    self.scale = scale
    self.zero_point = zero_point

  def call(self, codes):
    """Computes (code - zero_point) * scale."""
    images = tf.reshape(codes, (-1, *contract.ROI_FRAME_SHAPE))
    return (tf.cast(images, tf.float32) - self.zero_point) * self.scale

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {
      **super().get_config(),
      'scale': self.scale,
      'zero_point': self.zero_point,
    }


@keras.utils.register_keras_serializable('rppg_tf')
class GroupByFrame(keras.layers.Layer):
  """[batch*frames*3, 16] and the codes' shape → [batch, frames, 48].

  Feature 16 * roi + channel: forehead, left cheek, right cheek.
  """

  def call(self, inputs):
    """Reshapes back to one row a video frame."""
    features, codes = inputs
    shape = tf.shape(codes)
    frame_features = contract.NUM_FRAME_FEATURES
    grouped = tf.reshape(features, (shape[0], shape[1], frame_features))
    grouped.set_shape([None, codes.shape[1], frame_features])
    return grouped


@keras.utils.register_keras_serializable('rppg_tf')
class ResampleToGrid(keras.layers.Layer):
  """Linear interpolation of features at measured frame times.

  Inputs: features [batch, frames, 48]; older and newer, int32 [batch,
  samples]; fraction float32 [batch, samples] (feature_timeline.py).
  Output: [batch, samples, 48].
  """

  def call(self, inputs):
    """Computes older + fraction * (newer - older)."""
    features, older, newer, fraction = inputs
    start = tf.gather(features, older, batch_dims=1)
    end = tf.gather(features, newer, batch_dims=1)
    return start + fraction[..., tf.newaxis] * (end - start)


def build_head(head: str, **arguments) -> keras.Model:
  """Builds one of HEADS; see pulse_head.py and window_head.py."""
  if head not in HEADS:
    raise ValueError(f'head: expected one of {HEADS}, got {head!r}')
  build = build_pulse_head if head == 'pulse' else build_window_head
  return build(**arguments)


def build_network(
  spatial_cnn: keras.Model,
  head: keras.Model,
  input_quantisation: tuple[float, int],
) -> keras.Model:
  """Joins both parts over a clip.

  Args:
    spatial_cnn: float32 [n, 36, 36, 3] → [n, 16], quantisation-aware or not.
    head: float32 [batch, samples, 48] → dictionary of outputs.
    input_quantisation: (scale, zero_point) of the int8 codes.

  Returns:
    Model of the dictionary {codes: int8 [batch, frames, 3, 36, 36, 3],
    older, newer: int32 [batch, samples], fraction: float32 [batch, samples]}
    → the head's outputs.
  """
  num_parameters = spatial_cnn.count_params() + head.count_params()
  if num_parameters >= contract.MAX_PARAMETERS:
    raise ValueError(
      f'model: expected under {contract.MAX_PARAMETERS} parameters, got '
      f'{num_parameters}; make the window shorter'
    )
  frame_shape = (None, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)
  codes = keras.Input(frame_shape, dtype=tf.int8, name='codes')
  older = keras.Input((None,), dtype=tf.int32, name='older')
  newer = keras.Input((None,), dtype=tf.int32, name='newer')
  fraction = keras.Input((None,), name='fraction')
  x = DecodeFrames(*input_quantisation, name='decode')(codes)
  # [batch * frames * 3, 36, 36, 3]
  x = spatial_cnn(x)  # [batch * frames * 3, 16]
  x = GroupByFrame(name='frame_features')([x, codes])  # [batch, frames, 48]
  x = ResampleToGrid(name='grid')([x, older, newer, fraction])
  # [batch, samples, 48]
  inputs = {
    'codes': codes,
    'older': older,
    'newer': newer,
    'fraction': fraction,
  }
  # Losses and metrics are called after the layers that outputs come from.
  outputs = {
    name: keras.layers.Activation('linear', name=name)(output)
    for name, output in head(x).items()
  }
  return keras.Model(inputs, outputs, name='network')
