"""How TensorFlow starts: with its freed memory kept, and quietly."""

import importlib
import os
import subprocess
import sys

import pytest

from rppg_tf import keras_compat
from tests.support import commands

_SETTING = 'TF_CPU_ALLOCATOR_USE_BFC'
# How many pages Linux has to give for a tensor like one that was freed.
_SCRIPT = """
import resource

from rppg_tf.keras_compat import keras

def fill():
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  keras.backend.ones((25, 1_000_000))
  return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

fill()
print(fill())
"""


@pytest.mark.slow
def test_a_tensor_like_one_that_was_freed_costs_no_page():
  environ = dict(os.environ)
  environ.pop(_SETTING, None)
  done = subprocess.run(
    [sys.executable, '-c', _SCRIPT],
    cwd=commands.ROOT,
    env=environ,
    capture_output=True,
    text=True,
    check=True,
  )
  # Of 24,000; some are the interpreter's own.
  assert int(done.stdout) <= 20


# What another allocator does with its pages is its own affair.
@pytest.mark.parametrize(('own', 'kept'), [(None, 'true'), ('false', 'false')])
def test_the_users_own_choice_of_allocator_stays(monkeypatch, own, kept):
  # Set first, so that what was there comes back.
  monkeypatch.setenv(_SETTING, own or '')
  if own is None:
    monkeypatch.delenv(_SETTING)
  importlib.reload(keras_compat)
  assert os.environ[_SETTING] == kept


@pytest.mark.slow
def test_importing_tensorflow_says_nothing():
  done = subprocess.run(
    [sys.executable, '-c', 'import rppg_tf.keras_compat'],
    cwd=commands.ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  assert (done.stdout, done.stderr) == ('', '')


def test_other_lines_of_the_start_come_through(capfd):
  with keras_compat.without_start_lines():
    os.write(2, b'I0000 00:00:1.2 7 port.cc:153] oneDNN operations are on.\n')
    os.write(2, b'E0000 00:00:1.2 7 other.cc:1] out of memory\n')
  assert (
    capfd.readouterr().err == 'E0000 00:00:1.2 7 other.cc:1] out of memory\n'
  )
