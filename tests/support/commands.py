"""Runs the project's commands as a user would."""

import atexit
import contextlib
import functools
import multiprocessing.connection
import multiprocessing.forkserver
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[2]
# Starting a process looks after all others, too: one thread at a time.
_LOCK = threading.Lock()
# What takes seconds to import, if it is there, and defines no flags.
_PRELOADED = [
  'torch',
  'rppg_tf.keras_compat',
  'tensorflow_datasets.scripts.cli.build',
  'tensorflow_model_optimization',
  'rppg_tf.evaluation.runs',
  'rppg_tf.quantisation.convert',
  'rppg_tf.distillation.teacher',
  'tools.codegen.temporal_head',
]


def run(
  *words: object, timeout_s: float = 900, folder: pathlib.Path = ROOT
) -> subprocess.CompletedProcess:
  """Runs `python -m WORDS` in a folder, by default the project's root.

  In a process of its own, forked from one that has imported TensorFlow and not
  yet used it: most commands take longer to import than to run.
  """
  with start(*words, folder=folder) as command:
    return command.ended(timeout_s)


class Command:
  """A command that runs.

  It writes into files: a process that waits for somebody to empty a pipe keeps
  all that work with it waiting, too.
  """

  def __init__(self, words, folder, environ, scratch: pathlib.Path):
    self._words = tuple(map(str, words))
    self._outputs = [scratch / name for name in ('stdout', 'stderr')]
    with _LOCK:
      self._process = _importer().Process(
        target=_become, args=(self._words, folder, environ, self._outputs)
      )
      self._process.start()

  def has_ended(self) -> bool:
    with _LOCK:
      return not self._process.is_alive()

  def kill(self) -> None:
    """Kills it, if it still runs."""
    with _LOCK:
      self._process.kill()
      self._process.join()

  def ended(self, timeout_s: float) -> subprocess.CompletedProcess:
    """Waits for its end; returns exit code, stdout and stderr."""
    if not multiprocessing.connection.wait([self._process.sentinel], timeout_s):
      self.kill()
      raise subprocess.TimeoutExpired(self._words, timeout_s)
    with _LOCK:
      self._process.join()
    stdout, stderr = (path.read_text() for path in self._outputs)
    code = self._process.exitcode
    return subprocess.CompletedProcess(self._words, code, stdout, stderr)


@contextlib.contextmanager
def start(
  *words: object, folder: pathlib.Path = ROOT, **variables: str
) -> Iterator[Command]:
  """Starts what `run` runs; kills it when the block is left.

  Args:
    words: as of `run`.
    folder: as of `run`.
    variables: more of its environment.
  """
  with tempfile.TemporaryDirectory() as scratch:
    command = Command(
      words, folder, {**os.environ, **variables}, pathlib.Path(scratch)
    )
    try:
      yield command
    finally:
      command.kill()


@functools.cache
def _importer() -> multiprocessing.context.BaseContext:
  context = multiprocessing.get_context('forkserver')
  context.set_forkserver_preload(_PRELOADED)
  multiprocessing.forkserver.ensure_running()
  return context


def _become(
  words: tuple[str, ...],
  folder: pathlib.Path,
  environ: dict[str, str],
  outputs: list[pathlib.Path],
) -> None:
  """Makes of this process what `python -m WORDS` is."""
  for number, path in enumerate(outputs, 1):
    with open(path, 'wb') as file:
      os.dup2(file.fileno(), number)
  os.environ.clear()
  os.environ.update(environ)
  os.chdir(folder)
  sys.argv = list(words)
  try:
    runpy.run_module(words[0], run_name='__main__', alter_sys=True)
  finally:
    # Which a forked process leaves out; they remove temporary folders.
    atexit._run_exitfuncs()


def run_fresh(
  *words: object, timeout_s: float = 900
) -> subprocess.CompletedProcess:
  """Runs `python -m WORDS` from the project's root in a new interpreter."""
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
  *flags: str, timeout_s: float = 900
) -> subprocess.CompletedProcess:
  """Runs `tfds build` in tfds_ubfc/."""
  return run(
    'tensorflow_datasets.scripts.cli.main',
    'build',
    '--config=inner',
    *flags,
    timeout_s=timeout_s,
    folder=ROOT / 'tfds_ubfc',
  )


def n6_real(name: str) -> pathlib.Path:
  """A file or report of ST's compiler that is no part of the project.

  Looked for in $N6_REAL, then beside the project; the test skips without it.
  """
  beside = ROOT.parent / 'shared/n6_real'
  path = pathlib.Path(os.environ.get('N6_REAL', beside)) / name
  if not path.is_file():
    pytest.skip(f'{path} is not here: set N6_REAL to the folder that holds it')
  return path


def assert_refused(done: subprocess.CompletedProcess, *parts: str) -> None:
  """The command failed, and its last line says all of `parts`."""
  assert done.returncode != 0, done.stdout
  last = done.stderr.strip().splitlines()[-1]
  assert 'Traceback' not in last
  for part in parts:
    assert part in last, last
