"""Starts the workers of a cluster on this machine, for the tests."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from tests.support import commands


class Worker:
  """One process of a cluster.

  It writes into files: a worker that waits for somebody to empty a pipe keeps
  all others waiting, too.
  """

  def __init__(self, words: tuple[str, ...], config: dict):
    self._files = [tempfile.TemporaryFile('w+') for _ in range(2)]
    stdout, stderr = self._files
    self.process = subprocess.Popen(
      [sys.executable, '-m', *words],
      cwd=commands.ROOT,
      env={**os.environ, 'TF_CONFIG': json.dumps(config)},
      stdout=stdout,
      stderr=stderr,
    )

  def ended(self, timeout_s: float) -> subprocess.CompletedProcess:
    """Waits for its end; returns exit code, stdout and stderr."""
    code = self.process.wait(timeout_s)
    for file in self._files:
      file.seek(0)
    texts = (file.read() for file in self._files)
    return subprocess.CompletedProcess(self.process.args, code, *texts)

  def close(self) -> None:
    """Kills what still runs."""
    self.process.kill()
    self.process.wait()
    for file in self._files:
      file.close()


@contextlib.contextmanager
def start(num_workers: int, *words: str) -> Iterator[list[Worker]]:
  """Runs `python -m WORDS` in each worker, until the block is left."""
  hosts = [f'127.0.0.1:{port}' for port in _free_ports(num_workers)]
  with contextlib.ExitStack() as stack:
    yield [
      stack.enter_context(
        contextlib.closing(Worker(words, _config(hosts, index)))
      )
      for index in range(num_workers)
    ]


def _config(hosts: list[str], index: int) -> dict:
  return {
    'cluster': {'worker': hosts},
    'task': {'type': 'worker', 'index': index},
  }


def _free_ports(num: int) -> list[int]:
  """Ports that were free a moment ago."""
  sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(num)]
  ports = [listening.getsockname()[1] for listening in sockets]
  for listening in sockets:
    listening.close()
  return ports
