"""Rules of n6_rules about operators, number types and quantisation.

Each takes a graph and yields (where, message) for every breach.
"""

import math
from collections.abc import Iterator

from ai_edge_litert import schema_py_generated as schema

from tools.n6.shape_rules import (
  CONVOLUTIONS,
  WEIGHTED,
  activations,
  output_axis,
)
from tools.tflite.graph import FLOAT_TYPES, Graph, Operator, Tensor

Breaches = Iterator[tuple[str, str]]

# MEAN only as a global spatial pool: rule 'global-mean'.
IN_HARDWARE = (
  'CONV_2D',
  'DEPTHWISE_CONV_2D',
  'FULLY_CONNECTED',
  'RELU',
  'RELU6',
  'ADD',
  'SUB',
  'MUL',
  'CONCATENATION',
  'PAD',
  'RESHAPE',
  'MAX_POOL_2D',
  'AVERAGE_POOL_2D',
  'MEAN',
)
_CONVERSIONS = ('QUANTIZE', 'DEQUANTIZE', 'FAKE_QUANT')
_FROM_ZERO = (
  schema.ActivationFunctionType.RELU,
  schema.ActivationFunctionType.RELU6,
)


def software_operators(graph: Graph) -> Breaches:
  """Operators that the NPU does not have."""
  for operator in graph.operators:
    if operator.name not in (*IN_HARDWARE, *_CONVERSIONS):
      yield operator.label, 'would run in software'


def conversions(graph: Graph) -> Breaches:
  """QUANTIZE and DEQUANTIZE."""
  for operator in graph.operators:
    if operator.name in _CONVERSIONS:
      yield operator.label, 'a conversion left in the graph'


def floats(graph: Graph) -> Breaches:
  """Operators that read or write floating point."""
  for operator in graph.operators:
    for tensor in _touched(graph, operator):
      if tensor.dtype in FLOAT_TYPES:
        yield f'{operator.label}, {tensor.label}', f'is {tensor.dtype}'
        break


def hybrids(graph: Graph) -> Breaches:
  """Integer weights on floating-point activations."""
  for operator, weights in _weighted(graph):
    source = graph.input(operator, 0)
    if source and source.dtype in FLOAT_TYPES and 'INT' in weights.dtype:
      yield (
        f'{operator.label}, {weights.label}',
        f'{weights.dtype} weights on {source.dtype} activations',
      )


def io_not_int8(graph: Graph) -> Breaches:
  """Inputs and outputs of another type than int8."""
  for side, indices in (('input', graph.inputs), ('output', graph.outputs)):
    for index in indices:
      tensor = graph.tensors[index]
      if tensor.dtype != 'INT8':
        yield f'{side}, {tensor.label}', f'is {tensor.dtype}, not INT8'


def activations_not_int8(graph: Graph) -> Breaches:
  """Computed integers of another type, or without one scale."""
  for tensor in activations(graph):
    if tensor.dtype in FLOAT_TYPES:
      continue  # rule 'no-float'
    if tensor.dtype != 'INT8':
      yield graph.place(tensor), f'is {tensor.dtype}, not INT8'
    elif len(tensor.scales) != 1 or len(tensor.zero_points) != 1:
      yield graph.place(tensor), f'{len(tensor.scales)} scales, 1 expected'
    elif not 0 < tensor.scales[0] < math.inf:
      yield graph.place(tensor), f'a scale of {tensor.scales[0]}'
    elif not -128 <= tensor.zero_points[0] <= 127:
      yield graph.place(tensor), f'a zero-point of {tensor.zero_points[0]}'


def weights_not_int8(graph: Graph) -> Breaches:
  """Weights of another type."""
  for operator, weights in _weighted(graph):
    if weights.dtype != 'INT8':
      yield (
        f'{operator.label}, {weights.label}',
        f'weights are {weights.dtype}, not INT8',
      )


def asymmetric_weights(graph: Graph) -> Breaches:
  """Weights with a zero-point other than 0."""
  for operator, weights in _weighted(graph):
    if any(weights.zero_points):
      yield (
        f'{operator.label}, {weights.label}',
        f'zero-point {next(filter(None, weights.zero_points))}, 0 expected',
      )


def per_tensor_weights(graph: Graph) -> Breaches:
  """Convolution weights without one scale per output channel.

  A dense layer may have one scale: converters write it so, and ST's tool
  takes it.
  """
  for operator, weights in _weighted(graph):
    axis = output_axis(operator)
    if weights.dtype in FLOAT_TYPES or len(weights.shape) <= axis:
      continue
    channels = weights.shape[axis]
    if len(weights.scales) == channels and (
      weights.axis == axis or channels == 1
    ):
      continue
    if operator.name in CONVOLUTIONS or len(weights.scales) != 1:
      yield (
        f'{operator.label}, {weights.label}',
        f'{len(weights.scales)} scales for {channels} output channels',
      )


def biases_not_int32(graph: Graph) -> Breaches:
  """Biases of another type, or with a zero-point."""
  for operator, _ in _weighted(graph):
    bias = graph.input(operator, 2)
    if bias is None or bias.dtype in FLOAT_TYPES:
      continue  # rule 'no-float'
    if bias.dtype != 'INT32' or any(bias.zero_points):
      yield (
        f'{operator.label}, {bias.label}',
        f'a bias of {bias.dtype}, zero-points {set(bias.zero_points)}',
      )


def unequal_scales(graph: Graph) -> Breaches:
  """Sums and differences of two activations with different scales."""
  for operator in graph.operators:
    sources = [t for t in graph.given(operator) if t.data is None]
    if operator.name in ('ADD', 'SUB') and len(sources) == 2:
      first, second = (tensor.scales[:1] for tensor in sources)
      if first != second:
        yield operator.label, f'inputs of scale {first} and {second}'


def wasted_codes(graph: Graph) -> Breaches:
  """ReLU outputs whose zero-point is not the lowest code."""
  for operator in graph.operators:
    output = graph.output(operator)
    fused = operator.options.get('FusedActivationFunction')
    if operator.name not in ('RELU', 'RELU6') and fused not in _FROM_ZERO:
      continue
    if output and output.dtype == 'INT8' and output.zero_points != (-128,):
      yield (
        f'{operator.label}, {output.label}',
        f'zero-point {list(output.zero_points)} after a ReLU, -128 expected',
      )


def _touched(graph: Graph, operator: Operator) -> list[Tensor]:
  outputs = [graph.tensors[index] for index in operator.outputs]
  return [*graph.given(operator), *outputs]


def _weighted(graph: Graph) -> Iterator[tuple[Operator, Tensor]]:
  """Yields each operator that has weights, and those."""
  for operator in graph.operators:
    weights = graph.input(operator, 1)
    if operator.name in WEIGHTED and weights is not None:
      yield operator, weights
