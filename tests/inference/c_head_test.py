"""The C head: compiled once; a stream says what the whole recording does."""

import itertools
import os
import shutil
import subprocess

import numpy as np
import pytest

from rppg_tf import run_directory
from rppg_tf.inference import c_head, estimates
from tests.support import frame_times

pytestmark = pytest.mark.slow


def _chunks(num_frames, seed):
  """Random cuts, single frames among them."""
  cuts = np.random.default_rng(seed).choice(num_frames, num_frames // 3)
  return np.unique([0, *cuts, num_frames])


def test_head_stream_is_the_whole_recording_bit_for_bit():
  head = c_head.CompiledHead(run_directory.PRETRAINED)
  time_s = frame_times.measured(900, 1)
  random = np.random.default_rng(2)
  codes = random.integers(-128, 128, (900, 52), np.int16)
  whole = head.run(codes, time_s, window_stride=7)
  stream = head.stream(window_stride=7)
  cuts = _chunks(900, 3)
  parts = [
    stream.push(codes[start:end], time_s[start:end])
    for start, end in itertools.pairwise(cuts)
  ]
  assert len(whole.heart_rate_bpm) > 50
  for name in estimates.HeadRun._fields:
    joined = np.concatenate([getattr(part, name) for part in parts])
    np.testing.assert_array_equal(joined, getattr(whole, name))
  with pytest.raises(ValueError, match='expected never to decrease'):
    stream.push(codes[:1], time_s[:1])


@pytest.fixture
def kept(tmp_path, monkeypatch):
  """Where libraries are kept: an empty folder for once."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  return tmp_path / 'cache' / 'rppg_tf'


def _refuse_to_compile(monkeypatch):
  def refuse(*_, **__):
    raise AssertionError('compiled again')

  monkeypatch.setattr(subprocess, 'run', refuse)


def test_a_head_is_compiled_once(kept, tmp_path, monkeypatch):
  first = c_head.CompiledHead(run_directory.PRETRAINED)
  assert [path.suffix for path in kept.iterdir()] == ['.so']
  with monkeypatch.context() as patches:
    _refuse_to_compile(patches)
    again = c_head.CompiledHead(run_directory.PRETRAINED)
  codes = np.random.default_rng(5).integers(-128, 128, (400, 52), np.int16)
  time_s = np.arange(400) / 30
  for one, other in zip(
    first.run(codes, time_s), again.run(codes, time_s), strict=True
  ):
    np.testing.assert_array_equal(one, other)
  # Another source, and the same by another compiler.
  for name in ('temporal_head.c', 'temporal_head.h'):
    shutil.copy(run_directory.PRETRAINED / name, tmp_path)
  with open(tmp_path / 'temporal_head.h', 'a') as header:
    header.write('/* another */\n')
  c_head.CompiledHead(tmp_path)
  assert len(list(kept.iterdir())) == 2
  compiler = tmp_path / 'cc'
  compiler.write_text(f'#!/bin/sh\nexec {shutil.which("cc")} "$@"\n')
  compiler.chmod(0o755)
  monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
  c_head.CompiledHead(tmp_path)
  assert len(list(kept.iterdir())) == 3


def test_the_libraries_kept_are_few(kept):
  kept.mkdir(parents=True)
  for age_s in range(20):
    (kept / f'{age_s}.so').touch()
    os.utime(kept / f'{age_s}.so', times=(1e9 - age_s, 1e9 - age_s))
  c_head.CompiledHead(run_directory.PRETRAINED)
  names = {path.stem for path in kept.iterdir()}
  assert len(names) == 16
  assert {str(age_s) for age_s in range(15)} < names


def test_who_cannot_keep_a_library_has_it_all_the_same(kept):
  kept.parent.write_text('not a folder')
  head = c_head.CompiledHead(run_directory.PRETRAINED)
  assert head.window_samples == 300


def test_a_library_that_is_broken_is_compiled_again(kept):
  c_head.CompiledHead(run_directory.PRETRAINED)
  (library,) = kept.iterdir()
  library.unlink()
  library.write_bytes(b'not a library')
  head = c_head.CompiledHead(run_directory.PRETRAINED)
  assert head.window_samples == 300
  assert library.read_bytes()[1:4] == b'ELF'
