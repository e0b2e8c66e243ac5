"""Where ST Edge AI Core is installed, and how it is given paths.

The tool is looked for on PATH, below $STEDGEAI_CORE_DIR, and where ST's
installers and STM32CubeMX put it, on Windows' drives too where this system
is Linux under Windows (WSL).
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

CORE_DIR = 'STEDGEAI_CORE_DIR'
_NAMES = ('stedgeai', 'stedgeai.exe')
_INSTALLED = (
  '/opt/ST/STEdgeAI',
  '~/ST/STEdgeAI',
  '~/STM32Cube/Repository/Packs/STMicroelectronics/X-CUBE-AI',
  'C:/ST/STEdgeAI',
  '/mnt/c/ST/STEdgeAI',
  '/mnt/c/Users/*/STM32Cube/Repository/Packs/STMicroelectronics/X-CUBE-AI',
)
# Below the folder of one version, or of all.
_PLACES = ('Utilities/*', '*/Utilities/*')
# Folders of Utilities that come first, by system; others come last.
_PREFERRED = {
  'linux': ('linux', 'windows'),
  'darwin': ('macarm', 'mac'),
  'win32': ('windows',),
}
_DRIVE = re.compile(r'/mnt/([a-z])(?:/|$)')


def find_tool() -> str | None:
  """Path of the tool; None if it is not installed."""
  for name in _NAMES:
    on_path = shutil.which(name)
    if on_path:
      return on_path
  folder = os.environ.get(CORE_DIR)
  for place in [folder] if folder else _INSTALLED:
    tools = [
      tool
      for root in _folders(place)
      for below in _PLACES
      for name in _NAMES
      for tool in root.glob(f'{below}/{name}')
      if tool.is_file() and os.access(tool, os.X_OK)
    ]
    if tools:
      return str(max(tools, key=_rank))
  return None


def _folders(place: str) -> list[pathlib.Path]:
  """The folders that a place with at most one `*` stands for."""
  before, star, after = os.path.expanduser(place).partition('/*/')
  if not star:
    return [pathlib.Path(before)]
  return sorted(pathlib.Path(before).glob(f'*/{after}'))


def _rank(tool: pathlib.Path) -> tuple:
  """Higher for what this system can run, then for the newer version."""
  system, version = tool.parent.name, tool.parents[2].name
  preferred = _PREFERRED.get(sys.platform, ())
  numbers = tuple(int(number) for number in re.findall(r'\d+', version))
  place = preferred.index(system) if system in preferred else len(preferred)
  return system in preferred, numbers, -place


def path_for(tool: str | None, path: str) -> str:
  """A path as the tool understands it.

  A program of Windows that is started from Linux shares the current folder,
  so a path from there holds for both; one on another drive is written as
  Windows writes it.
  """
  if not (tool and tool.endswith('.exe')) or sys.platform == 'win32':
    return path
  absolute = os.path.abspath(path)
  if _drive(absolute) == _drive(os.getcwd()):
    return os.path.relpath(absolute)
  drive = _drive(absolute)
  if drive:
    rest = absolute.removeprefix(f'/mnt/{drive}') or '/'
    return drive.upper() + ':' + rest.replace('/', '\\')
  return _converted(absolute)


def _drive(path: str) -> str:
  """Letter of the Windows drive that a path of WSL is on; '' for none."""
  match = _DRIVE.match(path)
  return match[1] if match else ''


def _converted(path: str) -> str:
  """What WSL's own tool makes of a path; the path itself without the tool."""
  tool = shutil.which('wslpath')
  if not tool:
    return path
  done = subprocess.run(
    [tool, '-w', path], capture_output=True, text=True, check=False
  )
  return done.stdout.strip() or path
