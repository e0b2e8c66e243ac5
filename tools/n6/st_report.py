"""Reads what ST Edge AI Core says of a compiled network.

Two files: the text report (network_analyze_report.txt or
network_generate_report.txt, wording of 2.x and of 3.x and later) and
network_c_info.json (schema 2.0). In the JSON every node's `macc` is 0, and a
pool's address is a decimal number in a string.
"""

import dataclasses
import json
import pathlib
import re

from rppg_tf.errors import InputError

_UNIT_BYTES = {'B': 1, 'kB': 1024, 'MB': 1024 * 1024}
_TITLE = re.compile(r'^ST Edge AI Core v\S+', re.MULTILINE)
_MODEL = re.compile(r'^\s*model(?:/c-model)?: macc=([\d,]+).*?weights=([\d,]+)')
_SUMMARY_MACC = re.compile(r'^\s*macc\s*:\s*([\d,]+)')
_TENSOR = re.compile(
  r"^\s*(input|output) \d+/\d+\s*: .*?'\s*,\s*(\w+)\(([\dx]+)"
)
_POOL = re.compile(
  r'^\s*(\w+)\s+\[0x([0-9A-Fa-f]+) - 0x[0-9A-Fa-f]+\]:\s*([\d.]+)\s+(k?M?B)'
  r' /\s*([\d.]+)\s+(k?M?B) .*weights:'
)
_TOTAL = re.compile(
  r'^\s*Total:.*weights:\s*([\d.]+)\s+(k?M?B).*activations:\s*([\d.]+)\s+(k?M?B)'
)
# A row of the table of layers: `conv2d_2 (CONV_2D)  [b:1,h:18,w:18,c:32]`,
# with `(Conv2D, CONV_2D)` in some versions and `()` for inputs.
_LAYER = re.compile(r'^(\d+)?\s+(\S+) \(([^)]*)\)\s+\[([a-z\d:,]+)\]')
_OF_WHICH = re.compile(
  r'^\s*Total number of epochs: (\d+) of which (\d+) implemented in software'
)
_EPOCHS = re.compile(r'^\s*Total number of epochs\s+(\d+)\s*$')
_SOFTWARE = re.compile(r'^\s*>> pure software \(SW\) epochs\s+(\d+)')
_HYBRID = re.compile(r'^\s*>> hybrid epochs.*?\s(\d+)\s*$')
_EPOCH = re.compile(
  r'^\s*\|?\s*epoch[ _](\d+)\s*\|?\s*-?(SW|HW|EC|Hybrid)-?\s*[|(]?\s*(\w*)'
)
_END = re.compile(r'^\s*={20,}')
_MAPPINGS = {
  'NODE_HW': 'HW',
  'NODE_EC': 'EC',
  'NODE_SW': 'SW',
  'NODE_SW_HW': 'Hybrid',
  'NODE_HW_SW': 'Hybrid',
}
_NO_EPOCH = 'NODE_NO_X'
_FORMATS = {'STAI_FORMAT_S8': 'int8', 'STAI_FORMAT_U8': 'uint8'}


@dataclasses.dataclass(frozen=True)
class Epoch:
  """One epoch that does not run in hardware alone.

  Attributes:
    name: e.g. 'epoch 3'.
    kind: 'SW', or 'Hybrid' for both.
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
    shape: as ST lists it; channels may come first.
    dtype: 'int8', ...; empty if the report does not say.
  """

  shape: tuple[int, ...]
  dtype: str


@dataclasses.dataclass(frozen=True)
class StReport:
  """One report.

  Attributes:
    tool: name and version of the tool; empty in JSON.
    num_epochs: of all kinds.
    not_hardware: those in software, whole or in part.
    num_software, num_hybrid: how many the report counts of each.
    macc: multiply-accumulates as ST counts them; None if not told.
    weights_bytes: of the model's weights and biases; None if not told.
    compiled_weights_bytes: of what is flashed.
    activations_bytes: all pools together.
    pools: those in use.
    inputs, outputs: of the network.
    operators: TFLite operators in order; empty if not told.
  """

  tool: str
  num_epochs: int
  not_hardware: tuple[Epoch, ...]
  num_software: int
  num_hybrid: int
  macc: int | None
  weights_bytes: int | None
  compiled_weights_bytes: int
  activations_bytes: int
  pools: tuple[Pool, ...]
  inputs: tuple[End, ...]
  outputs: tuple[End, ...]
  operators: tuple[str, ...]


def read(path: pathlib.Path) -> StReport:
  """Reads a text report or a network_c_info.json, by content.

  Raises:
    InputError: the file is not there, is neither, or breaks off.
  """
  if not path.is_file():
    raise InputError(f'{path}: no such file')
  text = path.read_bytes().decode('utf-8', 'replace')
  if text.lstrip().startswith('{'):
    return _read_json(path, text)
  return _read_text(path, text)


# --- Text --------------------------------------------------------------------


def _read_text(path: pathlib.Path, text: str) -> StReport:
  title = _TITLE.search(text)
  if not title:
    raise InputError(f'{path}: no report of ST Edge AI Core')
  lines = text.splitlines()
  total = _first(_TOTAL, lines)
  counts = _epoch_counts(lines)
  if not total or not counts:
    missing = 'epochs' if total else 'memory usage'
    raise InputError(
      f'{path}: breaks off before the {missing}; was it compiled for stm32n6 '
      'to the end?'
    )
  num_epochs, num_software, num_hybrid, after = counts
  if not any(_END.match(line) for line in lines[after:]):
    raise InputError(f'{path}: breaks off within the list of epochs')
  found = [match for match in map(_EPOCH.match, lines[after:]) if match]
  model = _first(_MODEL, lines)
  macc = model or _first(_SUMMARY_MACC, lines)
  inputs, outputs, operators = _layers(lines)
  return StReport(
    title.group(),
    num_epochs,
    tuple(
      Epoch(f'epoch {number}', kind, operator)
      for number, kind, operator in (match.groups() for match in found)
      if kind in ('SW', 'Hybrid')
    ),
    num_software,
    num_hybrid,
    # 0 is what the tool writes where it has not counted.
    (_number(macc[1]) or None) if macc else None,
    _number(model[2]) if model else None,
    _bytes(total[1], total[2]),
    _bytes(total[3], total[4]),
    tuple(_text_pools(lines)),
    _ends('input', lines) or inputs,
    _ends('output', lines) or outputs,
    operators,
  )


def _first(pattern: re.Pattern, lines: list[str]) -> re.Match | None:
  return next(filter(None, map(pattern.match, lines)), None)


def _number(digits: str) -> int:
  return int(digits.replace(',', ''))


def _bytes(value: str, unit: str) -> int:
  return round(float(value) * _UNIT_BYTES[unit])


def _epoch_counts(lines: list[str]) -> tuple[int, int, int, int] | None:
  """(all, software, hybrid, line after) in either wording."""
  for number, line in enumerate(lines):
    if match := _OF_WHICH.match(line):
      return int(match[1]), int(match[2]), 0, number + 1
    if match := _EPOCHS.match(line):
      software = _first(_SOFTWARE, lines[number:])
      hybrid = _first(_HYBRID, lines[number:])
      if software and hybrid:
        return int(match[1]), int(software[1]), int(hybrid[1]), number + 1
  return None


def _text_pools(lines: list[str]):
  for line in lines:
    if match := _POOL.match(line):
      used_bytes = _bytes(match[3], match[4])
      if used_bytes:
        size_bytes = _bytes(match[5], match[6])
        yield Pool(match[1], int(match[2], 16), used_bytes, size_bytes)


def _ends(side: str, lines: list[str]) -> tuple[End, ...]:
  """Inputs or outputs of the summary that some versions print."""
  matches = filter(None, map(_TENSOR.match, lines))
  return tuple(
    End(tuple(map(int, match[3].split('x'))), match[2].lower())
    for match in matches
    if match[1] == side
  )


def _layers(lines: list[str]) -> tuple[tuple, tuple, tuple]:
  """Inputs, outputs and operators of the table of layers.

  One TFLite operator can take several rows (`conv2d_2`, `nl_2_nl`): they
  have its number in common.
  """
  inputs, operators, last = [], {}, None
  for match in filter(None, map(_LAYER.match, lines)):
    shape = tuple(int(size.split(':')[1]) for size in match[4].split(','))
    original = match[3].split(',')[-1].strip()
    number = re.search(r'_(\d+)(?:_[a-z]+)?$', match[2])
    if original and number:
      operators.setdefault(int(number[1]), original)
      last = End(shape, '')
    elif not operators and match[1] == '0':
      inputs.append(End(shape, ''))
  return tuple(inputs), (last,) if last else (), tuple(operators.values())


# --- JSON --------------------------------------------------------------------


def _read_json(path: pathlib.Path, text: str) -> StReport:
  try:
    return _from_info(json.loads(text))
  except (json.JSONDecodeError, RecursionError) as error:
    raise InputError(f'{path}: broken JSON; was it written whole?') from error
  except (
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    ValueError,
  ) as error:
    raise InputError(
      f'{path}: no network_c_info.json of ST Edge AI Core for stm32n6 '
      f'({type(error).__name__}: {error})'
    ) from error


def _from_info(info: dict) -> StReport:
  if not info['json_schema_version'].startswith('2.'):
    raise ValueError(f'schema {info["json_schema_version"]}, 2.x expected')
  graph = info['graphs'][0]
  kinds = [
    (node['name'], _MAPPINGS[node['mapping']])
    for node in graph['nodes']
    if node['mapping'] != _NO_EPOCH
  ]
  buffers = {buffer['id']: buffer for buffer in info['buffers']}
  footprint = info['memory_footprint']
  return StReport(
    '',
    len(kinds),
    tuple(
      Epoch(name.replace('_', ' '), kind, '')
      for name, kind in kinds
      if kind in ('SW', 'Hybrid')
    ),
    sum(kind == 'SW' for _, kind in kinds),
    sum(kind == 'Hybrid' for _, kind in kinds),
    None,
    None,
    int(footprint['weights']),
    int(footprint['activations']),
    tuple(
      Pool(
        pool['name'],
        int(pool['address']),
        int(pool['used_size_bytes']),
        int(pool['size_bytes']),
      )
      for pool in info['memory_pools']
      # A pool made of others only says what those say.
      if int(pool['used_size_bytes']) and not pool['subpools']
    ),
    tuple(_info_end(buffers[index]) for index in graph['inputs']),
    tuple(_info_end(buffers[index]) for index in graph['outputs']),
    (),
  )


def _info_end(buffer: dict) -> End:
  dtype = _FORMATS.get(buffer['format'], buffer['format'])
  return End(tuple(int(size) for size in buffer['shape']), dtype)
