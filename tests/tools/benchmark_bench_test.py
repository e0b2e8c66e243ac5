"""The targets of speed and size, of one run of tools/benchmark."""

import json

import pytest

from tests.support import commands
from tools.benchmarks import targets

pytestmark = pytest.mark.bench

_TIMEOUT_S = 3600
_NAMES = (
  'build_frames_per_s',
  'plain_build_frames_per_s',
  'train_windows_per_s',
  'plain_keras_windows_per_s',
  'plain_pytorch_windows_per_s',
  'predict_realtime_factor',
  'predict_startup_s',
  'bytes_per_frame',
)
_NUM_TARGETS = 7


@pytest.fixture(scope='module')
def figures():
  folder = commands.ROOT / 'build' / 'bench'
  folder.mkdir(parents=True, exist_ok=True)
  output = folder / 'benchmark.json'
  done = commands.run(
    'tools.benchmark', f'--output={output}', timeout_s=_TIMEOUT_S
  )
  assert done.returncode == 0, done.stderr
  print(f'\n\n{done.stdout}')
  return json.loads(output.read_text())


def test_every_figure_is_there_and_positive(figures):
  assert all(figures[name] > 0 for name in _NAMES)
  assert all(peak_mb > 0 for peak_mb in figures['peak_memory_mb'].values())


@pytest.mark.parametrize('index', range(_NUM_TARGETS))
def test_target(figures, index):
  found = targets.targets(figures)
  assert len(found) == _NUM_TARGETS
  assert found[index].is_met, found[index]
