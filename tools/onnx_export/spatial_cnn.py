"""The spatial CNN as ONNX: float from Keras, QDQ from the TFLite file.

Both take `image`, float32 [1, 3, 36, 36]: the codes' values, channels first,
(code - zero_point) * scale; both give `features`, float32 [1, 16]. So one
stands in for the other. The QDQ form quantises between the operators with the
TFLite file's own scales and zero points: its features are TFLite's codes,
dequantised, but for roundings.
"""

import numpy as np

from rppg_tf import contract
from rppg_tf.keras_compat import keras
from rppg_tf.model.spatial_cnn import CONV_CHANNELS, fold_batch_norm
from tools.onnx_export.graph import GraphBuilder
from tools.tflite.graph import Graph, Operator, Tensor

INPUT = 'image'
OUTPUT = 'features'
_INPUT_SHAPE = (
  1,
  contract.NUM_CHANNELS,
  contract.ROI_SIZE_PX,
  contract.ROI_SIZE_PX,
)
_OUTPUT_SHAPE = (1, contract.NUM_SPATIAL_FEATURES)
_DOC = (
  f'{INPUT}: values of the int8 codes of one ROI frame, (code - zero_point) * '
  f'scale, R, G, B, channels first. {OUTPUT}: >= 0.'
)
# Of LiteRT's schema: Padding SAME and VALID, ActivationFunctionType RELU, NONE.
_SAME, _VALID = 0, 1
_RELU, _NONE = 1, 0


def float_cnn(spatial_cnn: keras.Model) -> bytes:
  """Builds the ONNX file of a Keras CNN.

  Args:
    spatial_cnn: of build_spatial_cnn; batch norm is folded if it is there.

  Returns:
    The file: float32 [1, 3, 36, 36] → float32 [1, 16].
  """
  folded = fold_batch_norm(spatial_cnn)
  graph = GraphBuilder('spatial_cnn', {INPUT: _INPUT_SHAPE})
  x = INPUT
  for number in range(1, len(CONV_CHANNELS) + 1):
    kernel, bias = folded.get_layer(f'conv{number}').get_weights()
    name = f'conv{number}'
    # [height, width, in, out] → [out, in, height, width]
    kernel = graph.floats(f'{name}_kernel', kernel.transpose(3, 2, 0, 1))
    x = _conv(graph, name, x, kernel, graph.floats(f'{name}_bias', bias))
    if number < len(CONV_CHANNELS):
      x = _pool(graph, f'pool{number}', x)
  x = graph.add('GlobalAveragePool', 'mean', x)  # [1, 16, 1, 1]
  graph.reshape(OUTPUT, x, list(_OUTPUT_SHAPE))
  return graph.model({OUTPUT: _OUTPUT_SHAPE}, _DOC)


def _conv(graph, name: str, x: str, kernel: str, bias: str) -> str:
  """[1, in, side, side] → [1, out, side, side], not below 0."""
  x = graph.add(
    'Conv', name, x, kernel, bias, kernel_shape=[3, 3], pads=[1, 1, 1, 1]
  )
  return graph.add('Relu', f'{name}_relu', x)


def _pool(graph, name: str, x: str) -> str:
  """[1, channels, side, side] → [1, channels, side / 2, side / 2]."""
  return graph.add('MaxPool', name, x, kernel_shape=[2, 2], strides=[2, 2])


def qdq_cnn(tflite: Graph) -> bytes:
  """Builds the ONNX file, quantised, of a TFLite file's graph.

  Args:
    tflite: of tflite.reader.read: the spatial CNN's six operators, INT8.

  Returns:
    The file: float32 [1, 3, 36, 36] → float32 [1, 16], with QuantizeLinear and
    DequantizeLinear around every operator; kernels int8 with a scale per
    channel, biases int32.

  Raises:
    ValueError: another graph.
  """
  tflite.check_operators()
  graph = GraphBuilder('spatial_cnn_qdq', {INPUT: _INPUT_SHAPE})
  written = tflite.tensors[tflite.inputs[0]]
  x = _quantised(graph, INPUT, INPUT, written)
  number = 0
  for operator in tflite.operators:
    number += operator.name == 'CONV_2D'
    written = tflite.tensors[operator.outputs[0]]
    if operator.name == 'CONV_2D':
      name = f'conv{number}'
      x = _conv(graph, name, x, *_conv_constants(graph, name, tflite, operator))
    elif operator.name == 'MAX_POOL_2D':
      name = f'pool{number}'
      _check_pool(tflite, operator)
      x = _pool(graph, name, x)
    else:
      name = 'mean'
      x = graph.add('GlobalAveragePool', name, x)  # [1, 16, 1, 1]
    x = _quantised(graph, name, x, written)
  x = graph.reshape('flat', x, list(_OUTPUT_SHAPE))
  _quantised(graph, 'flat', x, written, OUTPUT)
  return graph.model({OUTPUT: _OUTPUT_SHAPE}, _DOC)


def _quantised(
  graph: GraphBuilder, name: str, x: str, tensor: Tensor, output: str = ''
) -> str:
  """Rounds to the codes of a TFLite tensor and back."""
  if tensor.dtype != 'INT8' or len(tensor.scales) != 1:
    raise ValueError(f'{tensor.label}: expected INT8 with one scale')
  zero_point = np.array(tensor.zero_points[0], np.int8)
  codes = (
    graph.floats(f'{name}_scale', tensor.scales[0]),
    graph.constant(f'{name}_zero_point', zero_point),
  )
  x = graph.add('QuantizeLinear', f'{name}_quantised', x, *codes)
  return graph.add(
    'DequantizeLinear', output or f'{name}_dequantised', x, *codes
  )


def _conv_constants(
  graph: GraphBuilder, name: str, tflite: Graph, operator: Operator
) -> tuple[str, str]:
  """Adds kernel and bias of a CONV_2D, dequantised; returns their names."""
  _check_options(
    operator,
    {'Padding': _SAME, 'StrideW': 1, 'StrideH': 1}
    | {'DilationWFactor': 1, 'DilationHFactor': 1}
    | {'FusedActivationFunction': _RELU},
  )
  read, kernel, bias = (tflite.input(operator, i) for i in range(3))
  for tensor, dtype in ((kernel, 'INT8'), (bias, 'INT32')):
    if tensor is None or tensor.data is None or tensor.dtype != dtype:
      raise ValueError(f'{operator.label}: expected a constant of {dtype}')
  assert read and kernel and bias
  channels = kernel.shape[0]
  if kernel.shape[1:3] != (3, 3) or len(kernel.scales) != channels:
    raise ValueError(
      f'{kernel.label}: expected 3x3 and a scale for each of {channels} '
      f'channels, got {len(kernel.scales)} scales'
    )
  expected = np.float32(read.scales[0]) * np.array(kernel.scales, np.float32)
  scales = np.array(bias.scales, np.float32)
  if not np.allclose(scales, expected, rtol=1e-6, atol=0):
    raise ValueError(f"{bias.label}: its scales are not input's times kernel's")
  # [out, height, width, in] → [out, in, height, width]
  kernel_codes = _codes(kernel, np.int8).transpose(0, 3, 1, 2)
  return (
    _dequantised(graph, f'{name}_kernel', kernel_codes, kernel),
    _dequantised(graph, f'{name}_bias', _codes(bias, np.int32), bias),
  )


def _codes(tensor: Tensor, dtype: type) -> np.ndarray:
  little_endian = np.dtype(dtype).newbyteorder('<')
  assert tensor.data is not None
  codes = np.frombuffer(tensor.data, little_endian).astype(dtype)
  return codes.reshape(tensor.shape)


def _dequantised(
  graph: GraphBuilder, name: str, codes: np.ndarray, tensor: Tensor
) -> str:
  """Adds a constant of codes and its DequantizeLinear, one scale a channel."""
  if any(tensor.zero_points):
    raise ValueError(f'{tensor.label}: expected zero points of 0')
  return graph.add(
    'DequantizeLinear',
    name,
    graph.constant(f'{name}_codes', codes),
    graph.floats(f'{name}_scale', tensor.scales),
    graph.constant(f'{name}_zero_point', np.zeros(len(codes), codes.dtype)),
    axis=0,
  )


def _check_pool(tflite: Graph, operator: Operator) -> None:
  """A pool of 2 by 2, of codes that keep their meaning."""
  _check_options(
    operator,
    {'Padding': _VALID, 'StrideW': 2, 'StrideH': 2}
    | {'FilterWidth': 2, 'FilterHeight': 2}
    | {'FusedActivationFunction': _NONE},
  )
  read = tflite.tensors[operator.inputs[0]]
  written = tflite.tensors[operator.outputs[0]]
  if (read.scales, read.zero_points) != (written.scales, written.zero_points):
    raise ValueError(f'{operator.label}: expected one scale before and behind')


def _check_options(operator: Operator, expected: dict[str, int]) -> None:
  if operator.options != expected:
    raise ValueError(
      f'{operator.label}: expected {expected}, got {operator.options}'
    )
