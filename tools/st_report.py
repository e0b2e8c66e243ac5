"""Reads what ST Edge AI Core says of a compiled network.

Held against reports of 2.1.0, 2.2.0, 3.0.0 and 4.0.0: text reports
(network_<command>_report.txt), logs of the Developer Cloud and of AI Studio,
which hold several runs and need no title, and network_c_info.json.
"""

import pathlib

from rppg_tf.entry_point import InputError
from tools import st_report_json, st_report_text
from tools.st_report_run import StReport


def read(path: pathlib.Path, run: int | None = None) -> tuple[StReport, ...]:
  """Reads a text report, a log or a network_c_info.json, by content.

  Args:
    path: of the file.
    run: number of the one run to read, from 1; None for all.

  Returns:
    One report for each run, at least one.

  Raises:
    InputError: the file is not there, is none of these, or breaks off.
  """
  if not path.is_file():
    raise InputError(f'{path}: no such file')
  text = path.read_bytes().decode('utf-8', 'replace')
  if text.lstrip('\ufeff \t\r\n').startswith('{'):
    readers = [lambda: st_report_json.read(path, text)]
  else:
    readers = st_report_text.readers(path, text)
  if run is not None and not 1 <= run <= len(readers):
    raise InputError(f'{path}: has {len(readers)} runs, no run {run}')
  wanted = readers if run is None else [readers[run - 1]]
  return tuple(reader() for reader in wanted)
