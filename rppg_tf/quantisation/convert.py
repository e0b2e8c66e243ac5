"""Spatial CNN in Keras → INT8 TFLite.

By quantisation-aware training (tfmot): batch norm is folded into the
convolutions first, so that what is trained is what runs, and ranges are set
from data before fine-tuning: tfmot would start them at ±6 and learn them
slowly. Or by post-training quantisation, to compare with.
"""

import numpy as np
import tensorflow_model_optimization as tfmot

from rppg_tf import contract
from rppg_tf.keras_compat import keras, tf
from rppg_tf.model.spatial_cnn import fold_batch_norm
from rppg_tf.quantisation import calibration

_CONV_PREFIX = 'quant_conv'


def quantisation_aware(
  spatial_cnn: keras.Model,
  codes: np.ndarray,
  input_quantisation: tuple[float, int],
) -> keras.Model:
  """Returns the CNN with quantisation simulated, its ranges set.

  Args:
    spatial_cnn: trained; batch norm is folded if it is there.
    codes: int8 [n, 36, 36, 3], typical inputs; set the first ranges.
    input_quantisation: (scale, zero_point) of the int8 input, kept exactly.

  Returns:
    Model float32 [batch, 36, 36, 3] → float32 [batch, 16] to be fine-tuned.
  """
  folded = fold_batch_norm(spatial_cnn)
  model = tfmot.quantization.keras.quantize_model(folded)
  _fix_input_range(model, input_quantisation)
  _set_kernel_ranges(model, folded)
  images = calibration.values(codes, input_quantisation)
  _set_activation_ranges(model, folded, images)
  return model


def _fix_input_range(model, input_quantisation) -> None:
  """Sets the range that gives exactly this scale and zero-point."""
  scale, zero_point = input_quantisation
  layer = next(
    layer for layer in model.layers if layer.name.startswith('quantize_layer')
  )
  _assign(layer, '_min', (-128 - zero_point) * scale)
  _assign(layer, '_max', (127 - zero_point) * scale)


def _set_kernel_ranges(model, folded) -> None:
  """Sets the range of each output channel's weights, symmetric about 0."""
  for layer in model.layers:
    if layer.name.startswith(_CONV_PREFIX):
      name = layer.name.removeprefix('quant_')
      kernel = folded.get_layer(name).kernel.numpy()
      largest = np.abs(kernel).max(axis=(0, 1, 2))
      _assign(layer, 'kernel_min', -largest)
      _assign(layer, 'kernel_max', largest)


def _set_activation_ranges(model, folded, images) -> None:
  """Sets each activation's range to what it reaches on `images`."""
  for layer in model.layers:
    name = layer.name.removeprefix('quant_')
    is_conv = layer.name.startswith(_CONV_PREFIX)
    if not is_conv and name != 'mean':
      continue
    part = keras.Model(folded.input, folded.get_layer(name).output)
    largest = float(np.max(part.predict(images, batch_size=256, verbose=0)))
    prefix = 'post_activation' if is_conv else 'output'
    # A ReLU, or a mean of one: never below 0.
    _assign(layer, f'{prefix}_min', 0.0)
    _assign(layer, f'{prefix}_max', largest)


def _assign(layer, suffix: str, value) -> None:
  """Assigns the layer's one variable whose name ends so."""
  found = [
    variable
    for variable in layer.variables
    if variable.name.split(':')[0].endswith(suffix)
  ]
  if len(found) != 1:
    raise ValueError(
      f'{layer.name}: expected one variable ending in {suffix!r}, got '
      f'{[variable.name for variable in layer.variables]}; is tfmot 0.8.1?'
    )
  found[0].assign(np.broadcast_to(value, found[0].shape))


def convert(model: keras.Model) -> bytes:
  """Converts a quantisation-aware CNN into an INT8 TFLite file.

  Args:
    model: from `quantisation_aware`, fine-tuned.

  Returns:
    The file: int8 [1, 36, 36, 3] → int8 [1, 16].
  """
  return _converter(model).convert()


def post_training(
  spatial_cnn: keras.Model,
  codes: np.ndarray,
  input_quantisation: tuple[float, int],
) -> bytes:
  """Quantises without any training: ranges are what calibration reaches.

  Args:
    spatial_cnn: trained; batch norm is folded if it is there.
    codes: int8 [n, 36, 36, 3], the calibration set.
    input_quantisation: (scale, zero_point) of the int8 input, kept exactly.

  Returns:
    The file: int8 [1, 36, 36, 3] → int8 [1, 16].
  """
  # The converter takes the input's range from the data too. With one pixel at
  # either end of it, scale and zero-point are those that write the codes; no
  # whole image is made up that would stretch the ranges behind it.
  codes = codes.copy()
  codes[0, 0, 0, 0], codes[0, -1, -1, -1] = -128, 127
  images = calibration.values(codes, input_quantisation)
  converter = _converter(fold_batch_norm(spatial_cnn))
  converter.representative_dataset = lambda: (
    [image[np.newaxis]] for image in images
  )
  converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
  return converter.convert()


def _converter(model: keras.Model) -> tf.lite.TFLiteConverter:
  """STM32N6, mandatory: int8 input and output, static shape with batch 1, no
  QUANTIZE or DEQUANTIZE left in the graph.
  """
  spec = tf.TensorSpec((1, *contract.ROI_FRAME_SHAPE), tf.float32)
  concrete = tf.function(
    lambda image: model(image, training=False)
  ).get_concrete_function(spec)
  converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
  converter.optimizations = [tf.lite.Optimize.DEFAULT]
  converter.inference_input_type = tf.int8
  converter.inference_output_type = tf.int8
  return converter
