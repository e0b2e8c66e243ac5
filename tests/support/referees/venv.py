"""The referees' venv, made where it is not yet (10 s), then kept."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

from tests.support import commands

_VENV = commands.ROOT / 'build' / 'referees'
_REQUIREMENTS = pathlib.Path(__file__).with_name('requirements.txt')


def python() -> pathlib.Path:
  """Returns the interpreter that has the referees.

  The venv is made beside its place and renamed when it is whole, so that two
  test processes, or one that is killed, leave no half of it.
  """
  stamp = _VENV / 'requirements.txt'
  wanted = _REQUIREMENTS.read_text()
  if not stamp.is_file() or stamp.read_text() != wanted:
    _VENV.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_VENV.parent) as folder:
      made = _make(pathlib.Path(folder) / 'referees')
      (made / 'requirements.txt').write_text(wanted)
      _put_in_place(made, stamp, wanted)
  return _VENV / 'bin' / 'python'


def _make(folder: pathlib.Path) -> pathlib.Path:
  subprocess.run([sys.executable, '-m', 'venv', folder], check=True)
  pip = [folder / 'bin' / 'python', '-m', 'pip', 'install', '--quiet']
  pip += ['--disable-pip-version-check', '-r', _REQUIREMENTS]
  done = subprocess.run(pip, capture_output=True, text=True, check=False)
  assert done.returncode == 0, f'referees cannot be installed: {done.stderr}'
  return folder


def _put_in_place(made, stamp: pathlib.Path, wanted: str) -> None:
  if _VENV.exists() and (not stamp.is_file() or stamp.read_text() != wanted):
    shutil.rmtree(_VENV)
  try:
    made.rename(_VENV)
  except OSError:
    # Another test process was faster.
    assert stamp.read_text() == wanted
