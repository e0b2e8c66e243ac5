"""Build and training with the same recordings again and again.

tools/benchmark_scale measures with these.
"""

import pathlib
import sys
from typing import NamedTuple

from rppg_tf.data import ubfc
from tools import markdown
from tools.benchmarks import process

FACTORS = (1, 4, 16)
# Last digits 1 to 5: of each five recordings three train, one validates.
NUM_SOURCES = 5
_FIRST_SUBJECT = 8000
_MAX_GROWTH = 0.1


class Figures(NamedTuple):
  """What one command took.

  Attributes:
    took_s: by the clock.
    cpu_s: CPU time.
    peak_memory_mb: most memory held at a time.
  """

  took_s: float
  cpu_s: float
  peak_memory_mb: float


def measure(
  sources: list[pathlib.Path], factor: int, folder: pathlib.Path
) -> dict[str, Figures]:
  """Builds, and trains an epoch with either cache.

  Args:
    sources: folders of recordings.
    factor: how many times each is there.
    folder: empty.

  Returns:
    What each command took.
  """
  multiply(sources, factor, folder / 'recordings')
  data_dir = folder / 'data'
  _, built = process.measure(
    'tools.benchmarks.build', 'build', folder / 'recordings', data_dir
  )
  figures = {'build': _figures(built)}
  _tell(factor, 'build', figures['build'])
  for cache in ('none', 'memory'):
    name = f'training --cache={cache}'
    figures[name] = _figures(
      process.run_well(
        'rppg_tf.train',
        f'--data_dir={data_dir}',
        f'--run_dir={folder / cache}',
        f'--cache={cache}',
        '--epochs=1',
        '--batch_size=1',
      )
    )
    _tell(factor, name, figures[name])
  return figures


def _figures(done: process.Run) -> Figures:
  return Figures(done.took_s, done.cpu_s, done.peak_memory_mb)


def _tell(factor: int, name: str, taken: Figures) -> None:
  """Says how far it is: all in all it takes minutes."""
  print(
    f'{name}, {factor}x: {taken.took_s:.0f} s, {taken.peak_memory_mb:,.0f} MB',
    file=sys.stderr,
    flush=True,
  )


def multiply(
  sources: list[pathlib.Path], factor: int, folder: pathlib.Path
) -> None:
  """Links recordings under `factor` times as many subjects.

  Args:
    sources: folders of at most nine recordings.
    factor: how many times each is there.
    folder: to be made.
  """
  for copy in range(factor):
    for number, source in enumerate(sources, 1):
      subject = folder / f'subject{_FIRST_SUBJECT + 10 * copy + number}'
      subject.mkdir(parents=True)
      for name in (ubfc.find_video(source).name, ubfc.GROUND_TRUTH_NAME):
        (subject / name).symlink_to((source / name).resolve())


def table(figures: dict[str, list[Figures]]) -> str:
  """Returns times, memory and how they grow from 4 to 16 times as Markdown.

  Args:
    figures: by command, of FACTORS each.
  """
  lines = []
  for name, of_factors in figures.items():
    _, middle, last = of_factors
    per_recording_s = (last.cpu_s - middle.cpu_s) / (
      NUM_SOURCES * (FACTORS[2] - FACTORS[1])
    )
    growth = last.peak_memory_mb / middle.peak_memory_mb - 1
    flat = 'flat' if abs(growth) <= _MAX_GROWTH else 'not flat'
    rows = (
      ('s', [taken.took_s for taken in of_factors], ''),
      (
        'CPU s',
        [taken.cpu_s for taken in of_factors],
        f'{per_recording_s:.2f} a recording',
      ),
      (
        'peak MB',
        [taken.peak_memory_mb for taken in of_factors],
        f'{100 * growth:+.0f} %: {flat}',
      ),
    )
    for unit, values, grown in rows:
      cells = (f'{value:,.1f}' for value in values)
      lines.append([f'{name}, {unit}', *cells, grown])
  header = ['', *(f'{factor}x' for factor in FACTORS), '4x to 16x']
  return markdown.table(header, lines)
