import signal
import subprocess
import sys

import pytest

from rppg_tf.parallel import crash_watch
from tests.support.fake_recordings import write_recording

pytestmark = pytest.mark.slow

# Native code that fails is played by a decoder that kills its process.
_BUILD = """\
import os, sys
from rppg_tf.data import recordings

folders, fatal, number = sys.argv[1:-2], sys.argv[-2], int(sys.argv[-1])
read = recordings._read_rois

def die(path, *arguments):
  if fatal in str(path):
    os.kill(os.getpid(), number)
  return read(path, *arguments)

recordings._read_rois = die
for example in recordings.read_recordings(folders):
  print(example['subject'])
"""


def _build(*words):
  command = [sys.executable, '-c', _BUILD, *map(str, words)]
  return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
  root = tmp_path_factory.mktemp('recordings')
  return [write_recording(root / f'subject{number}') for number in (1, 2)]


@pytest.mark.parametrize('number', [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_names_the_recording(folders, number):
  done = _build(folders[1], 'subject2', number)
  assert done.returncode == -number
  (line,) = done.stderr.splitlines()
  assert line.startswith('error: ended by a crash of native code, or killed')
  assert f'while reading {folders[1]}; mend or remove' in line


def test_a_crash_names_all_that_were_under_way(folders):
  done = _build(*folders, 'subject1', signal.SIGSEGV)
  (line,) = done.stderr.splitlines()
  assert str(folders[0]) in line


def test_nothing_is_said_of_a_build_that_ends(folders):
  done = _build(*folders, 'none', signal.SIGSEGV)
  assert done.returncode == 0
  assert done.stdout.split() == ['subject1', 'subject2']
  assert not done.stderr


def test_only_what_is_under_way_is_told():
  code = """\
import os
from rppg_tf.parallel import crash_watch
with crash_watch.CrashWatch() as watch:
  with watch.reading('first'):
    pass
  with watch.reading('sécond'), watch.reading('two\\nlines'):
    os.abort()
"""
  command = [sys.executable, '-c', code]
  done = subprocess.run(command, capture_output=True, timeout=60)
  assert done.returncode == -signal.SIGABRT
  line = done.stderr.decode()
  assert 'while reading sécond, two lines; mend' in line
  assert 'first' not in line


def test_an_error_speaks_for_itself(capfd):
  with pytest.raises(KeyError), crash_watch.CrashWatch() as watch:
    with watch.reading('one'):
      raise KeyError
  assert not capfd.readouterr().err
