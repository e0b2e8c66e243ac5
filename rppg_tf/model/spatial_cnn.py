"""One ROI frame → 16 features: the model that the NPU runs."""

from rppg_tf import contract
from rppg_tf.keras_compat import keras

CONV_CHANNELS = (16, 32, contract.NUM_SPATIAL_FEATURES)


def build_spatial_cnn(
  batch_norm: bool = True, width: int = 1, synchronised: bool = False
) -> keras.Model:
  """Builds UltraLightRPPG's spatial CNN.

  STM32N6, mandatory: input [1, 36, 36, 3] (rank 4, channels last), 3x3
  kernels, 2x2 pools, a global mean at the end; this operator sequence is one
  that ST's compiler has put into hardware whole.

  Args:
    batch_norm: True for training; False gives the same network with every
      batch norm folded away and biases in its place, for quantisation.
    width: how many times CONV_CHANNELS the hidden layers have; more than 1 is
      for teachers.

  Returns:
    Model float32 [batch, 36, 36, 3] in [-1, 1) → float32 [batch, 16], >= 0.
    At width 1 9,904 parameters with batch norm, 9,712 without.
  """
  first, second, last = CONV_CHANNELS
  image = keras.Input(contract.ROI_FRAME_SHAPE, name='roi_frame')
  norm = {'synchronized': synchronised} if batch_norm else None
  x = _conv_block(image, 1, width * first, norm)
  # [batch, 36, 36, 16 * width]
  x = keras.layers.MaxPooling2D(2, name='pool1')(x)
  # [batch, 18, 18, 16 * width]
  x = _conv_block(x, 2, width * second, norm)
  # [batch, 18, 18, 32 * width]
  x = keras.layers.MaxPooling2D(2, name='pool2')(x)
  # [batch, 9, 9, 32 * width]
  x = _conv_block(x, 3, last, norm)  # [batch, 9, 9, 16]
  x = keras.layers.GlobalAveragePooling2D(name='mean')(x)  # [batch, 16]
  return keras.Model(image, x, name='spatial_cnn')


def _conv_block(x, number: int, channels: int, norm: dict | None):
  """`norm`: arguments of the batch norm, None without one."""
  x = keras.layers.Conv2D(
    channels,
    3,
    padding='same',
    use_bias=norm is None,
    activation='relu' if norm is None else None,
    name=f'conv{number}',
  )(x)
  if norm is not None:
    x = keras.layers.BatchNormalization(name=f'norm{number}', **norm)(x)
    x = keras.layers.ReLU(name=f'relu{number}')(x)
  return x


def width_of(model: keras.Model) -> int:
  """Returns the `width` that a model of build_spatial_cnn was built with."""
  return model.get_layer('conv1').filters // CONV_CHANNELS[0]


def fold_batch_norm(model: keras.Model) -> keras.Model:
  """Returns the same function without batch norm (inference statistics).

  A model that has none (folded before, or elsewhere) is returned itself.
  """
  if not any(
    isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers
  ):
    return model
  folded = build_spatial_cnn(batch_norm=False, width=width_of(model))
  for number in range(1, len(CONV_CHANNELS) + 1):
    (kernel,) = model.get_layer(f'conv{number}').get_weights()
    norm = model.get_layer(f'norm{number}')
    gamma, beta, mean, variance = norm.get_weights()
    factor = gamma / (variance + norm.epsilon) ** 0.5
    folded.get_layer(f'conv{number}').set_weights(
      [kernel * factor, beta - mean * factor]
    )
  return folded
