"""Recordings for the benchmarks: made once in build/bench, then kept.

Their seed and subjects are used nowhere else; what is half made is made anew.
"""

import itertools
import math
import pathlib
import shutil

import pytest

from tests.support import commands

SHARED_TRUTHS = commands.ROOT.parent / 'shared' / 'ubfc_ground_truth'
_SEED = 77
_ROOT = commands.ROOT / 'build' / 'bench'
_TIMEOUT_S = 4 * 3600


def made_up() -> pathlib.Path:
  """20 videos of 25 s with normal and 20 with strong motion."""
  common = ('--num_recordings=20', '--duration_s=25')
  return _recordings(
    'made_up', {5001: common, 5021: (*common, '--motion=strong')}
  )


def real_ppg() -> pathlib.Path:
  """The same with the 28 shared PPGs and their time stamps, 28 + 28 videos."""
  if not SHARED_TRUTHS.is_dir():
    pytest.skip(f'{SHARED_TRUTHS} is not on this machine')
  common = (
    *('--num_recordings=28', '--duration_s=25'),
    f'--ground_truth_dir={SHARED_TRUTHS}',
  )
  return _recordings(
    'real_ppg', {5101: common, 5131: (*common, '--motion=strong')}
  )


def without_pulse() -> pathlib.Path:
  """20 + 20 videos of 15 s of faces without a pulse."""
  common = ('--num_recordings=20', '--duration_s=15', '--nopulse')
  return _recordings(
    'without_pulse', {5201: common, 5221: (*common, '--motion=strong')}
  )


def at_120_hz() -> pathlib.Path:
  """3 videos of 20 s at 120 frames/s, to be thinned out to any rate."""
  return _recordings(
    'at_120_hz', {5301: ('--num_recordings=3', '--duration_s=20', '--fps=120')}
  )


def _recordings(name: str, parts: dict[int, tuple[str, ...]]) -> pathlib.Path:
  """Renders what is not there yet.

  Args:
    name: of the folder in build/bench.
    parts: flags by number of the first subject.

  Returns:
    The --output_dir of all parts.
  """
  folder = _ROOT / name / 'recordings'
  firsts = [*parts, math.inf]
  for first, end in itertools.pairwise(firsts):
    stamp = _ROOT / name / f'rendered_{first}'
    if stamp.exists():
      continue
    for half_made in folders(folder):
      if first <= int(half_made.name.removeprefix('subject')) < end:
        shutil.rmtree(half_made)
    done = commands.run(
      'tools.render_recordings',
      f'--output_dir={folder}',
      f'--seed={_SEED}',
      f'--first_subject={first}',
      *parts[first],
      timeout_s=_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    stamp.touch()
  return folder


def folders(recordings_dir: pathlib.Path) -> list[pathlib.Path]:
  """Returns the folders of the recordings, by number."""
  return sorted((recordings_dir / 'DATASET_2').glob('subject*'))


def built(recordings_dir: pathlib.Path) -> pathlib.Path:
  """Returns the --data_dir of `tfds build` of some recordings."""
  data_dir = recordings_dir.parent / 'data'
  stamp = recordings_dir.parent / 'built'
  if not stamp.exists():
    shutil.rmtree(data_dir, ignore_errors=True)
    done = commands.tfds_build(
      f'--manual_dir={recordings_dir}',
      f'--data_dir={data_dir}',
      timeout_s=_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    stamp.touch()
  return data_dir
