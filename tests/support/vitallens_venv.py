"""vitallens 0.6.2 (MIT), the peer, in a venv of its own; for `make bench`."""

import pathlib
import subprocess
import sys

from tests.support import commands

_VENV = commands.ROOT / 'build' / 'vitallens'
_PEER = pathlib.Path(__file__).with_name('vitallens_peer.py')
_PACKAGES = (
  'vitallens==0.6.2',
  *('scipy', 'pandas', 'psutil', 'opencv-python-headless'),
)


def run(*words: object) -> None:
  """Runs vitallens_peer.py; see there for its arguments."""
  subprocess.run([_python(), _PEER, *map(str, words)], check=True)


def _python() -> pathlib.Path:
  """Makes the venv where it is not yet (40 s); its pins are not ours."""
  python = _VENV / 'bin' / 'python'
  stamp = _VENV / 'installed'
  if not stamp.exists():
    pip = [python, '-m', 'pip', 'install', '--quiet', *_PACKAGES]
    subprocess.run([sys.executable, '-m', 'venv', _VENV], check=True)
    subprocess.run([*pip, '--disable-pip-version-check'], check=True)
    stamp.touch()
  return python
