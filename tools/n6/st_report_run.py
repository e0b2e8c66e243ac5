"""What one run of ST Edge AI Core says of a network, whatever wrote it down."""

import dataclasses

NPU = 'npu'
CPU = 'cpu'
HOST = 'host'
SOFTWARE = 'SW'
HYBRID = 'Hybrid'


@dataclasses.dataclass(frozen=True)
class Epoch:
  """One epoch that does not run in hardware alone.

  Attributes:
    name: e.g. 'epoch 3'.
    kind: `SOFTWARE`, or `HYBRID` for both.
    operator: what it computes; may be empty.
  """

  name: str
  kind: str
  operator: str


@dataclasses.dataclass(frozen=True)
class Pool:
  """One memory pool in use.

  Attributes:
    name: ST's, e.g. 'npuRAM5'.
    address: of its first byte.
    used_bytes, size_bytes: to the byte from JSON, to 0.5 B a kB from text.
  """

  name: str
  address: int
  used_bytes: int
  size_bytes: int


@dataclasses.dataclass(frozen=True)
class End:
  """An input or output.

  Attributes:
    shape: channels last where the report tells.
    dtype: 'int8', ...; empty if the report does not say.
  """

  shape: tuple[int, ...]
  dtype: str


@dataclasses.dataclass(frozen=True)
class StReport:
  """One run. What is not told is None, or empty.

  Attributes:
    kind: `NPU`: compiled for the NPU; `CPU`: for a processor alone; `HOST`:
      `validate`, whose figures are those of the model on the host.
    tool: name and version of the tool.
    command: 'analyze', 'generate' or 'validate'.
    model: file name of the network.
    target: as the tool names it, e.g. 'stm32n6npu'.
    num_epochs: of all kinds.
    not_hardware: those in software, whole or in part.
    num_software, num_hybrid: how many the report counts of each; `num_hybrid`
      is None where text of 2.x may count both as software.
    macc: multiply-accumulates of the model as ST counts them.
    rewritten_macc: the same of what the compiler makes of the model.
    weights_bytes: of the model's weights and biases.
    compiled_weights_bytes: of what is flashed.
    activations_bytes: all pools together.
    pools: those in use.
    inputs, outputs: of the network.
    operators: of the model, in order.
    board_ms: time of a run on the board.
  """

  kind: str
  tool: str = ''
  command: str = ''
  model: str = ''
  target: str = ''
  num_epochs: int | None = None
  not_hardware: tuple[Epoch, ...] = ()
  num_software: int | None = None
  num_hybrid: int | None = None
  macc: int | None = None
  rewritten_macc: int | None = None
  weights_bytes: int | None = None
  compiled_weights_bytes: int | None = None
  activations_bytes: int | None = None
  pools: tuple[Pool, ...] = ()
  inputs: tuple[End, ...] = ()
  outputs: tuple[End, ...] = ()
  operators: tuple[str, ...] = ()
  board_ms: float | None = None


def file_name(path: str) -> str:
  """The last part of a path of any system."""
  return path.strip().strip('"\'').replace('\\', '/').split('/')[-1]
