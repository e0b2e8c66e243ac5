"""Rules of n6_rules about structure and shapes.

Each takes a graph and yields (where, message) for every breach.
"""

import struct
from collections.abc import Iterator

from ai_edge_litert import schema_py_generated as schema

from tools.tflite.graph import Graph, Operator, Tensor

Breaches = Iterator[tuple[str, str]]

CONVOLUTIONS = ('CONV_2D', 'DEPTHWISE_CONV_2D')
WEIGHTED = (*CONVOLUTIONS, 'FULLY_CONNECTED')
_POOLS = ('MAX_POOL_2D', 'AVERAGE_POOL_2D')
_MAX_RANK = 5
_IMAGE_CHANNELS = (1, 3, 4)
_MAX_KERNEL_HEIGHT = 3
_MAX_KERNEL_WIDTH = 6
_MAX_STRIDED_KERNEL_WIDTH = 12
_MAX_POOL_WINDOW = 3
_MAX_LINE = 2048
_MAX_PAD = 2
_STRIDES = (1, 2, 4)


def ill_formed(graph: Graph) -> Breaches:
  """Operators that lack what they need, or read what is not yet there."""
  written = set(graph.inputs)
  for operator in graph.operators:
    for tensor in graph.given(operator):
      if tensor.data is None and tensor.index not in written:
        yield operator.label, f'reads {tensor.label} before it is written'
    written.update(operator.outputs)
    if not operator.outputs:
      yield operator.label, 'has no output'
    if operator.name in WEIGHTED:
      yield from _ill_weighted(graph, operator)
    if operator.name in (*CONVOLUTIONS, *_POOLS):
      yield from _ill_window(graph, operator)
  for index in graph.outputs if graph.operators else ():
    if index not in written and graph.tensors[index].data is None:
      yield graph.tensors[index].label, 'an output that nothing writes'


def _ill_weighted(graph, operator) -> Breaches:
  rank = 2 if operator.name == 'FULLY_CONNECTED' else 4
  weights, output = graph.input(operator, 1), graph.output(operator)
  if weights is None or len(weights.shape) != rank or 0 in weights.shape:
    yield operator.label, f'has no weights of {rank} dimensions'
  elif weights.data is None:
    yield operator.label, f'its weights, {weights.label}, are no constant'
  elif output and output.shape[-1:] != (weights.shape[output_axis(operator)],):
    yield (
      operator.label,
      f'output {list(output.shape)} does not fit weights {list(weights.shape)}',
    )


def _ill_window(graph, operator) -> Breaches:
  source, output = graph.input(operator, 0), graph.output(operator)
  for tensor in (source, output):
    if tensor is None or len(tensor.shape) != 4:
      yield operator.label, 'does not go from images to images (rank 4)'
      return
  if not operator.options:
    yield operator.label, 'has no options'
  elif min(_strides(operator)) < 1:
    yield operator.label, f'strides of {_strides(operator)}'


def output_axis(operator: Operator) -> int:
  """Dimension of the weights that output channels run along."""
  return 3 if operator.name == 'DEPTHWISE_CONV_2D' else 0


def nothing_computed(graph: Graph) -> Breaches:
  """No operator, or an output that is its input or a constant."""
  if not graph.operators:
    yield 'file', 'the graph has no operator'
    return
  if not graph.outputs or not graph.inputs:
    yield 'file', 'the graph has no input or no output'
  if set(graph.operator_names()) <= {'RESHAPE'}:
    yield graph.operators[0].label, 'reshaping is all that the graph does'
  written = {index for op in graph.operators for index in op.outputs}
  for index in graph.outputs:
    tensor = graph.tensors[index]
    if index not in written and (tensor.data or index in graph.inputs):
      yield tensor.label, 'the output is an input or a constant'


def several_graphs(graph: Graph) -> Breaches:
  """More than one subgraph."""
  if graph.num_subgraphs > 1:
    yield 'file', f'{graph.num_subgraphs} graphs, 1 expected'


def dynamic_shapes(graph: Graph) -> Breaches:
  """Dimensions left open, or of size 0."""
  for tensor in graph.tensors:
    if tensor.is_dynamic:
      yield graph.place(tensor), 'a dimension is left open'
    elif 0 in tensor.shape:
      yield graph.place(tensor), 'a dimension of size 0'


def too_many_dimensions(graph: Graph) -> Breaches:
  """Rank above 5, anywhere."""
  for tensor in graph.tensors:
    if len(tensor.shape) > _MAX_RANK:
      yield (
        graph.place(tensor),
        f'{len(tensor.shape)} dimensions, at most {_MAX_RANK} allowed',
      )


def batches(graph: Graph) -> Breaches:
  """Computed tensors whose first dimension is not 1."""
  for tensor in activations(graph):
    if len(tensor.shape) > 1 and tensor.shape[0] != 1:
      yield graph.place(tensor), f'batch {tensor.shape[0]}, 1 expected'


def not_images(graph: Graph) -> Breaches:
  """Inputs that are no NHWC image."""
  for index in graph.inputs:
    tensor = graph.tensors[index]
    if len(tensor.shape) != 4:
      yield graph.place(tensor), f'{len(tensor.shape)} dimensions, not 4'
    elif tensor.shape[3] not in _IMAGE_CHANNELS:
      yield (
        graph.place(tensor),
        f'{tensor.shape[3]} channels, 1, 3 or 4 expected',
      )


def partial_means(graph: Graph) -> Breaches:
  """MEAN that is no global spatial pool."""
  for operator in graph.operators:
    if operator.name != 'MEAN':
      continue
    source, axes = graph.input(operator, 0), graph.input(operator, 1)
    rank = len(source.shape) if source else 0
    found = sorted(axis % rank for axis in _int32s(axes)) if rank else []
    if rank != 4 or found != [1, 2]:
      yield operator.label, f'averages axes {found} of {rank} dimensions'


def _int32s(tensor: Tensor | None) -> tuple[int, ...]:
  if tensor is None or not tensor.data or tensor.dtype != 'INT32':
    return ()
  return struct.unpack_from(f'<{len(tensor.data) // 4}i', tensor.data)


def large_kernels(graph: Graph) -> Breaches:
  """Convolution kernels that the NPU decomposes."""
  for operator, _, kernel in _windows(graph, CONVOLUTIONS):
    height, width = kernel
    strided = _strides(operator)[1] >= 2
    max_width = _MAX_STRIDED_KERNEL_WIDTH if strided else _MAX_KERNEL_WIDTH
    if height > _MAX_KERNEL_HEIGHT or width > max_width:
      yield operator.label, f'a kernel {height} high and {width} wide'


def large_pools(graph: Graph) -> Breaches:
  """Pool windows above 3."""
  for operator, _, window in _windows(graph, _POOLS):
    if max(window) > _MAX_POOL_WINDOW:
      yield operator.label, f'a window {window[0]} high and {window[1]} wide'


def wide_features(graph: Graph) -> Breaches:
  """Lines of more than 2048 values into a convolution."""
  for operator, source, _ in _windows(graph, CONVOLUTIONS):
    line = source.shape[2] * source.shape[3]
    if line > _MAX_LINE:
      yield (
        f'{operator.label}, {source.label}',
        f'width {source.shape[2]} times {source.shape[3]} channels is {line}',
      )


def wide_padding(graph: Graph) -> Breaches:
  """Padding by more than 2 on any side."""
  for operator, source, window in _windows(graph, (*CONVOLUTIONS, *_POOLS)):
    pad = max(
      _same_pad(source.shape[1 + i], window[i], operator, 'HW'[i])
      for i in range(2)
    )
    if pad > _MAX_PAD:
      yield operator.label, f'pads by {pad}'
  for operator in graph.operators:
    if operator.name == 'PAD':
      pad = max(_int32s(graph.input(operator, 1)), default=0)
      if pad > _MAX_PAD:
        yield operator.label, f'pads by {pad}'


def _same_pad(size: int, window: int, operator: Operator, side: str) -> int:
  """Padding after the image that SAME means; 0 for VALID."""
  if operator.options['Padding'] != schema.Padding.SAME:
    return 0
  stride = operator.options[f'Stride{side}']
  dilation = operator.options.get(f'Dilation{side}Factor', 1)
  reach = (window - 1) * dilation + 1
  total = max((-(-size // stride) - 1) * stride + reach - size, 0)
  return -(-total // 2)


def odd_strides(graph: Graph) -> Breaches:
  """Strides other than 1, 2 and 4."""
  for operator, _, _ in _windows(graph, (*CONVOLUTIONS, *_POOLS)):
    strides = _strides(operator)
    if not set(strides) <= set(_STRIDES):
      yield operator.label, f'stride {strides[0]} down, {strides[1]} across'


def dilations(graph: Graph) -> Breaches:
  """Dilated convolutions."""
  for operator, _, _ in _windows(graph, CONVOLUTIONS):
    factors = [operator.options[f'Dilation{side}Factor'] for side in 'HW']
    if factors != [1, 1]:
      yield operator.label, f'dilation {factors[0]} down, {factors[1]} across'


def strided_depthwise(graph: Graph) -> Breaches:
  """Depthwise convolutions with a stride of 2 or more."""
  for operator, _, _ in _windows(graph, ('DEPTHWISE_CONV_2D',)):
    if max(_strides(operator)) >= 2:
      yield operator.label, f'stride {max(_strides(operator))}'


def activations(graph: Graph) -> Iterator[Tensor]:
  """Yields the tensors that are computed or fed, each once."""
  seen = dict.fromkeys(graph.inputs)
  for operator in graph.operators:
    seen.update(dict.fromkeys(operator.outputs))
  for index in seen:
    if graph.tensors[index].data is None:
      yield graph.tensors[index]


def _strides(operator: Operator) -> tuple[int, int]:
  return operator.options['StrideH'], operator.options['StrideW']


def _windows(graph: Graph, names: tuple) -> Iterator[tuple]:
  """Yields (operator, its image, (window height, width)); skips ill-formed."""
  for operator in graph.operators:
    if operator.name not in names or any(_ill_window(graph, operator)):
      continue
    if operator.name in _POOLS:
      window = (
        operator.options['FilterHeight'],
        operator.options['FilterWidth'],
      )
    elif any(_ill_weighted(graph, operator)):
      continue
    else:
      window = graph.input(operator, 1).shape[1:3]
    yield operator, graph.input(operator, 0), window
