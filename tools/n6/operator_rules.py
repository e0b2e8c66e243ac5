"""Rules of n6_rules about operators that the NPU does not run by itself.

Each takes a graph and yields (where, message) for every breach; the message
gives what the CPU has to do.
"""

from collections.abc import Iterator

from tools.n6 import regions
from tools.n6.shape_rules import integers
from tools.tflite import cost
from tools.tflite.graph import Graph, Operator

Breaches = Iterator[tuple[str, str]]

# ST's list of 3.0.0 and what reports show. Some run in software all the same
# in a shape that another rule of this module names.
IN_HARDWARE = (
  *('CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED', 'BATCH_MATMUL'),
  *('MAX_POOL_2D', 'AVERAGE_POOL_2D', 'MEAN'),
  *('RELU', 'RELU6', 'RELU_0_TO_1', 'RELU_N1_TO_1', 'LEAKY_RELU', 'PRELU'),
  *('LOGISTIC', 'TANH', 'HARD_SWISH'),
  *('ADD', 'SUB', 'MUL', 'ABS', 'CEIL', 'CAST', 'EQUAL'),
  *('LOGICAL_AND', 'LOGICAL_NOT', 'LOGICAL_OR'),
  *('RESHAPE', 'SQUEEZE', 'EXPAND_DIMS', 'TRANSPOSE'),
  *('CONCATENATION', 'PAD', 'PADV2', 'PACK', 'UNPACK'),
  *('STRIDED_SLICE', 'SPLIT', 'SPLIT_V', 'SPACE_TO_DEPTH'),
)
# In software but for a move of data: hybrid in the reports.
HYBRID = {
  'RESIZE_NEAREST_NEIGHBOR': 'hybrid',
  'TRANSPOSE_CONV': 'hybrid, by way of DepthToSpace',
}
_PADS = ('PAD', 'PADV2', 'MIRROR_PAD')
# What the unit moves at once, in channels, as far as reports show: 4 + 1 + 1
# and 12 + 3 + 3 run in software, multiples of 8 in hardware.
_CHANNELS_AT_ONCE = 8


def software_operators(graph: Graph) -> Breaches:
  """Operators that no list and no report shows in hardware."""
  for operator in _computed(graph):
    if operator.name in HYBRID:
      yield operator.label, f'{HYBRID[operator.name]}: {_work(graph, operator)}'
    elif operator.name not in (*IN_HARDWARE, *regions.CONVERSIONS):
      yield operator.label, f'would run in software: {_work(graph, operator)}'


def transposes(graph: Graph) -> Breaches:
  """TRANSPOSE anywhere but at the input."""
  leading = regions.leading(graph)
  for operator in _computed(graph):
    if operator.name == 'TRANSPOSE' and operator.index not in leading:
      yield operator.label, f'hybrid: {_work(graph, operator)}'


def padded_channels(graph: Graph) -> Breaches:
  """PAD along channels."""
  for operator in _computed(graph):
    source, output = graph.input(operator, 0), graph.output(operator)
    if operator.name not in _PADS or not source or not output:
      continue
    if len(source.shape) != 4 or not any(
      integers(graph.input(operator, 1))[6:8]
    ):
      continue
    yield (
      operator.label,
      f'pads {source.shape[3]} channels to {output.shape[-1]}: 1 to 2 hybrid '
      f'transposes of {output.num_bytes:,} B',
    )


def joined_channels(graph: Graph) -> Breaches:
  """CONCATENATION along channels whose numbers are no multiples of 8."""
  for operator in _computed(graph):
    output = graph.output(operator)
    if operator.name != 'CONCATENATION' or not output or not output.shape:
      continue
    axis = operator.options.get('Axis', 0) % len(output.shape)
    channels = [t.shape[-1] for t in graph.given(operator) if t.shape]
    if axis == len(output.shape) - 1 and any(
      number % _CHANNELS_AT_ONCE for number in channels
    ):
      yield (
        operator.label,
        f'joins {" + ".join(map(str, channels))} channels: '
        f'{_work(graph, operator)}',
      )


def single_values(graph: Graph) -> Breaches:
  """CONV_2D of one value, [1, 1, 1, 1]."""
  for operator, shape in _pixel_convolutions(graph):
    if shape[3] == 1:
      yield operator.label, f'of one value: {_work(graph, operator)}'


def single_pixels(graph: Graph) -> Breaches:
  """CONV_2D of one pixel of several channels, [1, 1, 1, C]."""
  for operator, shape in _pixel_convolutions(graph):
    if shape[3] > 1:
      yield operator.label, f'of one pixel of {shape[3]} channels'


def _pixel_convolutions(graph: Graph):
  for operator in _computed(graph):
    source = graph.input(operator, 0)
    if operator.name == 'CONV_2D' and source and len(source.shape) == 4:
      if source.shape[:3] == (1, 1, 1):
        yield operator, source.shape


def split_activations(graph: Graph) -> Breaches:
  """An activation that a RESHAPE parts from its convolution."""
  writers = {
    index: operator
    for operator in graph.operators
    for index in operator.outputs
  }
  for operator in graph.operators:
    if operator.name not in ('RELU', 'RELU6', 'PRELU', 'LEAKY_RELU'):
      continue
    before = writers.get(operator.inputs[0]) if operator.inputs else None
    if before and before.name == 'RESHAPE' and before.inputs:
      source = writers.get(before.inputs[0])
      if source and source.name in cost.CONVOLUTIONS:
        yield operator.label, f'{before.label} parts it from {source.label}'


def _computed(graph: Graph) -> Iterator[Operator]:
  """Operators that are left once shapes and constants are folded."""
  folded = regions.folded(graph)
  for operator in graph.operators:
    if operator.index not in folded:
      yield operator


def _work(graph: Graph, operator: Operator) -> str:
  """What the operator costs, in words."""
  macs = cost.macs(graph, operator)
  if macs:
    return f'{macs:,} multiplications'
  written = sum(graph.tensors[index].size for index in operator.outputs)
  return f'{written:,} values'
