"""Starts the workers of a cluster on this machine, for the tests."""

import json
import os
import socket
import subprocess
import sys

from tests.support import commands


def start(num_workers: int, *words: str) -> list[subprocess.Popen]:
  """Starts `python -m WORDS` in each worker; stdout and stderr are piped."""
  hosts = [f'127.0.0.1:{port}' for port in _free_ports(num_workers)]
  return [
    subprocess.Popen(
      [sys.executable, '-m', *words],
      cwd=commands.ROOT,
      env={**os.environ, 'TF_CONFIG': json.dumps(_config(hosts, index))},
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
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
