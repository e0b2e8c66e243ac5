"""Reads what ST Edge AI Core says of a compiled network.

Held against reports of 2.1.0, 2.2.0, 3.0.0 and 4.0.0: text reports
(network_<command>_report.txt), logs of the Developer Cloud and of AI Studio,
which hold several runs and need no title, and network_c_info.json.
"""

import functools
import pathlib
from collections.abc import Callable

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
from tools.n6 import st_report_json, st_report_text
from tools.n6.st_report_run import StReport


def read(path: pathlib.Path) -> tuple[StReport, ...]:
  """Reads a text report, a log or a network_c_info.json, by content.

  Returns:
    One report for each run, at least one.

  Raises:
    InputError: the file is not there, is none of these, or a run breaks off.
  """
  return tuple(reader() for reader in readers(path))


def readers(path: pathlib.Path) -> list[Callable[[], StReport]]:
  """One function for each run of a file, which reads that run.

  The functions raise InputError if their run breaks off.

  Raises:
    InputError: the file is not there, or is no report.
  """
  if not path.is_file():
    raise InputError(f'{path}: no such file')
  text = path.read_bytes().decode('utf-8', 'replace')
  if text.lstrip('\ufeff \t\r\n').startswith('{'):
    return [functools.partial(st_report_json.read, path, text)]
  return st_report_text.readers(path, text)
