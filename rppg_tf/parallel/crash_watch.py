"""Says what a process was reading when it died without a word.

A crash of native code and a kill for want of memory end all threads of a
process at once: nothing in it can still speak. A small process beside it can.
Python's faulthandler is not enough: it says nothing of a kill, and names lines
of Python, not the recording.
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

# In an interpreter of its own, which imports nothing: 10 ms. What it reads
# ends when the watched process does, however that comes.
_WATCH = """\
import sys
begun = []
for line in sys.stdin:
  change, name = line[0], line[1:-1]
  if change == '+':
    begun.append(name)
  else:
    begun.remove(name)
if begun:
  sys.stderr.write(
    'error: ended by a crash of native code, or killed (for want of memory?), '
    f'while reading {", ".join(begun)}; mend or remove that recording, or '
    'free memory\\n'
  )
"""


class CrashWatch:
  """Watches the process that makes it, until it is left or that dies.

  Usable from many threads.

      with CrashWatch() as watch:
        with watch.reading('subject1'):
          ...
  """

  def __enter__(self) -> 'CrashWatch':
    self._process = subprocess.Popen(
      [sys.executable, '-I', '-S', '-c', _WATCH],
      stdin=subprocess.PIPE,
      stdout=subprocess.DEVNULL,
      # Ctrl-C is for the watched process, which can speak for itself then.
      start_new_session=True,
    )
    self._lock = threading.Lock()
    return self

  def __exit__(self, *_) -> None:
    with self._process:  # closes the pipe and waits
      self._process.kill()

  @contextlib.contextmanager
  def reading(self, name: str | os.PathLike) -> Iterator[None]:
    """While this is open, `name` is what is told."""
    self._tell('+', name)
    try:
      yield
    finally:
      self._tell('-', name)

  def _tell(self, change: str, name: str | os.PathLike) -> None:
    name = os.fspath(name).replace('\n', ' ')
    line = f'{change}{name}\n'.encode(errors='replace')
    pipe = self._process.stdin
    assert pipe is not None
    with self._lock, contextlib.suppress(BrokenPipeError):
      pipe.write(line)
      pipe.flush()
