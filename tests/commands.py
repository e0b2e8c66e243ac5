"""Runs the project's commands as a user would."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
_TFDS = pathlib.Path(sys.executable).with_name('tfds')


def run(*words: object, timeout_s: float = 300) -> subprocess.CompletedProcess:
  """Runs `python -m WORDS` from the project's root."""
  command = [sys.executable, '-m', *map(str, words)]
  return subprocess.run(
    command,
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=timeout_s,
    check=False,
  )


def run_well(*words: object) -> str:
  """Runs a command that must succeed; returns its last line."""
  done = run(*words)
  assert done.returncode == 0, f'{words}:\n{done.stdout}\n{done.stderr}'
  return done.stdout.strip().splitlines()[-1]


def train(work: pathlib.Path, run_name: str, *flags: str) -> list[str]:
  """Words of a training in conftest's work."""
  return [
    'rppg_tf.train',
    f'--data_dir={work / "data"}',
    f'--run_dir={work / run_name}',
    '--batch_size=1',
    *flags,
  ]


def tfds_build(
  *flags: str, timeout_s: float = 300
) -> subprocess.CompletedProcess:
  """Runs `tfds build` in tfds_ubfc/."""
  return subprocess.run(
    [_TFDS, 'build', '--config=inner', *flags],
    cwd=ROOT / 'tfds_ubfc',
    capture_output=True,
    text=True,
    timeout=timeout_s,
    check=False,
    env={**os.environ, 'TQDM_DISABLE': '1'},
  )


def assert_refused(done: subprocess.CompletedProcess, *parts: str) -> None:
  """The command failed, and its last line says all of `parts`."""
  assert done.returncode != 0, done.stdout
  last = done.stderr.strip().splitlines()[-1]
  assert 'Traceback' not in last
  for part in parts:
    assert part in last, last
