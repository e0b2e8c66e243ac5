"""A TFLite graph as plain Python: tensors and operators.

`reader.read` makes one of a file.
"""

import dataclasses
import functools
import math

ABSENT = -1  # an operator's optional input that is not given
# The spatial CNN's. A compile report of this sequence exists: 5 epochs of the
# NPU, 0 in software.
KNOWN_OPERATORS = [
  'CONV_2D',
  'MAX_POOL_2D',
  'CONV_2D',
  'MAX_POOL_2D',
  'CONV_2D',
  'MEAN',
]
FLOAT_TYPES = ('FLOAT16', 'FLOAT32', 'FLOAT64', 'BFLOAT16')
TYPE_BITS = {
  'FLOAT16': 16,
  'FLOAT32': 32,
  'FLOAT64': 64,
  'BFLOAT16': 16,
  'INT4': 4,
  'UINT4': 4,
  'INT8': 8,
  'UINT8': 8,
  'INT16': 16,
  'UINT16': 16,
  'INT32': 32,
  'UINT32': 32,
  'INT64': 64,
  'UINT64': 64,
  'BOOL': 8,
  'COMPLEX64': 64,
  'COMPLEX128': 128,
}


@dataclasses.dataclass(frozen=True)
class Tensor:
  """One tensor of the graph.

  Attributes:
    index: place in the file's list.
    name: at most 60 printable characters of its name.
    shape: sizes as stored; converters store 1 for a size left open.
    signature: the same with -1 for a size left open; empty if none is.
    dtype: schema name, e.g. 'INT8'.
    data: bytes of a constant; None for what is computed.
    scales, zero_points: quantisation, one of each or one per channel; empty
      if not quantised.
    axis: dimension that per-channel scales run along.
    is_variable: whether it keeps its value from run to run (LSTM states).
  """

  index: int
  name: str
  shape: tuple[int, ...]
  signature: tuple[int, ...]
  dtype: str
  data: bytes | None
  scales: tuple[float, ...]
  zero_points: tuple[int, ...]
  axis: int
  is_variable: bool = False

  @property
  def size(self) -> int:
    """Number of elements; 0 if a dimension is stored as open (-1)."""
    return math.prod(max(size, 0) for size in self.shape)

  @property
  def num_bytes(self) -> int:
    """Bytes it occupies: of the data if constant, else shape times type."""
    if self.data is not None:
      return len(self.data)
    return -(-self.size * TYPE_BITS.get(self.dtype, 8) // 8)

  @property
  def label(self) -> str:
    """How messages call it."""
    return f'tensor {self.index} {self.name!r} {list(self.shape)}'


@dataclasses.dataclass(frozen=True)
class Operator:
  """One operator of the graph.

  Attributes:
    index: place in the order of execution.
    name: schema name, e.g. 'CONV_2D'; 'CUSTOM:name' for custom ones.
    version: of the operator, as the file states it.
    inputs, outputs: tensor indices; `ABSENT` for an optional input left out.
    options: fields of the generated options table by name, for those that
      rules look at ('StrideW', 'FusedActivationFunction', ...).
  """

  index: int
  name: str
  version: int
  inputs: tuple[int, ...]
  outputs: tuple[int, ...]
  options: dict[str, int]

  @property
  def label(self) -> str:
    """How messages call it."""
    return f'operator {self.index} {self.name}'


@dataclasses.dataclass(frozen=True)
class Graph:
  """The first subgraph of a TFLite file.

  Attributes:
    tensors, operators: in the file's order.
    inputs, outputs: tensor indices.
    num_subgraphs: 1 unless the file has control flow or several models.
  """

  tensors: tuple[Tensor, ...]
  operators: tuple[Operator, ...]
  inputs: tuple[int, ...]
  outputs: tuple[int, ...]
  num_subgraphs: int

  def check_operators(self) -> None:
    """Raises ValueError unless these are the spatial CNN's operators."""
    if self.operator_names() != KNOWN_OPERATORS:
      expected, found = map(', '.join, (KNOWN_OPERATORS, self.operator_names()))
      raise ValueError(f'expected the operators {expected}, got {found}')

  def operator_names(self) -> list[str]:
    """Names of the operators, in order."""
    return [operator.name for operator in self.operators]

  @functools.cached_property
  def _first_user(self) -> dict[int, Operator]:
    users: dict[int, Operator] = {}
    for operator in self.operators:
      for index in operator.outputs:
        users.setdefault(index, operator)
    for operator in self.operators:
      for index in operator.inputs:
        users.setdefault(index, operator)
    return users

  def place(self, tensor: Tensor) -> str:
    """Names a tensor and the operator that writes it, or first reads it."""
    user = self._first_user.get(tensor.index)
    return f'{user.label}, {tensor.label}' if user else tensor.label

  def given(self, operator: Operator) -> list[Tensor]:
    """The operator's inputs that are there."""
    return [self.tensors[i] for i in operator.inputs if i != ABSENT]

  def input(self, operator: Operator, position: int) -> Tensor | None:
    """The operator's input at a position; None if left out."""
    if position >= len(operator.inputs):
      return None
    index = operator.inputs[position]
    return None if index == ABSENT else self.tensors[index]

  def output(self, operator: Operator) -> Tensor | None:
    """The operator's first output; None if it has none."""
    return self.tensors[operator.outputs[0]] if operator.outputs else None
