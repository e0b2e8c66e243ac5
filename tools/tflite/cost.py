"""What a TFLite graph costs: multiplications, weights, activation memory.

ST Edge AI Core counts "MACC" in its own way, and `st_macc` counts the same:
a convolution's or dense layer's multiplications plus one per output channel
for the bias, one per element of a fused activation, one per element of every
pool window, one per input element of a MEAN, one per output element of an
elementwise operator. For the CNN of this project that is the 2,490,976 that
ST's report of it says; multiplications alone are 2,426,112. On PAD, PRELU and
LOGISTIC ST counts more.
"""

import dataclasses

from tools.tflite import graph as tflite_graph

# Inputs of these that are weights and biases, by position.
WEIGHT_POSITIONS = {
  'CONV_2D': (1, 2),
  'DEPTHWISE_CONV_2D': (1, 2),
  'FULLY_CONNECTED': (1, 2),
  'TRANSPOSE_CONV': (1, 3),
}
POOLS = ('MAX_POOL_2D', 'AVERAGE_POOL_2D')
CONVOLUTIONS = ('CONV_2D', 'DEPTHWISE_CONV_2D')
# Graphs of these alone have the MACC of ST's reports (2.1 to 4.0).
MACC_AS_ST = (*CONVOLUTIONS, *POOLS, 'MEAN')
_ELEMENTWISE = ('ADD', 'SUB', 'MUL', 'RELU', 'RELU6')


@dataclasses.dataclass(frozen=True)
class OperatorCost:
  """Cost of one operator.

  Attributes:
    name: of the operator, e.g. 'CONV_2D'.
    output_shape: of its first output.
    macs: multiply-accumulates of convolutions and dense layers, else 0.
    st_macc: what ST counts (see the module).
    weights_bytes: of weights and biases.
    activation_bytes: of its outputs.
  """

  name: str
  output_shape: tuple[int, ...]
  macs: int
  st_macc: int
  weights_bytes: int
  activation_bytes: int


@dataclasses.dataclass(frozen=True)
class Cost:
  """Cost of a graph.

  Attributes:
    operators: in order of execution.
    macs, st_macc, weights_bytes: their sums.
    peak_bytes: most activation bytes alive at once, every operator run by
      itself, inputs and outputs included.
    fused_peak_bytes: the same where a pool or a MEAN is done together with
      the convolution before it, as the NPU does: what lies between the two
      is never stored.
    ends_bytes: of all inputs or of all outputs, whichever are more, as int8.
  """

  operators: tuple[OperatorCost, ...]
  macs: int
  st_macc: int
  weights_bytes: int
  peak_bytes: int
  fused_peak_bytes: int
  ends_bytes: int


def cost(graph: tflite_graph.Graph) -> Cost:
  """Counts what a graph costs; shapes that do not fit together count 0."""
  operators = tuple(_operator_cost(graph, op) for op in graph.operators)
  return Cost(
    operators,
    sum(operator.macs for operator in operators),
    sum(operator.st_macc for operator in operators),
    sum(operator.weights_bytes for operator in operators),
    _peak_bytes(graph, [[op] for op in graph.operators]),
    _peak_bytes(graph, _fused(graph)),
    max(
      sum(graph.tensors[index].size for index in indices)
      for indices in (graph.inputs, graph.outputs)
    ),
  )


def _operator_cost(graph, operator) -> OperatorCost:
  output = graph.output(operator)
  weights = [
    graph.input(operator, position)
    for position in WEIGHT_POSITIONS.get(operator.name, ())
  ]
  num_macs = macs(graph, operator)
  return OperatorCost(
    operator.name,
    output.shape if output else (),
    num_macs,
    _st_macc(graph, operator, num_macs),
    sum(tensor.num_bytes for tensor in weights if tensor and tensor.data),
    sum(graph.tensors[index].num_bytes for index in operator.outputs),
  )


def macs(graph, operator) -> int:
  """Multiply-accumulates: output elements times weights behind each."""
  output, weights = graph.output(operator), graph.input(operator, 1)
  if not output or not weights or not weights.shape or not weights.shape[0]:
    return 0
  if operator.name == 'DEPTHWISE_CONV_2D' and len(weights.shape) == 4:
    return output.size * weights.shape[1] * weights.shape[2]
  if operator.name in ('CONV_2D', 'FULLY_CONNECTED'):
    return output.size * (weights.size // weights.shape[0])
  if operator.name == 'TRANSPOSE_CONV' and len(weights.shape) == 4:
    data = graph.input(operator, 2)
    kernel = weights.shape[0] * weights.shape[1] * weights.shape[2]
    return data.size * kernel if data else 0
  return 0


def _st_macc(graph, operator, num_macs: int) -> int:
  output = graph.output(operator)
  if output is None:
    return num_macs
  count = num_macs
  bias = graph.input(operator, 2)
  if operator.name in (*CONVOLUTIONS, 'FULLY_CONNECTED') and bias:
    count += bias.size
  if operator.options.get('FusedActivationFunction'):
    count += output.size
  if operator.name in POOLS and operator.options:
    window = operator.options['FilterHeight'] * operator.options['FilterWidth']
    count += output.size * window
  if operator.name == 'MEAN' and operator.inputs:
    source = graph.input(operator, 0)
    count += source.size if source else 0
  if operator.name in _ELEMENTWISE:
    count += output.size
  return count


def _fused(graph) -> list[list]:
  """Groups each pool or MEAN with the convolution that alone feeds it."""
  num_readers: dict[int, int] = {}
  for operator in graph.operators:
    for index in operator.inputs:
      num_readers[index] = num_readers.get(index, 0) + 1
  for index in graph.outputs:
    num_readers[index] = num_readers.get(index, 0) + 1
  steps: list[list] = []
  for operator in graph.operators:
    before = steps[-1][-1] if steps else None
    if (
      before is not None
      and operator.name in (*POOLS, 'MEAN')
      and before.name in CONVOLUTIONS
      and before.outputs[:1] == operator.inputs[:1]
      and num_readers.get(operator.inputs[0], 0) == 1
    ):
      steps[-1].append(operator)
    else:
      steps.append([operator])
  return steps


def _peak_bytes(graph, steps: list[list]) -> int:
  """Most bytes of computed tensors alive at once.

  Alive: from the step that writes a tensor (the first, for an input) to the
  last step that reads it (the last, for an output). What one operator of a
  step hands to the next is not stored.
  """
  first, last = {}, {}
  for index in graph.inputs:
    first[index] = last[index] = 0
  for number, step in enumerate(steps):
    inside = {index for operator in step[:-1] for index in operator.outputs}
    for operator in step:
      for index in set(operator.outputs) - inside:
        first.setdefault(index, number)
        last[index] = number
      for index in set(operator.inputs) & first.keys():
        last[index] = number
  for index in graph.outputs:
    if index in first:
      last[index] = max(len(steps) - 1, 0)
  change = [0] * (len(steps) + 2)
  for index, number in first.items():
    if graph.tensors[index].data is None:
      change[number] += graph.tensors[index].num_bytes
      change[last[index] + 1] -= graph.tensors[index].num_bytes
  alive_bytes = peak_bytes = 0
  for difference in change:
    alive_bytes += difference
    peak_bytes = max(peak_bytes, alive_bytes)
  return peak_bytes
