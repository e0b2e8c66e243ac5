"""Starts the workers of a cluster on this machine, for the tests."""

import contextlib
import json
import socket
from collections.abc import Iterator

from tests.support import commands


@contextlib.contextmanager
def start(num_workers: int, *words: str) -> Iterator[list[commands.Command]]:
  """Runs `python -m WORDS` in each worker, until the block is left."""
  hosts = [f'127.0.0.1:{port}' for port in _free_ports(num_workers)]
  with contextlib.ExitStack() as stack:
    yield [
      stack.enter_context(
        commands.start(*words, TF_CONFIG=json.dumps(_config(hosts, index)))
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
