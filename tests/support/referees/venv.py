"""The referees' venvs, made where they are not yet (10 s each), then kept."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

from tests.support import commands

_BUILD = commands.ROOT / 'build'


def python(name: str = 'referees') -> pathlib.Path:
  """Returns the interpreter that has the referees.

  The venv is made beside its place and renamed when it is whole, so that two
  test processes, or one that is killed, leave no half of it.

  Args:
    name: of the venv in build/, and of the .txt beside this file that says
      what it has.
  """
  requirements = pathlib.Path(__file__).with_name(f'{name}.txt')
  place = _BUILD / name
  stamp = place / 'requirements.txt'
  wanted = requirements.read_text()
  if not stamp.is_file() or stamp.read_text() != wanted:
    _BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_BUILD) as folder:
      made = _make(pathlib.Path(folder) / name, requirements)
      (made / 'requirements.txt').write_text(wanted)
      _put_in_place(made, place, wanted)
  return place / 'bin' / 'python'


def _make(folder: pathlib.Path, requirements: pathlib.Path) -> pathlib.Path:
  subprocess.run([sys.executable, '-m', 'venv', folder], check=True)
  pip = [folder / 'bin' / 'python', '-m', 'pip', 'install', '--quiet']
  pip += ['--disable-pip-version-check', '-r', requirements]
  done = subprocess.run(pip, capture_output=True, text=True, check=False)
  assert done.returncode == 0, f'referees cannot be installed: {done.stderr}'
  return folder


def _put_in_place(made: pathlib.Path, place: pathlib.Path, wanted: str) -> None:
  stamp = place / 'requirements.txt'
  if place.exists() and (not stamp.is_file() or stamp.read_text() != wanted):
    shutil.rmtree(place)
  try:
    made.rename(place)
  except OSError:
    # Another test process was faster.
    assert stamp.read_text() == wanted
