"""Reads what ST Edge AI Core says of a compiled network.

Held against reports of 2.1.0, 2.2.0, 3.0.0 and 4.0.0: text reports
(network_<command>_report.txt), logs of the Developer Cloud and of AI Studio,
which hold several runs and need no title, and network_c_info.json.
"""

import functools
import pathlib
from collections.abc import Callable

from rppg_tf.errors import InputError
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
