"""Prints runs of ST Edge AI Core as tables, and judges them."""

import collections
import pathlib
from collections.abc import Callable

from rppg_tf.errors import InputError
from tools.n6 import st_report, st_report_check, st_report_run
from tools.n6.st_report_run import StReport
from tools.tflite import reader as tflite_reader
from tools.tflite.graph import Graph

_UNTOLD = 'not told'
_MAX_OPERATORS = 12
_TARGETS = {
  st_report_run.NPU: 'the NPU',
  st_report_run.CPU: 'a processor alone',
  st_report_run.HOST: 'the host, by `validate`: no figures of the NPU',
}


def print_and_judge(
  path: pathlib.Path, model: pathlib.Path | None, run: int | None
) -> list[str]:
  """Prints a table for each run of a file.

  Args:
    path: report, log or network_c_info.json.
    model: TFLite file that the runs should be of.
    run: number of the one run to read; None for all.

  Returns:
    A line for everything that is wrong: software, no NPU, another network.

  Raises:
    InputError: a file is not there, is of another kind, or breaks off.
  """
  graph = _read_model(model) if model else None
  readers = st_report.readers(path)
  if run is not None and run > len(readers):
    raise InputError(f'{path}: has {len(readers)} runs, no run {run}')
  failures = []
  for number, reader in enumerate(readers, 1):
    if run in (None, number):
      name = f'{path}, run {number}' if len(readers) > 1 else str(path)
      failures += _print_run(name, reader, graph, len(readers) > 1)
  return failures


def _print_run(
  name: str,
  reader: Callable[[], StReport],
  graph: Graph | None,
  is_one_of_several: bool,
) -> list[str]:
  """Prints one run; returns what is wrong with it."""
  try:
    report = reader()
  except InputError as error:
    if is_one_of_several:
      return [str(error)]  # the others may be whole
    raise
  _print_table(name, report)
  wrong = [*st_report_check.software(report)]
  if graph:
    wrong += st_report_check.clashes(report, graph)
  return [f'{name}: {line}' for line in wrong]


def _read_model(path: pathlib.Path) -> Graph:
  try:
    return tflite_reader.read(tflite_reader.load(path))
  except tflite_reader.DamagedFileError as error:
    raise InputError(f'{path}: {error}') from error


def _print_table(name: str, report: StReport) -> None:
  rows = [
    ('tool', ' '.join(filter(None, (report.tool, report.command)))),
    ('network', report.model),
    ('compiled for', _TARGETS[report.kind]),
    ('epochs', _epochs(report)),
    ('MACC', _count(report.macc)),
    ('rewritten', _count(report.rewritten_macc, ' MACC')),
    ('weights', _count(report.weights_bytes, ' B')),
    ('in flash', _count(report.compiled_weights_bytes, ' B')),
    ('activations', _activations(report)),
    ('on the board', f'{report.board_ms} ms' if report.board_ms else ''),
    ('inputs', st_report_check.shapes(report.inputs)),
    ('outputs', st_report_check.shapes(report.outputs)),
    ('operators', _operators(report.operators)),
  ]
  rows += [
    (
      pool.name,
      f'0x{pool.address:08X}  {pool.used_bytes:,} of {pool.size_bytes:,} B '
      f'({100 * pool.used_bytes / max(pool.size_bytes, 1):.2f} %)',
    )
    for pool in report.pools
  ]
  print(name)
  for title, value in rows:
    # Only few runs have these.
    if value or title not in ('rewritten', 'on the board'):
      print(f'  {title:<14}{value or _UNTOLD}')


def _epochs(report: StReport) -> str:
  if report.num_epochs is None:
    return ''
  software, hybrid = report.num_software or 0, report.num_hybrid or 0
  hardware = report.num_epochs - software - hybrid
  if report.num_hybrid is None:
    return (
      f'{report.num_epochs}: {hardware} in hardware, {software} in software '
      '(2.x counts hybrid ones with them)'
    )
  return (
    f'{report.num_epochs}: {hardware} in hardware, {software} in software, '
    f'{hybrid} in both'
  )


def _operators(names: tuple[str, ...]) -> str:
  """The operators in order; of many only how often each occurs."""
  if len(names) <= _MAX_OPERATORS:
    return ', '.join(names)
  counts = collections.Counter(names).most_common()
  return f'{len(names)}: ' + ', '.join(f'{n} {name}' for name, n in counts)


def _count(number: int | None, unit: str = '') -> str:
  return '' if number is None else f'{number:,}{unit}'


def _activations(report: StReport) -> str:
  num_bytes = report.activations_bytes
  if num_bytes is None:
    return ''
  return f'{num_bytes:,} B ({num_bytes / 1024:.3f} kB)'
