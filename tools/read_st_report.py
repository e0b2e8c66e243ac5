"""Prints what ST Edge AI Core says of a network; fails if it is not ours.

  python -m tools.read_st_report build/st/network_analyze_report.txt \
    build/st/network_c_info.json --model=build/run/spatial_int8.tflite

Fails if an epoch runs in software, whole or in part, or if the network is
not that of the TFLite file: operators, MACC, weights, input and output.
"""

import pathlib
import sys

from absl import flags

from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from tools.n6 import st_report, st_report_check
from tools.tflite import reader
from tools.tflite.graph import Graph

_MODEL = flags.DEFINE_string(
  'model', None, 'TFLite file that the reports should be of.'
)


def main(words: list[str]) -> int:
  """Reads, prints and judges every file named; returns 1 on a failure."""
  if not words:
    raise InputError('name a network_*_report.txt or a network_c_info.json')
  graph = _read_model(pathlib.Path(_MODEL.value)) if _MODEL.value else None
  failures = []
  for word in words:
    report = st_report.read(pathlib.Path(word))
    _print_table(word, report)
    failures += [
      f'{word}: {failure}' for failure in st_report_check.software(report)
    ]
    if graph:
      failures += [
        f'{word}: {failure}'
        for failure in st_report_check.clashes(report, graph)
      ]
  for failure in failures:
    print(f'error: {failure}', file=sys.stderr)
  return 1 if failures else 0


def _read_model(path: pathlib.Path) -> Graph:
  try:
    return reader.read(reader.load(path))
  except reader.DamagedFileError as error:
    raise InputError(f'{path}: {error}') from error


def _print_table(name: str, report: st_report.StReport) -> None:
  hardware = report.num_epochs - report.num_software - report.num_hybrid
  weights = report.weights_bytes or report.compiled_weights_bytes
  rows = [
    ('tool', report.tool or 'not told'),
    (
      'epochs',
      f'{report.num_epochs}: {hardware} in hardware, {report.num_software} in '
      f'software, {report.num_hybrid} in both',
    ),
    ('MACC', f'{report.macc:,}' if report.macc else 'not told'),
    ('weights', f'{weights:,} B'),
    (
      'activations',
      f'{report.activations_bytes:,} B '
      f'({report.activations_bytes / 1024:.3f} kB)',
    ),
    ('inputs', st_report_check.shapes(report.inputs) or 'not told'),
    ('outputs', st_report_check.shapes(report.outputs) or 'not told'),
    ('operators', ', '.join(report.operators) or 'not told'),
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
    print(f'  {title:<12}{value}')


if __name__ == '__main__':
  run(main, takes_words=True)
