"""Runs ST Edge AI Core on a model, with the right options for STM32N6.

  python -m tools.st_edge_ai analyze --model=build/run/spatial_int8.tflite
  python -m tools.st_edge_ai generate --model=build/run/spatial_int8.tflite
  python -m tools.st_edge_ai validate --model=build/run/spatial_int8.tflite

The tool is ST's and comes with X-CUBE-AI or STEdgeAI-Core: it is looked for
on PATH, then below $STEDGEAI_CORE_DIR. Its output is shown as it comes and
its exit code passed on; without it the command is printed and the exit code
is 4. `validate` compares a board that runs ST's validation firmware with the
model, over the serial port.
"""

import os
import pathlib
import shlex
import shutil
import subprocess
import sys

from absl import flags

from rppg_tf.entry_point import run
from rppg_tf.errors import InputError

ACTIONS = ('analyze', 'generate', 'validate')
EXIT_NO_TOOL = 4
_TOOL = 'stedgeai'
_CORE_DIR = 'STEDGEAI_CORE_DIR'
# Where installers of 2.x to 4.x put it, below the folder of a version or of
# all versions.
_PLACES = (
  'Utilities/*/stedgeai',
  'Utilities/*/stedgeai.exe',
  '*/Utilities/*/stedgeai',
  '*/Utilities/*/stedgeai.exe',
)
_SIGNALLED = 128

_MODEL = flags.DEFINE_string(
  'model', None, 'INT8 TFLite file of tools.export_tflite.', required=True
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', 'build/st', 'Folder that the tool writes to.'
)
_SERIAL = flags.DEFINE_string(
  'serial', 'serial:921600', 'Port and baud rate of the board, for validate.'
)


def main(words: list[str]) -> int:
  """Runs one action; returns the tool's exit code."""
  if len(words) != 1 or words[0] not in ACTIONS:
    raise InputError(
      f'expected one of {", ".join(ACTIONS)}, got {" ".join(words) or "none"}'
    )
  if not pathlib.Path(_MODEL.value).is_file():
    raise InputError(
      f'{_MODEL.value}: no such file; run `python -m tools.export_tflite` first'
    )
  options = arguments(words[0], _MODEL.value, _OUTPUT_DIR.value, _SERIAL.value)
  tool = find_tool()
  if tool is None:
    print(
      f'{_TOOL} is neither on PATH nor in ${_CORE_DIR}: install ST Edge AI '
      'Core (st.com) and run',
      file=sys.stderr,
    )
    print(shlex.join([_TOOL, *options]))
    return EXIT_NO_TOOL
  pathlib.Path(_OUTPUT_DIR.value).mkdir(parents=True, exist_ok=True)
  print(shlex.join([tool, *options]), flush=True)
  code = subprocess.run([tool, *options], check=False).returncode
  return code if code >= 0 else _SIGNALLED - code


def arguments(
  action: str, model: str, output_dir: str, serial: str
) -> list[str]:
  """The tool's arguments for one action (ST's manual, 2.2).

  Args:
    action: one of `ACTIONS`.
    model: path of the TFLite file.
    output_dir: folder of the results; the workspace is inside.
    serial: the board's port as the tool names it, for 'validate'.
  """
  words = [action, '--model', model, '--target', 'stm32n6', '--name', 'network']
  if action == 'generate':
    words += ['--st-neural-art', 'default@user_neuralart.json']
    words += ['--input-data-type', 'int8', '--output-data-type', 'int8']
  if action == 'validate':
    words += ['--mode', 'target', '--desc', serial]
  workspace = str(pathlib.Path(output_dir) / 'workspace')
  return [*words, '--workspace', workspace, '--output', output_dir]


def find_tool() -> str | None:
  """Path of the tool; None if it is not installed."""
  on_path = shutil.which(_TOOL)
  core_dir = os.environ.get(_CORE_DIR)
  if on_path or not core_dir:
    return on_path
  for place in _PLACES:
    for path in sorted(pathlib.Path(core_dir).glob(place), reverse=True):
      if path.is_file() and os.access(path, os.X_OK):
        return str(path)
  return None


if __name__ == '__main__':
  run(main, takes_words=True)
