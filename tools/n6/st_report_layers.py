"""Reads the table of layers of a text report of ST Edge AI Core.

A row is `conv2d_2 (CONV_2D)  [b:1,h:18,w:18,c:32]  …  pool_1`, the last word
what it is connected to. In some versions the layer's type comes before the
operator, `(Conv2D, CONV_2D)`; an input has neither, `()` or `(Input, )`, nor
has a constant, which has parameters.
"""

import collections
import dataclasses
import re

from tools.n6.st_report_run import End

TITLE = re.compile(r'^\s*Model name - ')
_HEADER = re.compile(r'^\s*m_id\s+layer ')
_LAST = re.compile(r'^\s*model(?:/c-model)?: macc=')
_ROW = re.compile(r'^\s*(?:\d+\s+)?(\S+) \(([^)]*)\)\s+\[([^\]]*)\](.*)')
_NUMBERS = re.compile(r'[\d,/]+')
# `conv2d_2`, `nl_2_nl`: the number is the TFLite operator's.
_OPERATOR_NUMBER = re.compile(r'_(\d+)(?:_[a-z]+)*$')


@dataclasses.dataclass(frozen=True)
class Layers:
  """What the table tells; empty where it does not.

  Attributes:
    inputs, outputs: without types.
    operators: of the model's file, in order.
  """

  inputs: tuple[End, ...] = ()
  outputs: tuple[End, ...] = ()
  operators: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Row:
  name: str
  original: str
  end: End
  is_connected: bool
  has_numbers: bool


def read(lines: list[str]) -> Layers:
  """Reads the table; an empty one if there is none."""
  rows, sources = _rows(lines)
  inputs = tuple(
    row.end
    for row in rows
    if not (row.original or row.is_connected or row.has_numbers)
  )
  computed = [row for row in rows if row.original and row.is_connected]
  counts = collections.Counter(row.name for row in rows)
  outputs = [row for row in computed if row.name not in sources]
  if max(counts.values(), default=0) > 1 or not outputs:
    outputs = computed[-1:]  # names cut short say nothing
  return Layers(inputs, tuple(row.end for row in outputs), _operators(computed))


def _rows(lines: list[str]) -> tuple[list[_Row], set[str]]:
  """The rows, and the names that any of them is connected to."""
  rows: list[_Row] = []
  sources: set[str] = set()
  is_inside = False
  for line in lines:
    if _HEADER.match(line):
      is_inside = True
    elif _LAST.match(line):
      break
    elif is_inside and (match := _ROW.match(line)):
      words = match[4].split('|')[0].split()
      source = words[-1] if words and not _is_number(words[-1]) else None
      sources.update([source] if source else [])
      original = match[2].split(',')[-1].strip()
      has_numbers = any(map(_is_number, words))
      end = _end(match[3])
      rows.append(_Row(match[1], original, end, bool(source), has_numbers))
    elif is_inside and len(words := line.split('|')[0].split()) == 1:
      sources.add(words[0])  # a further source of the row above
  return rows, sources


def _is_number(word: str) -> bool:
  return bool(_NUMBERS.fullmatch(word))


def _end(text: str) -> End:
  sizes = [size.split(':')[-1] for size in text.split(',') if size]
  return End(tuple(int(size) for size in sizes if size.isdigit()), '')


def _operators(rows: list[_Row]) -> tuple[str, ...]:
  """One TFLite operator can take several rows; they share its number."""
  operators: dict[int | str, str] = {}
  for position, row in enumerate(rows):
    number = _OPERATOR_NUMBER.search(row.name)
    is_tflite = row.original.upper() == row.original
    key = int(number[1]) if number and is_tflite else f'row {position}'
    operators.setdefault(key, row.original)
  return tuple(operators.values())
