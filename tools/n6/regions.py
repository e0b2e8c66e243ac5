"""Parts of a TFLite graph that ST Edge AI Core treats in a way of its own.

Each function returns indices of operators. What is folded is computed by the
compiler; what lies at an end can be left out of the network by ST's options
for the types of inputs and outputs.
"""

from tools.tflite.graph import Graph, Operator, Tensor

CONVERSIONS = ('QUANTIZE', 'DEQUANTIZE', 'FAKE_QUANT')
# What may lie between the end of a graph and its conversion.
_MOVES = (*CONVERSIONS, 'TRANSPOSE', 'RESHAPE', 'EXPAND_DIMS', 'SQUEEZE')


def folded(graph: Graph) -> set[int]:
  """Operators on constants and shapes alone: SHAPE, PACK of sizes, ...

  A shape is a constant once the file's shapes are fixed.
  """
  found: set[int] = set()
  constants: set[int] = set()
  for operator in graph.operators:
    sources = graph.given(operator)
    if operator.name == 'SHAPE' or all(
      tensor.data is not None or tensor.index in constants for tensor in sources
    ):
      found.add(operator.index)
      constants.update(operator.outputs)
  return found


def leading(graph: Graph) -> set[int]:
  """Conversions and moves that nothing but such comes before."""
  found: set[int] = set()
  reached = set(graph.inputs)
  for operator in graph.operators:
    sources = [t.index for t in graph.given(operator) if not _is_constant(t)]
    if operator.name in _MOVES and sources and reached.issuperset(sources):
      found.add(operator.index)
      reached.update(operator.outputs)
  return found


def trailing(graph: Graph) -> set[int]:
  """Conversions and moves that nothing but such comes after."""
  found: set[int] = set()
  readers = _readers(graph)
  for operator in reversed(graph.operators):
    if operator.name in _MOVES and all(
      reader.index in found
      for index in operator.outputs
      for reader in readers.get(index, [])
    ):
      found.add(operator.index)
  return found


def _is_constant(tensor: Tensor) -> bool:
  """Whether the file holds its values; of an empty one there are none."""
  return tensor.data is not None or 0 in tensor.shape


def _readers(graph: Graph) -> dict[int, list[Operator]]:
  """The operators that read each tensor."""
  readers: dict[int, list[Operator]] = {}
  for operator in graph.operators:
    for index in operator.inputs:
      readers.setdefault(index, []).append(operator)
  return readers
