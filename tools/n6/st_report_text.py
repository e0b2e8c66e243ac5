"""Reads text reports and logs of ST Edge AI Core.

A file holds one run or several. A run may have a title (`ST Edge AI Core
v…`), the command, a summary, the table of layers, and, compiled for the NPU,
its memory and its epochs; each in the wording of 2.x or of 3.0 and later.
"""

import functools
import pathlib
import re
from collections.abc import Callable

from rppg_tf.errors import InputError
from tools.n6 import st_report_layers, st_report_run
from tools.n6.st_report_run import End, Epoch, Pool, StReport

_UNIT_BYTES = {'': 1, 'k': 1024, 'm': 1024**2, 'g': 1024**3}
_SIZE = r'([\d.,]+)\s*([kKMG]?)i?B(?:ytes)?'
# At the start of a line, or glued to the end of a command in logs.
_TITLE = re.compile(r'(?:^\s*|(?<=\S))(ST Edge AI Core v\d\S*)')
_COMMAND = re.compile(
  r'stedgeai(?:\.exe)?["\']?\s+(analyze|generate|validate)\b'
  r'(.*?)(?=ST Edge AI Core v\d|$)'
)
_PARAMETERS = re.compile(r'^\s*Parameters\s*:\s*(\w+)(.*)')
_SUMMARY = re.compile(r'^\s*Exec/report summary \((\w+)\)')
_MEMORY = re.compile(r'^\s*Memory usage information')
_EPOCHS = re.compile(r'^\s*Total number of epochs')
_MEASURED = re.compile(r'^\s*ST\.AI Profiling results')
_ELAPSED = re.compile(r'^\s*elapsed time \((\w+)\)')
# Each at most once in a run.
_MARKS = {
  'title': _TITLE,
  'command': _COMMAND,
  'summary': _SUMMARY,
  'layers': st_report_layers.TITLE,
  'memory': _MEMORY,
  'epochs': _EPOCHS,
  'measured': _MEASURED,
}
# Without one of these a file is no report.
_PROOFS = {'title', 'summary', 'memory'}
# The tool asked for its version.
_MAX_TITLE_LINES = 2
_NPU_SIGNS = ('--st-neural-art', 'EXECUTING NEURAL ART', 'ST Neural ART')
_FIELD = re.compile(r'^\s*([\w/ ()#]+?)\s*:\s+(\S.*?)\s*$')
_MODEL = re.compile(
  r'^\s*model(?:/c-model)?: macc=([\d,]+)(?:/([\d,]+))?.*?'
  r'weights=([\d,]+)(?:/([\d,]+))?'
)
_MODEL_OPTION = re.compile(r'(?:--model|-m)[= ]("[^"]+"|\S+)')
_TARGET_OPTION = re.compile(r'--target[= ](\S+)')
_END = re.compile(
  r"^\s*(input|output) \d+/\d+\s*: .*?'\s*,\s*(\w+)\(([\dx]+)\)"
)
_BOARD_END = re.compile(r'^\s*([IO])\[\d+/\d+\].*?:\s*(\w+)\[([\d,]+)\]')
_POOL = re.compile(
  r'^\s*(\w+)\s+\[0x([0-9A-Fa-f]+)\s*-\s*0x[0-9A-Fa-f]+\]:\s*'
  rf'{_SIZE}\s*/\s*{_SIZE}\s.*weights:'
)
_TOTAL = re.compile(rf'^\s*Total:.*weights:\s*{_SIZE}.*activations:\s*{_SIZE}')
_OF_WHICH = re.compile(
  r'^\s*Total number of epochs:?\s*(\d+) of which (\d+) implemented in software'
)
_COUNT = re.compile(r'^\s*Total number of epochs\s+(\d+)\s*$')
_SOFTWARE = re.compile(r'^\s*>> pure software \(SW\) epochs\s+(\d+)')
_HYBRID = re.compile(r'^\s*>> hybrid epochs.*?\s(\d+)\s*$')
_EPOCH = re.compile(
  r'^\s*\|?\s*epoch[ _](\d+)\s*\|?\s+-?([A-Za-z][\w/+]*|\?\?)-?\s*[|(]?'
  r'\s*(.*?)\s*[|)]?\s*$'
)
# What 2.2 writes of an epoch that its JSON has in software and hardware.
_UNNAMED = '??'
_RULE = re.compile(r'^\s*={20,}')
_DURATION = re.compile(r'^\s*duration\s*:\s*([\d.]+) ms')
_DTYPES = {
  **{'f32': 'float32', 'f16': 'float16', 'float': 'float32'},
  **{'s8': 'int8', 'i8': 'int8', 'u8': 'uint8'},
}


def readers(path: pathlib.Path, text: str) -> list[Callable[[], StReport]]:
  """One function for each run of a file, which reads that run.

  The functions raise InputError if their run breaks off.

  Raises:
    InputError: the file is no report.
  """
  runs = [(lines, seen) for lines, seen in _split(text) if _is_run(lines, seen)]
  if not any(seen & _PROOFS for _, seen in runs):
    raise InputError(f'{path}: no report of ST Edge AI Core')
  return [
    functools.partial(
      _read, f'{path}, run {number}' if len(runs) > 1 else str(path), lines
    )
    for number, (lines, _) in enumerate(runs, 1)
  ]


def _is_run(lines: list[str], seen: set[str]) -> bool:
  """Whether lines are more than a command, or a title that logs print."""
  if seen - {'command', 'title', 'layers'}:
    return True
  num_lines = sum(bool(line.strip()) for line in lines)
  return 'title' in seen and ('command' in seen or num_lines > _MAX_TITLE_LINES)


def _split(text: str) -> list[tuple[list[str], set[str]]]:
  """Parts a file into runs: (lines, marks seen)."""
  runs: list[tuple[list[str], set[str]]] = [([], set())]
  is_over = False
  for line in text.splitlines():
    mark = next((m for m, p in _MARKS.items() if p.search(line)), None)
    seen = runs[-1][1]
    if mark and (
      is_over
      or mark in seen
      or (mark == 'title' and seen - {'command'})
      or (mark == 'command' and seen)
    ):
      runs.append(([], set()))
      is_over = False
    runs[-1][0].append(line)
    if mark:
      runs[-1][1].add(mark)
    is_over = is_over or bool(_ELAPSED.match(line))
  return runs


def _read(where: str, lines: list[str]) -> StReport:
  """Reads the lines of one run."""
  fields = _fields(lines)
  command, arguments = _command(lines)
  told = {
    'tool': _group(_TITLE, lines),
    'command': command,
    'model': _model_name(fields, arguments),
    'target': fields.get('target/series') or _target(arguments),
    **_counts(lines, fields),
    **_ends(lines),
  }
  total = _first(_TOTAL, lines)
  epochs = _epochs(where, lines)
  is_npu = (
    told['target'].endswith('npu')
    or epochs is not None
    or any(sign in line for line in lines for sign in _NPU_SIGNS)
    or _first(_MEMORY, lines) is not None
  )
  if not is_npu and told['compiled_weights_bytes'] is not None:
    return StReport(st_report_run.CPU, **told)
  if total and epochs:
    told['compiled_weights_bytes'] = _bytes(total[1], total[2])
    told['activations_bytes'] = _bytes(total[3], total[4])
    pools = tuple(_pools(lines))
    return StReport(st_report_run.NPU, pools=pools, **epochs, **told)
  if command == 'validate' and (told['inputs'] or told['board_ms']):
    return StReport(st_report_run.HOST, **told)
  missing = 'epochs' if total else 'memory usage'
  raise InputError(
    f'{where}: breaks off before the {missing}; was it compiled for stm32n6 '
    'to the end?'
  )


def _first(pattern: re.Pattern, lines: list[str]) -> re.Match | None:
  return next(filter(None, map(pattern.search, lines)), None)


def _group(pattern: re.Pattern, lines: list[str]) -> str:
  match = _first(pattern, lines)
  return match[1] if match else ''


def _fields(lines: list[str]) -> dict[str, str]:
  """The first `name : value` of each name."""
  fields: dict[str, str] = {}
  for match in filter(None, map(_FIELD.match, lines)):
    fields.setdefault(match[1], match[2])
  return fields


def _command(lines: list[str]) -> tuple[str, str]:
  """The command and its arguments, as far as the run tells."""
  match = _first(_PARAMETERS, lines) or _first(_COMMAND, lines)
  if match:
    return match[1], match[2]
  name = _group(_SUMMARY, lines) or _group(_ELAPSED, lines).lower()
  return name, ''


def _model_name(fields: dict[str, str], arguments: str) -> str:
  option = _MODEL_OPTION.search(arguments)
  path = fields.get('model file') or (option[1] if option else '')
  return st_report_run.file_name(path)


def _target(arguments: str) -> str:
  match = _TARGET_OPTION.search(arguments)
  return match[1] if match else ''


def _counts(lines: list[str], fields: dict[str, str]) -> dict:
  """MACC, weights and activations outside the NPU's own tables.

  The summary's are of what the compiler made of the model.
  """
  model = _first(_MODEL, lines)
  duration = _first(_DURATION, lines)
  compiled = _number(fields.get('weights (ro)'))
  return {
    'macc': _number(model[1]) if model else None,
    'rewritten_macc': (model and _number(model[2]))
    or _number(fields.get('macc')),
    'weights_bytes': _number(model[3]) if model else None,
    'compiled_weights_bytes': (model and _number(model[4])) or compiled,
    'activations_bytes': _number(fields.get('activations (rw)')),
    'board_ms': float(duration[1]) if duration else None,
  }


def _number(text: str | None) -> int | None:
  """The number that a text begins with; None for 0, which tells nothing."""
  match = re.match(r'[\d,]+', text or '')
  return int(match[0].replace(',', '')) or None if match else None


def _bytes(value: str, prefix: str) -> int:
  return round(float(value.replace(',', '')) * _UNIT_BYTES[prefix.lower()])


def _epochs(where: str, lines: list[str]) -> dict | None:
  """Epochs in either wording; None if the run has none."""
  for number, line in enumerate(lines):
    rest = lines[number + 1 :]
    if match := _OF_WHICH.match(line):
      num_epochs, num_software, num_hybrid = *map(int, match.groups()), None
    elif match := _COUNT.match(line):
      software, hybrid = _first(_SOFTWARE, rest), _first(_HYBRID, rest)
      if not software or not hybrid:
        return None
      num_epochs = int(match[1])
      num_software, num_hybrid = int(software[1]), int(hybrid[1])
    else:
      continue
    listed = _listed_epochs(where, rest, num_epochs)
    if num_hybrid is None:
      num_hybrid = _num_hybrid(num_software, listed)
    return {
      'num_epochs': num_epochs,
      'num_software': num_software,
      'num_hybrid': num_hybrid,
      'not_hardware': listed,
    }
  return None


def _num_hybrid(num_software: int, listed: tuple[Epoch, ...]) -> int | None:
  """2.x counts hybrid epochs as software, but for those that it lists so."""
  num_listed = [epoch.kind for epoch in listed].count(st_report_run.HYBRID)
  return num_listed or (None if num_software else 0)


def _listed_epochs(where: str, lines: list[str], count: int):
  """The epochs of the list that follows which are not in hardware."""
  found, num_listed, is_whole = [], 0, False
  for line in lines:
    if match := _EPOCH.match(line):
      num_listed += 1
      kind = _kind(where, match[2])
      if kind:
        found.append(Epoch(f'epoch {match[1]}', kind, match[3]))
    elif _RULE.match(line):
      is_whole = True
      break
  if not is_whole and num_listed < count:
    raise InputError(f'{where}: breaks off within the list of epochs')
  return tuple(found)


def _kind(where: str, word: str) -> str:
  """`SOFTWARE`, `HYBRID`, or '' for hardware."""
  parts = set(re.split(r'[/+_]', word.upper()))
  if parts & {'HYBRID', _UNNAMED} or {'HW', 'SW'} <= parts:
    return st_report_run.HYBRID
  if 'SW' in parts:
    return st_report_run.SOFTWARE
  if parts & {'HW', 'EC'}:
    return ''
  raise InputError(f'{where}: an epoch of kind {word!r}, HW, SW or EC expected')


def _pools(lines: list[str]):
  for match in filter(None, map(_POOL.match, lines)):
    used_bytes = _bytes(match[3], match[4])
    if used_bytes:
      size_bytes = _bytes(match[5], match[6])
      yield Pool(match[1], int(match[2], 16), used_bytes, size_bytes)


def _ends(lines: list[str]) -> dict:
  """Inputs, outputs and operators: of the summary, else of the layers."""
  layers = st_report_layers.read(lines)
  summary = {'input': [], 'output': []}
  board = {'I': [], 'O': []}
  for line in lines:
    if match := _END.match(line):
      summary[match[1]].append(_end(match[2], match[3].split('x')))
    elif match := _BOARD_END.match(line):
      board[match[1]].append(_end(match[2], match[3].split(',')))
  return {
    'inputs': tuple(summary['input'] or layers.inputs or board['I']),
    'outputs': tuple(summary['output'] or layers.outputs or board['O']),
    'operators': layers.operators,
  }


def _end(dtype: str, sizes: list[str]) -> End:
  return End(tuple(map(int, sizes)), _DTYPES.get(dtype.lower(), dtype.lower()))
