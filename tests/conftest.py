"""What several files of tests share, whichever process runs them."""

import fcntl
import multiprocessing.process
import os
import pathlib
import subprocess
import tempfile
from unittest import mock

import pytest

from tests.support import commands, fake_recordings


@pytest.fixture(scope='session')
def work(tmp_path_factory) -> pathlib.Path:
  """A folder with `data`, a build of subjects 101-105, for runs beside it.

  Of 103 the test split is made, of 105 validation. Built once, by the first
  of the processes that want it.
  """
  base = tmp_path_factory.getbasetemp()
  if 'PYTEST_XDIST_WORKER' in os.environ:
    base = base.parent  # all workers'
  work = base / 'small_build'
  work.mkdir(exist_ok=True)
  with open(work / 'lock', 'w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not (work / 'built').exists():
      for number, rate_bpm in enumerate((60, 72, 90, 80, 66), 101):
        fake_recordings.write_recording(
          work / 'recordings' / f'subject{number}',
          num_frames=345,
          rate_bpm=rate_bpm,
        )
      built = commands.tfds_build(
        f'--manual_dir={work / "recordings"}', f'--data_dir={work / "data"}'
      )
      assert built.returncode == 0, built.stderr
      (work / 'built').touch()
  return work


# Half a minute or more each; the others fill what is left at the end.
_LONGEST_FIRST = [
  f'{name}_test.py'
  for name in (
    *('training_runs', 'end_to_end', 'training/distribution', 'firmware/build'),
    *(
      'tools/import_pytorch_weights',
      'tools/import_pytorch',
      'evaluation_protocols',
    ),
    *(
      'tfds_ubfc/builder',
      'distillation/teacher',
      'tools/compare_qat_ptq',
      'firmware/pipeline',
    ),
    *(
      'quantisation/convert',
      'quantisation/referees',
      'tools/render_recordings',
      'predict',
      'model/pretrained',
    ),
    *(
      'tools/export_onnx',
      'distillation/models',
      'firmware/stages',
      'firmware/head',
    ),
  )
]


def _place(item: pytest.Item) -> str:
  return item.path.relative_to(pathlib.Path(__file__).parent).as_posix()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
  """Lets no process be left with a long file when the other has ended."""
  places = {name: place for place, name in enumerate(_LONGEST_FIRST)}
  items.sort(key=lambda item: places.get(_place(item), len(places)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
  """Lets no test start a process where those marked slow are left out."""
  if 'not slow' not in item.config.option.markexpr:
    return (yield)
  with (
    # Nor find what one has compiled.
    tempfile.TemporaryDirectory() as cache,
    mock.patch.dict(os.environ, XDG_CACHE_HOME=cache),
    mock.patch.object(subprocess.Popen, '__init__', _refuse),
    mock.patch.object(multiprocessing.process.BaseProcess, 'start', _refuse),
  ):
    return (yield)


def _refuse(*args, **options) -> None:
  pytest.fail('This test starts a process: mark it slow.')
