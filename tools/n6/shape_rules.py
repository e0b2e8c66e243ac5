"""Rules of n6_rules about structure and shapes.

Each takes a graph and yields (where, message) for every breach.
"""

import struct
from collections.abc import Iterator

from ai_edge_litert import schema_py_generated as schema

from tools.n6 import regions
from tools.tflite.graph import Graph, Operator, Tensor

Breaches = Iterator[tuple[str, str]]

CONVOLUTIONS = ('CONV_2D', 'DEPTHWISE_CONV_2D')
WEIGHTED = (*CONVOLUTIONS, 'FULLY_CONNECTED')
_POOLS = ('MAX_POOL_2D', 'AVERAGE_POOL_2D')
_VIEWS = {'RESHAPE', 'SQUEEZE', 'EXPAND_DIMS'}
_CONTROL = ('IF', 'WHILE', 'CALL', 'CALL_ONCE')
_INTEGERS = {'INT32': 'i', 'INT64': 'q'}
_MAX_RANK = 5
_IMAGE_CHANNELS = (1, 3, 4)
_MAX_KERNEL_HEIGHT = 3
# Of one epoch in a report of 4.0.
_MAX_NEW_KERNEL_HEIGHT = 5
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
      if (
        tensor.data is None
        and tensor.index not in written
        and not tensor.is_variable
        and 0 not in tensor.shape  # an empty constant
      ):
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
  """No operator, or outputs that are inputs or constants."""
  if not graph.operators:
    yield 'file', 'the graph has no operator'
    return
  if not graph.outputs or not graph.inputs:
    yield 'file', 'the graph has no input or no output'
  if set(graph.operator_names()) <= _VIEWS:
    yield graph.operators[0].label, 'reshaping is all that the graph does'
  written = {index for op in graph.operators for index in op.outputs}
  if graph.outputs and not written.intersection(graph.outputs):
    tensor = graph.tensors[graph.outputs[0]]
    if tensor.data or tensor.index in graph.inputs:
      yield tensor.label, 'the output is an input or a constant'


def control_flow(graph: Graph) -> Breaches:
  """Operators that run another subgraph."""
  for operator in graph.operators:
    if operator.name in _CONTROL:
      yield operator.label, 'runs another graph of the file'


def several_graphs(graph: Graph) -> Breaches:
  """More than one subgraph."""
  if graph.num_subgraphs > 1:
    yield 'file', f'{graph.num_subgraphs} graphs: the first is judged here'


def dynamic_shapes(graph: Graph) -> Breaches:
  """Sizes of -1 or 0 in the shape that is stored.

  A -1 in `shape_signature` alone is what converters leave of a batch.
  """
  for tensor in activations(graph):
    if min(tensor.shape, default=1) < 0:
      yield graph.place(tensor), 'a dimension is left open'
    elif 0 in tensor.shape:
      yield graph.place(tensor), 'a dimension of size 0'


def open_inputs(graph: Graph) -> Breaches:
  """Inputs with another size than the batch left open in the signature."""
  for index in graph.inputs:
    tensor = graph.tensors[index]
    if -1 in tensor.signature[1:]:
      yield (
        graph.place(tensor),
        f'signature {list(tensor.signature)}: what is compiled is the shape',
      )


def too_many_dimensions(graph: Graph) -> Breaches:
  """Rank above 5, anywhere."""
  for tensor in graph.tensors:
    if len(tensor.shape) > _MAX_RANK:
      yield (
        graph.place(tensor),
        f'{len(tensor.shape)} dimensions, at most {_MAX_RANK} allowed',
      )


def batches(graph: Graph) -> Breaches:
  """Images in and convolutions or pools on more than one image."""
  tensors = [graph.tensors[index] for index in graph.inputs]
  tensors += [
    graph.tensors[operator.outputs[0]]
    for operator, _, _ in _windows(graph, (*CONVOLUTIONS, *_POOLS))
  ]
  for tensor in dict.fromkeys(tensors):
    if len(tensor.shape) == 4 and tensor.shape[0] > 1:
      yield graph.place(tensor), f'batch {tensor.shape[0]}, 1 expected'


def not_images(graph: Graph) -> Breaches:
  """Images in with other channels than 1, 3 or 4."""
  moved = {
    index
    for operator in graph.operators
    if operator.name == 'TRANSPOSE'
    for index in operator.inputs
  }
  for index in graph.inputs:
    tensor = graph.tensors[index]
    if index in moved or len(tensor.shape) != 4:
      continue  # channels first; rule 'max-rank'
    if tensor.shape[3] not in _IMAGE_CHANNELS:
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
    found = sorted(axis % rank for axis in integers(axes)) if rank else []
    if rank != 4 or found != [1, 2]:
      yield operator.label, f'averages axes {found} of {rank} dimensions'


def integers(tensor: Tensor | None) -> tuple[int, ...]:
  """Values of a constant of integers; empty if it is none."""
  if tensor is None or not tensor.data or tensor.dtype not in _INTEGERS:
    return ()
  code = _INTEGERS[tensor.dtype]
  count = len(tensor.data) // struct.calcsize(code)
  return struct.unpack_from(f'<{count}{code}', tensor.data)


def large_kernels(graph: Graph) -> Breaches:
  """Convolution kernels that every version decomposes."""
  for operator, height, width, is_wide in _kernels(graph):
    if is_wide or height > _MAX_NEW_KERNEL_HEIGHT:
      yield (
        operator.label,
        f'a kernel {height} high and {width} wide: decomposed, slow and large',
      )


def high_kernels(graph: Graph) -> Breaches:
  """Kernels that versions before 4.0 decompose."""
  for operator, height, width, is_wide in _kernels(graph):
    if not is_wide and _MAX_KERNEL_HEIGHT < height <= _MAX_NEW_KERNEL_HEIGHT:
      yield (
        operator.label,
        f'a kernel {height} high and {width} wide: decomposed before 4.0',
      )


def _kernels(graph: Graph) -> Iterator[tuple[Operator, int, int, bool]]:
  """Yields (convolution, height, width, whether it is too wide)."""
  for operator, _, (height, width) in _windows(graph, CONVOLUTIONS):
    strided = _strides(operator)[1] >= 2
    max_width = _MAX_STRIDED_KERNEL_WIDTH if strided else _MAX_KERNEL_WIDTH
    yield operator, height, width, width > max_width


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
      # (before, after) of batch, height and width; channels: another rule.
      pad = max(integers(graph.input(operator, 1))[:6], default=0)
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
  """Convolutions of strides other than 1, 2 and 4."""
  yield from _odd_strides(graph, CONVOLUTIONS)


def odd_pool_strides(graph: Graph) -> Breaches:
  """Pools of strides other than 1, 2 and 4."""
  yield from _odd_strides(graph, _POOLS)


def _odd_strides(graph: Graph, names: tuple) -> Breaches:
  for operator, _, _ in _windows(graph, names):
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
  """Yields what is fed or computed at run time, each tensor once."""
  folded = regions.folded(graph)
  seen = dict.fromkeys(graph.inputs)
  for operator in graph.operators:
    if operator.index not in folded:
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
      weights = graph.input(operator, 1)
      assert weights is not None  # else it is ill weighted
      window = weights.shape[1:3]
    yield operator, graph.input(operator, 0), window
