"""Rules of n6_rules about operators, number types and quantisation.

Each takes a graph and yields (where, message) for every breach.
"""

import math
from collections.abc import Iterator

from ai_edge_litert import schema_py_generated as schema

from tools.n6 import regions
from tools.n6.shape_rules import (
  CONVOLUTIONS,
  WEIGHTED,
  activations,
  output_axis,
)
from tools.tflite.graph import FLOAT_TYPES, Graph, Operator, Tensor

Breaches = Iterator[tuple[str, str]]

_FROM_ZERO = (
  schema.ActivationFunctionType.RELU,
  schema.ActivationFunctionType.RELU6,
)


def floats(graph: Graph) -> Breaches:
  """Operators that read or write floating point, but for those at an end."""
  left_out = (
    regions.folded(graph) | regions.leading(graph) | regions.trailing(graph)
  )
  for operator in graph.operators:
    if operator.index in left_out:
      continue
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


def inputs_not_int8(graph: Graph) -> Breaches:
  """Inputs in float or uint8, and QUANTIZE behind an input."""
  yield from _other_ends(graph, 'input', graph.inputs)
  for operator in _conversions(graph, regions.leading(graph)):
    yield operator.label, 'converts the input inside the network'


def outputs_not_int8(graph: Graph) -> Breaches:
  """Outputs in float or uint8, and DEQUANTIZE before an output."""
  yield from _other_ends(graph, 'output', graph.outputs)
  for operator in _conversions(graph, regions.trailing(graph)):
    how = ', in software as it stands' if operator.name == 'DEQUANTIZE' else ''
    yield operator.label, f'converts the output{how}'


def _other_ends(graph: Graph, side: str, indices: tuple[int, ...]) -> Breaches:
  for index in indices:
    tensor = graph.tensors[index]
    if tensor.dtype in (*FLOAT_TYPES, 'UINT8'):
      yield f'{side}, {tensor.label}', f'is {tensor.dtype}, not INT8'


def _conversions(graph: Graph, where: set[int]) -> Iterator[Operator]:
  for operator in graph.operators:
    if operator.index in where and operator.name in regions.CONVERSIONS:
      yield operator


def inner_conversions(graph: Graph) -> Breaches:
  """QUANTIZE and DEQUANTIZE amid the graph that go from or to float."""
  ends = (
    regions.folded(graph) | regions.leading(graph) | regions.trailing(graph)
  )
  inner = {operator.index for operator in graph.operators} - ends
  for operator in _conversions(graph, inner):
    if any(t.dtype in FLOAT_TYPES for t in _touched(graph, operator)):
      yield operator.label, 'a conversion amid the graph'


def activations_not_int8(graph: Graph) -> Breaches:
  """Computed integers of another type, or without one scale."""
  moved = regions.leading(graph) | regions.trailing(graph)
  ends = {*graph.inputs, *graph.outputs}
  for operator in graph.operators:
    if operator.index in moved:
      ends.update(operator.inputs, operator.outputs)
  for tensor in activations(graph):
    if tensor.dtype in FLOAT_TYPES:
      continue  # rule 'no-float'
    if tensor.dtype == 'UINT8' and tensor.index in ends:
      continue  # rules 'int8-input' and 'int8-output'
    if tensor.dtype != 'INT8':
      yield graph.place(tensor), f'is {tensor.dtype}, not INT8'
    elif len(tensor.scales) != 1 or len(tensor.zero_points) != 1:
      yield graph.place(tensor), f'{len(tensor.scales)} scales, 1 expected'
    elif not 0 < tensor.scales[0] < math.inf:
      yield graph.place(tensor), f'a scale of {tensor.scales[0]}'
    elif not -128 <= tensor.zero_points[0] <= 127:
      yield graph.place(tensor), f'a zero-point of {tensor.zero_points[0]}'


def computed_weights(graph: Graph) -> Breaches:
  """Weights that are no constant once shapes are known."""
  folded = {
    index
    for operator in graph.operators
    if operator.index in regions.folded(graph)
    for index in operator.outputs
  }
  for operator, weights in _weighted(graph):
    if weights.data is None and weights.index not in folded:
      yield operator.label, f'its weights, {weights.label}, are no constant'


def weights_not_int8(graph: Graph) -> Breaches:
  """Integer weights of another type than 8 or 4 bits."""
  for operator, weights in _weighted(graph):
    if weights.dtype not in (*FLOAT_TYPES, 'INT8', 'INT4', 'UINT8'):
      yield (
        f'{operator.label}, {weights.label}',
        f'weights are {weights.dtype}, not INT8',
      )


def weights_of_4_bits(graph: Graph) -> Breaches:
  """INT4 weights."""
  for operator, weights in _weighted(graph):
    if weights.dtype == 'INT4':
      yield f'{operator.label}, {weights.label}', 'weights are INT4'


def asymmetric_weights(graph: Graph) -> Breaches:
  """Weights with a zero-point other than 0, or unsigned."""
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
        yield (
          operator.label,
          f'inputs of scale {_in_words(first)} and {_in_words(second)}',
        )


def _in_words(scales: tuple[float, ...]) -> str:
  return f'{scales[0]:.4g}' if scales else 'none'


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
