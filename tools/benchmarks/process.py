"""Commands in processes of their own: what they print, time, memory."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rppg_tf.errors import InputError

_BYTES_PER_KIB = 1024

_BYTES_PER_MB = 1e6


class Run(NamedTuple):
  """One command that has ended.

  Attributes:
    exit_code: of the command.
    output: what it wrote to stdout.
    last_error: last line that it wrote to stderr.
    took_s: from its start to its end.
    cpu_s: CPU time, of all threads.
    peak_memory_mb: most memory that it, or a command that it ran, held at a
      time, in 10^6 bytes; no less than what the caller held when it started
      the command, as Linux counts.
  """

  exit_code: int
  output: str
  last_error: str
  took_s: float
  cpu_s: float
  peak_memory_mb: float


def now() -> np.ndarray:
  """Returns two clocks, seconds: the time, and this process' CPU time."""
  return np.array([time.perf_counter(), time.process_time()])


def run(
  module: str, *words: str, environment: Mapping[str, str] | None = None
) -> Run:
  """Runs `python -m MODULE WORDS`, whatever comes of it.

  Args:
    module: of Python.
    *words: its arguments.
    environment: variables to set for it, beside those that are.
  """
  command = [sys.executable, '-m', module, *words]
  variables = {**os.environ, **(environment or {})}
  with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
    start_s = time.perf_counter()
    with subprocess.Popen(
      command, stdout=output, stderr=errors, env=variables
    ) as process:
      # And not RUSAGE_CHILDREN, which is the largest of all children so far.
      _, status, usage = os.wait4(process.pid, 0)
      process.returncode = os.waitstatus_to_exitcode(status)
    took_s = time.perf_counter() - start_s
    lines = _text(errors).strip().splitlines()
    return Run(
      process.returncode,
      _text(output),
      lines[-1] if lines else 'no message',
      took_s,
      usage.ru_utime + usage.ru_stime,
      usage.ru_maxrss * _BYTES_PER_KIB / _BYTES_PER_MB,
    )


def run_well(
  module: str, *words: str, environment: Mapping[str, str] | None = None
) -> Run:
  """Runs a command that must succeed; arguments as of `run`.

  Raises:
    InputError: it did not; the line says what it said last.
  """
  done = run(module, *words, environment=environment)
  if done.exit_code:
    reason = done.last_error.removeprefix('error: ')
    if done.exit_code < 0:
      reason = f'ended by {signal.Signals(-done.exit_code).name}'
    raise InputError(f'{module} {" ".join(words)}: {reason}')
  return done


def measure(
  module: str,
  function: str,
  *folders: pathlib.Path,
  environment: Mapping[str, str] | None = None,
) -> tuple[dict[str, float], Run]:
  """Calls a function of folders in a process of its own.

  Args:
    module: that it is in.
    function: its name; it returns figures by name.
    *folders: its arguments.
    environment: as of `run`.

  Returns:
    What it returned, and the process.

  Raises:
    InputError: it failed.
  """
  words = (module, function, *map(str, folders))
  done = run_well('tools.benchmark_process', *words, environment=environment)
  return json.loads(done.output.splitlines()[-1]), done


def _text(file) -> str:
  file.seek(0)
  return file.read().decode(errors='replace')
