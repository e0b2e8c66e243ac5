"""A TFLite file → `graph.Graph`, read with care.

LiteRT's generated schema package does the decoding, field by field. The
flatbuffers runtime for Python has no verifier, so this module bounds all it
reads by the file's own length, checks every index, and turns whatever a
damaged file provokes into one error: it never crashes, hangs or fills the
memory.
"""

import pathlib
import struct

from ai_edge_litert import schema_py_generated as schema

from rppg_tf.errors import InputError
from tools.tflite.graph import ABSENT, TYPE_BITS, Graph, Operator, Tensor

IDENTIFIER = b'TFL3'
_MIN_FILE_BYTES = 8
# TFLite itself knows no tensor of more than 8 dimensions.
_MAX_RANK = 32
# Whatever is counted takes a byte of the file at least; some is shared.
_READINGS_PER_BYTE = 4
# Far more tensors or operators than any network that the NPU runs.
_MAX_TABLES = 1 << 16
# More than the flash of any STM32N6 board.
_MAX_FILE_BYTES = 1 << 27
_MAX_NAME_CHARS = 60

_TYPE_NAMES = {
  code: name
  for name, code in vars(schema.TensorType).items()
  if isinstance(code, int)
}
_OPERATOR_NAMES = {
  code: name
  for name, code in vars(schema.BuiltinOperator).items()
  if isinstance(code, int)
}
# Which generated table holds an operator's options, and the fields read.
_OPTIONS = {
  'CONV_2D': (
    'Conv2DOptions',
    ('Padding', 'StrideW', 'StrideH', 'DilationWFactor', 'DilationHFactor'),
  ),
  'DEPTHWISE_CONV_2D': (
    'DepthwiseConv2DOptions',
    ('Padding', 'StrideW', 'StrideH', 'DilationWFactor', 'DilationHFactor'),
  ),
  'MAX_POOL_2D': (
    'Pool2DOptions',
    ('Padding', 'StrideW', 'StrideH', 'FilterWidth', 'FilterHeight'),
  ),
  'FULLY_CONNECTED': ('FullyConnectedOptions', ()),
  'ADD': ('AddOptions', ()),
  'SUB': ('SubOptions', ()),
  'MUL': ('MulOptions', ()),
  'CONCATENATION': ('ConcatenationOptions', ('Axis',)),
}
_OPTIONS['AVERAGE_POOL_2D'] = _OPTIONS['MAX_POOL_2D']
_ACTIVATION = 'FusedActivationFunction'


class DamagedFileError(ValueError):
  """The bytes are no TFLite model; the message says where they break."""


def load(path: pathlib.Path) -> bytes:
  """Reads a file whole.

  Raises:
    InputError: it is not there, or too large to be for STM32N6.
  """
  if not path.is_file():
    raise InputError(f'{path}: no such file')
  if path.stat().st_size > _MAX_FILE_BYTES:
    raise InputError(f'{path}: more than {_MAX_FILE_BYTES >> 20} MB')
  return path.read_bytes()


def read(content: bytes) -> Graph:
  """Reads a TFLite file.

  Args:
    content: the file's bytes; any bytes at all.

  Returns:
    Its first subgraph, every index in range and every constant of the size
    that its shape and type ask for.

  Raises:
    DamagedFileError: the bytes are no TFLite model.
  """
  if len(content) < _MIN_FILE_BYTES:
    raise DamagedFileError(f'{len(content)} bytes are too few for a model')
  if content[4:8] != IDENTIFIER:
    raise DamagedFileError(
      f'bytes 4 to 7 are {content[4:8]!r}, not {IDENTIFIER!r}: no TFLite file'
    )
  try:
    return _Reader(content).graph()
  # What the generated code and numpy raise on offsets that lead nowhere.
  except (
    struct.error,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    ValueError,
  ) as error:
    if isinstance(error, DamagedFileError):
      raise
    raise DamagedFileError(
      'an offset leads outside the file: truncated or damaged'
    ) from error


class _Reader:
  """Walks the flatbuffer; counts and indices are checked here."""

  def __init__(self, content: bytes):
    self._content = content
    self._model = schema.Model.GetRootAs(content)
    self._readings_left = _READINGS_PER_BYTE * len(content)

  def graph(self) -> Graph:
    """Reads the first subgraph."""
    model = self._model
    num_subgraphs = self._tables(model.SubgraphsLength(), 'subgraphs')
    if not num_subgraphs:
      raise DamagedFileError('the file holds no graph')
    subgraph = model.Subgraphs(0)
    num_buffers = self._tables(model.BuffersLength(), 'buffers')
    buffers = [self._data(model.Buffers(i)) for i in range(num_buffers)]
    num_tensors = self._tables(subgraph.TensorsLength(), 'tensors')
    tensors = [
      self._tensor(subgraph.Tensors(i), i, buffers) for i in range(num_tensors)
    ]
    num_codes = self._tables(model.OperatorCodesLength(), 'operator codes')
    codes = [self._code(model.OperatorCodes(i)) for i in range(num_codes)]
    num_operators = self._tables(subgraph.OperatorsLength(), 'operators')
    operators = [
      self._operator(subgraph.Operators(i), i, codes, num_tensors)
      for i in range(num_operators)
    ]
    return Graph(
      tuple(tensors),
      tuple(operators),
      self._indices(subgraph, 'Inputs', num_tensors, 0),
      self._indices(subgraph, 'Outputs', num_tensors, 0),
      num_subgraphs,
    )

  def _count(self, count: int, what: str) -> int:
    """Passes a count on, unless the file cannot hold so much."""
    self._readings_left -= count
    if self._readings_left < 0:
      raise DamagedFileError(f'{count} {what}: more than the file can hold')
    return count

  def _tables(self, count: int, what: str) -> int:
    if count > _MAX_TABLES:
      raise DamagedFileError(f'{count} {what}: more than any network has')
    return self._count(count, what)

  def _text(self, name: bytes | None) -> str:
    name = name or b''
    self._count(len(name), 'characters')
    return _printable(name)

  def _list(self, table, field: str) -> list:
    """A vector of numbers."""
    count = self._count(getattr(table, f'{field}Length')(), field)
    return getattr(table, f'{field}AsNumpy')().tolist() if count else []

  def _indices(self, table, field: str, limit: int, lowest: int) -> tuple:
    """Tensor indices, each at least `lowest` and below `limit`."""
    indices = self._list(table, field)
    for index in indices:
      if not lowest <= index < limit:
        raise DamagedFileError(
          f'{field.lower()}: tensor {index} of {limit} does not exist'
        )
    return tuple(indices)

  def _code(self, code) -> tuple[str, int]:
    # Files from before 2020 have the first of the two fields only.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if number not in _OPERATOR_NAMES:
      raise DamagedFileError(f'operator code {number} does not exist')
    name = _OPERATOR_NAMES[number]
    if name == 'CUSTOM':
      name = f'CUSTOM:{self._text(code.CustomCode())}'
    return name, code.Version()

  def _operator(self, table, index: int, codes: list, limit: int) -> Operator:
    if table.OpcodeIndex() >= len(codes):
      raise DamagedFileError(
        f'operator {index}: code {table.OpcodeIndex()} of {len(codes)} does '
        'not exist'
      )
    name, version = codes[table.OpcodeIndex()]
    return Operator(
      index,
      name,
      version,
      self._indices(table, 'Inputs', limit, ABSENT),
      self._indices(table, 'Outputs', limit, 0),
      _options(table, name),
    )

  def _tensor(self, table, index: int, buffers: list) -> Tensor:
    shape = self._list(table, 'Shape')
    signature = self._list(table, 'ShapeSignature')
    if max(len(shape), len(signature)) > _MAX_RANK:
      raise DamagedFileError(f'tensor {index} has {len(shape)} dimensions')
    if table.Type() not in _TYPE_NAMES:
      raise DamagedFileError(f'tensor {index}: type {table.Type()} unknown')
    if table.Buffer() >= len(buffers):
      raise DamagedFileError(
        f'tensor {index}: buffer {table.Buffer()} of {len(buffers)} does not '
        'exist'
      )
    scales, zero_points, axis = self._quantisation(table.Quantization())
    tensor = Tensor(
      index,
      self._text(table.Name()),
      tuple(shape),
      tuple(signature),
      _TYPE_NAMES[table.Type()],
      buffers[table.Buffer()],
      scales,
      zero_points,
      axis,
      table.IsVariable(),
    )
    if table.Sparsity() is None:
      _check_size(tensor)
    return tensor

  def _quantisation(self, table) -> tuple:
    if table is None:
      return (), (), 0
    return (
      tuple(self._list(table, 'Scale')),
      tuple(self._list(table, 'ZeroPoint')),
      table.QuantizedDimension(),
    )

  def _data(self, buffer) -> bytes | None:
    # Beside the flatbuffer (models of more than 2 GB): offset is above 1.
    start, count = buffer.Offset(), buffer.Size()
    if start > 1:
      if start + self._count(count, 'bytes') > len(self._content):
        raise DamagedFileError('a constant lies outside the file')
      return self._content[start : start + count]
    if not self._count(buffer.DataLength(), 'bytes of a constant'):
      return None
    return buffer.DataAsNumpy().tobytes()


def _options(table, name: str) -> dict[str, int]:
  """The options that rules look at; the schema's defaults if absent."""
  if name not in _OPTIONS:
    return {}
  kind, fields = _OPTIONS[name]
  stored = table.BuiltinOptions()
  if stored is None:
    return {}
  if table.BuiltinOptionsType() != getattr(schema.BuiltinOptions, kind):
    raise DamagedFileError(f'{name} has options of another operator')
  options = getattr(schema, kind)()
  options.Init(stored.Bytes, stored.Pos)
  return {field: getattr(options, field)() for field in (*fields, _ACTIVATION)}


def _check_size(tensor: Tensor) -> None:
  bits = TYPE_BITS.get(tensor.dtype)
  if tensor.data is None or bits is None or min(tensor.shape, default=0) < 0:
    return
  expected = -(-tensor.size * bits // 8)
  if len(tensor.data) != expected:
    raise DamagedFileError(
      f'{tensor.label}: {len(tensor.data)} bytes of data, its shape and type '
      f'{tensor.dtype} ask for {expected}'
    )


def _printable(name: bytes) -> str:
  """A name fit for a line of text, its beginning left out if too long."""
  text = name[-4 * _MAX_NAME_CHARS :].decode('utf-8', 'replace')
  text = ''.join(char if char.isprintable() else '?' for char in text)
  if len(text) <= _MAX_NAME_CHARS:
    return text
  return '…' + text[1 - _MAX_NAME_CHARS :]
