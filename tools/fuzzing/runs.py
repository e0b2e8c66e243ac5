"""Runs a reader on one variant of tools.fuzz_readers, and judges it."""

import functools
import json
import math
import multiprocessing.connection
import multiprocessing.context
import os
import pathlib
import re
import resource
import runpy
import signal
import sys
import tempfile
import threading
from typing import NamedTuple

from tools.fuzzing import media
from tools.fuzzing.variants import Variant

# Starting a process looks after all others, too: one thread at a time.
_LOCK = threading.Lock()
_TOLERANCE_BPM = 3.0
# A header that has gigabytes allocated is a fault, too.
_MEMORY_BYTES = 8 << 30
# The time limit is of processor time, as others may load the machine; what
# waits for ever has so many times as long on the clock.
_CLOCK_FACTOR = 4
_NO_FACE_EXIT_CODE = 3
_ESTIMATE = re.compile(r' *\d+ s +([\d.]+ BPM|withheld) +confidence')
# How libraries begin what they say by themselves.
_LIBRARY = re.compile(
  r'\[[^\]]*@ 0x|\[ *(ERROR|WARN|INFO)|Corrupt JPEG|Premature end|libpng|'
  r'[WEI]\d{4} |WARNING|Svt\[|.*(deprecat|terminate called|free\(\)|'
  r'Warning:|warning:|pixel format|extraneous bytes|Unsupported marker|JPEG )'
)
_GOOD = ('measured', 'withheld', 'refused', 'read')
_READ_RECORDING = """
import sys
from absl import app
from rppg_tf import entry_point
from rppg_tf.data import recordings
from rppg_tf.faces import rois
def main():
  folder = sys.argv[-1]
  recordings.check_recording(folder)
  read = recordings.read_alone(folder, rois.DEFAULT_ROI_GEOMETRY)
  print(len(read['frames']), 'frames')
entry_point.run(lambda words: main(), takes_words=True)
"""


class Outcome(NamedTuple):
  """What a reader made of a variant.

  Attributes:
    name, kind: the variant's.
    reader: 'predict' or 'recording'.
    what: one of _GOOD, or the kind of fault.
    detail: one line.
  """

  name: str
  kind: str
  reader: str
  what: str
  detail: str

  @property
  def is_fault(self) -> bool:
    """Whether this must not happen."""
    return self.what not in _GOOD

  def line(self) -> str:
    """Says all on one line."""
    return f'{self.what}: {self.reader} {self.name!r}: {self.detail}'


class _Done(NamedTuple):
  """How a process ended; exit_code None after the time limit."""

  exit_code: int | None
  stdout: str
  lines: list[str]


class Runner:
  """Runs readers on the files of work_dir/variants."""

  def __init__(
    self,
    work_dir: pathlib.Path,
    ground_truth: pathlib.Path,
    time_limit_s: float,
  ):
    self._variants_dir = work_dir.absolute() / 'variants'
    self._ground_truth = ground_truth.absolute()
    self._time_limit_s = time_limit_s

  def read(self, variant: Variant) -> list[Outcome]:
    """Runs every reader that a variant is for: AVI also the build's."""
    outcomes = [self._predict(variant)]
    if variant.name.endswith('.avi') and variant.argument is None:
      outcomes.append(self._read_recording(variant))
    return outcomes

  def _predict(self, variant: Variant) -> Outcome:
    """Runs `python -m rppg_tf.predict` on a variant."""
    path = self._variants_dir / variant.name
    argument = path if variant.argument is None else variant.argument
    with tempfile.TemporaryDirectory() as folder:
      json_path = pathlib.Path(folder) / 'result.json'
      words = ('-m', 'rppg_tf.predict', f'--video={argument}')
      done = self._run(*words, f'--json={json_path}')
      left = sorted(os.listdir(folder))
      text = json_path.read_text() if left == ['result.json'] else None
    fault = _fault(done)
    if not fault:
      fault = _judge_predict(variant, path, done, text, left)
    return Outcome(variant.name, variant.kind, 'predict', *fault)

  def _read_recording(self, variant: Variant) -> Outcome:
    """Reads a variant as the dataset build reads a recording."""
    with tempfile.TemporaryDirectory() as parent:
      folder = pathlib.Path(parent) / 'subject1'
      folder.mkdir()
      (folder / 'vid.avi').symlink_to(self._variants_dir / variant.name)
      (folder / 'ground_truth.txt').symlink_to(self._ground_truth)
      done = self._run('-c', _READ_RECORDING, folder)
    fault = _fault(done)
    if not fault and done.exit_code == 0:
      lines = '; '.join([*done.stdout.splitlines(), *done.lines])
      fault = ('noise' if _by_libraries(done) else 'read', lines)
    if not fault:
      fault = _judge_refusal(done)
    return Outcome(variant.name, variant.kind, 'recording', *fault)

  def _run(self, *words) -> _Done:
    with tempfile.TemporaryDirectory() as folder:
      outputs = [pathlib.Path(folder, name) for name in ('stdout', 'stderr')]
      with _LOCK:
        process = _importer().Process(
          target=_become,
          args=([*map(str, words)], outputs, self._time_limit_s),
        )
        process.start()
      multiprocessing.connection.wait(
        [process.sentinel], _CLOCK_FACTOR * self._time_limit_s
      )
      with _LOCK:
        is_alive = process.is_alive()
        if is_alive and process.pid is not None:
          os.killpg(process.pid, signal.SIGKILL)
        process.join()
      stdout, stderr = (
        path.read_bytes().decode(errors='backslashreplace') for path in outputs
      )
    lines = [
      line
      for line in stderr.splitlines()
      if line.strip() and not _ESTIMATE.match(line)
    ]
    return _Done(None if is_alive else process.exitcode, stdout, lines)


@functools.cache
def _importer() -> multiprocessing.context.ForkServerContext:
  """Forks processes that have imported what takes long; no flags in it."""
  context = multiprocessing.get_context('forkserver')
  context.set_forkserver_preload(
    ['rppg_tf.measurement', 'rppg_tf.inference.estimators', 'ai_edge_litert']
  )
  return context


def _become(
  words: list[str], outputs: list[pathlib.Path], time_limit_s: float
) -> None:
  """Makes of this process what `python WORDS` is."""
  os.setsid()
  for number, path in enumerate(outputs, 1):
    with open(path, 'wb') as file:
      os.dup2(file.fileno(), number)
  resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
  resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
  limit_s = math.ceil(time_limit_s)
  resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s + 5))
  option, what, *sys.argv[1:] = words
  if option == '-m':
    runpy.run_module(what, run_name='__main__', alter_sys=True)
  else:
    exec(what, {'__name__': '__main__'})


def _fault(done: _Done) -> tuple[str, str] | None:
  """What no reader may do; None if all is well."""
  if done.exit_code in (None, -signal.SIGXCPU):
    return 'hang', f'still running; said: {done.lines[:2]}'
  if done.exit_code < 0:
    name = signal.Signals(-done.exit_code).name
    return 'crash', f'{name}; said: {done.lines[:2]}'
  if any(line.startswith('Traceback') for line in done.lines):
    return 'traceback', done.lines[-1]
  return None


def _by_libraries(done: _Done) -> list[str]:
  return [line for line in done.lines if _LIBRARY.match(line)]


def _judge_refusal(done: _Done) -> tuple[str, str]:
  if done.exit_code == _NO_FACE_EXIT_CODE and not _by_libraries(done):
    return 'refused', '; '.join([done.stdout.strip(), *done.lines])
  errors = [line for line in done.lines if not line.startswith('note: ')]
  if len(errors) != 1 or not errors[0].startswith('error: '):
    return 'noise', f'exit code {done.exit_code}, said: {done.lines[:4]}'
  return 'refused', errors[0]


def _judge_predict(variant, path, done: _Done, text, left) -> tuple[str, str]:
  if done.exit_code != 0:
    if left:
      return 'left behind', f'{left} after {done.lines}'
    judged = _judge_refusal(done)
    if variant.is_readable and judged[0] == 'refused':
      return 'unread', judged[1]
    return judged
  if text is None:
    return 'no result', f'exit code 0 and {left}'
  if _by_libraries(done):
    return 'noise', f'exit code 0, said: {done.lines[:4]}'
  result = json.loads(text)
  if variant.is_readable and result['face_found_share'] < 0.9:
    return 'unread', f'face in {result["face_found_share"]:.0%} of frames'
  reported = [e['bpm'] for e in result['estimates'] if e['bpm'] is not None]
  said = f'{reported or "none"} BPM; {done.lines}'
  if not reported:
    return 'withheld', said
  allowed = _allowed_bpm(variant, path)
  if all(
    any(abs(bpm - truth) <= _TOLERANCE_BPM for truth in allowed)
    for bpm in reported
  ):
    return 'measured', said
  return 'wrong rate', f'{said}; may be: {[round(b, 1) for b in allowed]}'


def _allowed_bpm(variant: Variant, path: pathlib.Path) -> list[float]:
  """The rates that may be reported.

  Damage may change the times that a file tells: then the rate is right that
  these say.
  """
  allowed = list(variant.truth_bpm)
  if variant.may_change_times and allowed:
    period_s = media.period_s(path)
    if period_s is not None:
      allowed.append(allowed[0] / media.RATE_HZ / period_s)
  return allowed
