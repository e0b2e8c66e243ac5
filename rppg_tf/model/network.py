"""Spatial CNN + head over a clip, every frame encoded exactly once.

However many windows look at a frame, it passes the CNN once; windows are
taken of features. The board does the same with its feature ring.
"""

from rppg_tf import contract
from rppg_tf.errors import InputError
from rppg_tf.keras_compat import keras, tf
from rppg_tf.model.pulse_head import build_pulse_head
from rppg_tf.model.window_head import build_window_head

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
class FrameFeatures(keras.layers.Layer):
  """[batch*frames*3, 16], int16 [batch, frames, 4] → [batch, frames, 48 or 52].

  Feature 16 * roi + channel (forehead, left cheek, right cheek), and behind
  these, for a head that reads them, the chrominance.
  """

  def __init__(self, num_features: int, **kwargs):
    super().__init__(**kwargs)
    self.num_features = num_features

  def call(self, inputs):
    """Reshapes back to one row a video frame."""
    features, chrominance = inputs
    frames = tf.shape(chrominance)[:2]
    row = (contract.NUM_ROI_FEATURES,)
    grouped = tf.reshape(features, tf.concat([frames, row], 0))
    if self.num_features == contract.NUM_FRAME_FEATURES:
      colour = tf.cast(chrominance, tf.float32) * contract.CHROMINANCE_SCALE
      grouped = tf.concat([grouped, colour], -1)
    grouped.set_shape([None, chrominance.shape[1], self.num_features])
    return grouped

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {**super().get_config(), 'num_features': self.num_features}


@keras.utils.register_keras_serializable('rppg_tf')
class FirstFeatures(keras.layers.Layer):
  """[batch, frames, 52] → the first num_features of each frame."""

  def __init__(self, num_features: int, **kwargs):
    super().__init__(**kwargs)
    self.num_features = num_features

  def call(self, features):
    """Cuts the rest off."""
    return features[..., : self.num_features]

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {**super().get_config(), 'num_features': self.num_features}


@keras.utils.register_keras_serializable('rppg_tf')
class ResampleToGrid(keras.layers.Layer):
  """Linear interpolation of features at measured frame times.

  Inputs: features [batch, frames, n]; older and newer, int32 [batch,
  samples]; fraction float32 [batch, samples] (signals/resampling.py).
  Output: [batch, samples, n].
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
    head: float32 [batch, samples, 48 or 52] → dictionary of outputs.
    input_quantisation: (scale, zero_point) of the int8 codes.

  Returns:
    Model of the dictionary {codes: int8 [batch, frames, 3, 36, 36, 3],
    chrominance: int16 [batch, frames, 4], older, newer: int32 [batch, samples],
    fraction: float32 [batch, samples]} → the head's outputs.
  """
  num_parameters = spatial_cnn.count_params() + head.count_params()
  if num_parameters >= contract.MAX_PARAMETERS:
    raise InputError(
      f'model: expected under {contract.MAX_PARAMETERS} parameters, got '
      f'{num_parameters}; make --width or --window smaller'
    )
  frame_shape = (None, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)
  codes = keras.Input(frame_shape, dtype=tf.int8, name='codes')
  chrominance = keras.Input(
    (None, contract.NUM_CHROMINANCE), dtype=tf.int16, name='chrominance'
  )
  timeline = _timeline_inputs()
  x = DecodeFrames(*input_quantisation, name='decode')(codes)
  # [batch * frames * 3, 36, 36, 3]
  x = spatial_cnn(x)  # [batch * frames * 3, 16]
  num_features = head.input_shape[-1]
  x = FrameFeatures(num_features, name='frame_features')([x, chrominance])
  # [batch, frames, 48 or 52]
  x = ResampleToGrid(name='grid')([x, *timeline.values()])
  # [batch, samples, 48 or 52]
  inputs = {'codes': codes, 'chrominance': chrominance, **timeline}
  return keras.Model(inputs, named_outputs(head(x)), name='network')


def _timeline_inputs() -> dict[str, keras.Input]:
  """Where grid samples lie between frames, in ResampleToGrid's order."""
  return {
    'older': keras.Input((None,), dtype=tf.int32, name='older'),
    'newer': keras.Input((None,), dtype=tf.int32, name='newer'),
    'fraction': keras.Input((None,), name='fraction'),
  }


def named_outputs(outputs: dict) -> dict:
  """Losses and metrics are called after the layers that outputs come from."""
  return {
    name: keras.layers.Activation('linear', name=name)(output)
    for name, output in outputs.items()
  }


def build_head_network(head: keras.Model) -> keras.Model:
  """Brings features that are there already to the grid, and runs a head.

  Args:
    head: as for build_network.

  Returns:
    Model of the dictionary {features: float32 [batch, frames, 52], older,
    newer, fraction: as for build_network} → the head's outputs.
  """
  features = keras.Input((None, contract.NUM_FRAME_FEATURES), name='features')
  timeline = _timeline_inputs()
  x = FirstFeatures(head.input_shape[-1], name='read')(features)
  x = ResampleToGrid(name='grid')([x, *timeline.values()])
  return keras.Model(
    {'features': features, **timeline}, named_outputs(head(x)), name='network'
  )
