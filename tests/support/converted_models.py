"""Small TFLite files as TensorFlow's converter writes them, for N6."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

_INT8_OPERATORS = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]


def converted(
  function: Callable,
  shape: tuple,
  io_type: tf.DType = tf.int8,
  calibrated: bool = True,
  quantised: bool = True,
) -> bytes:
  """A function of one image, as TensorFlow's converter writes it."""
  spec = tf.TensorSpec(shape, tf.float32)
  concrete = tf.function(function).get_concrete_function(spec)
  converter = tf.lite.TFLiteConverter.from_concrete_functions(
    [concrete], function
  )
  if quantised:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
  if quantised and calibrated:
    rng = np.random.default_rng(1)
    fixed = [size or 1 for size in shape]
    images = rng.uniform(-1, 1, (4, *fixed)).astype(np.float32)
    converter.representative_dataset = lambda: ([image] for image in images)
    converter.target_spec.supported_ops = _INT8_OPERATORS
    converter.inference_input_type = io_type
    converter.inference_output_type = io_type
  return converter.convert()


def _kernel(*shape: int) -> tf.Tensor:
  rng = np.random.default_rng(2)
  return tf.constant(rng.normal(0, 0.3, shape).astype(np.float32))


def _conv(image, channels: int, strides: int = 1):
  kernel = _kernel(3, 3, image.shape[-1], channels)
  return tf.nn.relu(tf.nn.conv2d(image, kernel, strides, 'SAME'))


def _cnn(image):
  return tf.reduce_mean(_conv(_conv(image, 8), 16), axis=(1, 2))


def float_model() -> bytes:
  return converted(_cnn, (1, 12, 12, 3), quantised=False)


def float_io() -> bytes:
  return converted(_cnn, (1, 12, 12, 3), io_type=tf.float32)


def dynamic_batch() -> bytes:
  return converted(_cnn, (None, 12, 12, 3))


def batch_24() -> bytes:
  return converted(_cnn, (24, 12, 12, 3))


def reshape_from_6d() -> bytes:
  def clip(frames):
    return _cnn(tf.reshape(frames, (24, 12, 12, 3)))

  return converted(clip, (1, 8, 3, 12, 12, 3))


def input_of_72_channels() -> bytes:
  return converted(_cnn, (1, 36, 36, 72))


def hybrid_weights() -> bytes:
  def wide(image):
    return _conv(_conv(image, 32), 32)

  return converted(wide, (1, 12, 12, 3), calibrated=False)


def transposed_conv() -> bytes:
  def upsample(image):
    return tf.nn.conv2d_transpose(
      _conv(image, 4), _kernel(2, 2, 4, 4), (1, 24, 24, 4), 2
    )

  return converted(upsample, (1, 12, 12, 3))


def softmax() -> bytes:
  return converted(lambda image: tf.nn.softmax(_cnn(image)), (1, 12, 12, 3))


def residual_of_unequal_scales() -> bytes:
  def residual(image):
    first = _conv(image, 4)
    return first + 5.0 * _conv(first, 4)

  return converted(residual, (1, 12, 12, 3))


def strided_depthwise() -> bytes:
  def depthwise(image):
    strides = (1, 2, 2, 1)
    return tf.nn.depthwise_conv2d(image, _kernel(3, 3, 3, 2), strides, 'SAME')

  return converted(depthwise, (1, 12, 12, 3))


def partial_mean() -> bytes:
  def mean_of_rows(image):
    return tf.reduce_mean(_conv(image, 4), axis=1)

  return converted(mean_of_rows, (1, 12, 12, 3))


def resized() -> bytes:
  def enlarge(image):
    return tf.compat.v1.image.resize_bilinear(_conv(image, 8), (24, 24))

  return converted(enlarge, (1, 12, 12, 3))


def uint8_io() -> bytes:
  return converted(_cnn, (1, 12, 12, 3), io_type=tf.uint8)


def inner_transpose() -> bytes:
  def turned(image):
    return _conv(tf.transpose(_conv(image, 8), (0, 2, 1, 3)), 8)

  return converted(turned, (1, 12, 12, 3))


def padded_channels() -> bytes:
  def widened(image):
    padded = tf.pad(_conv(image, 8), ((0, 0), (0, 0), (0, 0), (0, 8)))
    return _conv(padded, 8)

  return converted(widened, (1, 12, 12, 3))


def joined_channels() -> bytes:
  def joined(image):
    return tf.concat([_conv(image, 12), _conv(image, 3)], axis=3)

  return converted(joined, (1, 12, 12, 3))


def _squeezed(channels: int) -> bytes:
  def gate(image):
    mean = tf.reduce_mean(_conv(image, channels), (1, 2), keepdims=True)
    return tf.nn.conv2d(mean, _kernel(1, 1, channels, 8), 1, 'SAME')

  return converted(gate, (1, 12, 12, 3))


def convolution_of_one_value() -> bytes:
  return _squeezed(1)


def convolution_of_one_pixel() -> bytes:
  return _squeezed(8)


def sigmoid() -> bytes:
  return converted(lambda image: tf.sigmoid(_conv(image, 8)), (1, 12, 12, 3))


def prelu() -> bytes:
  def leaky(image):
    features = tf.nn.conv2d(image, _kernel(3, 3, 3, 8), 1, 'SAME')
    # As Keras writes it; the converter makes PRELU of it.
    return tf.nn.relu(features) + -_kernel(1, 1, 8) * tf.nn.relu(-features)

  return converted(leaky, (1, 12, 12, 3))


def float_amid() -> bytes:
  return converted(lambda image: _cnn(-_conv(image, 4)), (1, 12, 12, 3))


def channels_first() -> bytes:
  def turned(image):
    return _cnn(tf.transpose(image, (0, 2, 3, 1)))

  return converted(turned, (1, 3, 12, 12))


def folded_shape() -> bytes:
  def flat(image):
    features = _conv(image, 8)
    return tf.reshape(features, (tf.shape(features)[0], 144, 8))

  return converted(flat, (None, 12, 12, 3))
