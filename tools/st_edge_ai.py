"""Runs ST Edge AI Core on a model, with the right options for STM32N6.

  python -m tools.st_edge_ai analyze --model=build/run/spatial_int8.tflite
  python -m tools.st_edge_ai generate --model=build/run/spatial_int8.tflite
  python -m tools.st_edge_ai validate --model=build/run/spatial_int8.tflite

Every command compiles for the NPU: without --st-neural-art ST's tool would
compile for the Cortex-M55 and say so nowhere. After `analyze` and `generate`
the report is read, as tools.read_st_report does, and decides the exit code.
The tool's own exit code is passed on; without the tool the command is printed
and the exit code is 4. `validate` compares a board that runs ST's validation
firmware with the model, over the serial port.
"""

import json
import pathlib
import shlex
import subprocess
import sys

from absl import flags

from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from tools.n6 import st_edge_ai_paths, st_report_table

ACTIONS = ('analyze', 'generate', 'validate')
EXIT_NO_TOOL = 4
_TOOL = 'stedgeai'
_NAME = 'network'
_TYPES = ('int8', 'uint8', 'float32')
_SIGNALLED = 128
_DEVELOPER_CLOUD = (
  'or let the ST Edge AI Developer Cloud compile it, free of charge with an '
  'account: https://stedgeai-dc.st.com (choose STM32N6, then read its log '
  'with tools.read_st_report)'
)

_MODEL = flags.DEFINE_string(
  'model', None, 'INT8 TFLite file of tools.export_tflite.', required=True
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', 'build/st', 'Folder that the tool writes to.'
)
_SERIAL = flags.DEFINE_string(
  'serial', 'serial:921600', 'Port and baud rate of the board, for validate.'
)
_PROFILE = flags.DEFINE_string(
  'profile',
  None,
  "Profile of the NPU's compiler, e.g. n6-allmems-O3; default: the tool's "
  'own, or `default` of --neural_art_json.',
)
_NEURAL_ART_JSON = flags.DEFINE_string(
  'neural_art_json',
  None,
  'File with the profiles (user_neuralart.json of an ST project); default: '
  "the tool's own.",
)
_INPUT_TYPE = flags.DEFINE_enum(
  'input_data_type', 'int8', _TYPES, 'Type of the compiled input.'
)
_OUTPUT_TYPE = flags.DEFINE_enum(
  'output_data_type', 'int8', _TYPES, 'Type of the compiled output.'
)
for _name in ('neural_art_json', 'input_data_type', 'output_data_type'):
  # As ST's tool spells them.
  flags.DEFINE_alias(_name.replace('_', '-'), _name)


def main(words: list[str]) -> int:
  """Runs one action; returns the tool's exit code, or the report's."""
  if len(words) != 1 or words[0] not in ACTIONS:
    raise InputError(
      f'expected one of {", ".join(ACTIONS)}, got {" ".join(words) or "none"}'
    )
  if not pathlib.Path(_MODEL.value).is_file():
    raise InputError(
      f'{_MODEL.value}: no such file; run `python -m tools.export_tflite` first'
    )
  tool = st_edge_ai_paths.find_tool()
  options = _arguments(words[0], tool)
  if tool is None:
    print(
      f'{_TOOL} is neither on PATH nor in ${st_edge_ai_paths.CORE_DIR}: '
      f'install ST Edge AI Core (st.com) and run the command; '
      f'{_DEVELOPER_CLOUD}',
      file=sys.stderr,
    )
    print(shlex.join([_TOOL, *options]))
    return EXIT_NO_TOOL
  return _run(words[0], tool, options)


def _arguments(action: str, tool: str | None) -> list[str]:
  """The tool's arguments for one action."""

  def path(name: str) -> str:
    return st_edge_ai_paths.path_for(tool, name)

  words = [action, '--model', path(_MODEL.value), '--target', 'stm32n6']
  words += ['--name', _NAME, '--st-neural-art']
  profile = _PROFILE.value
  if _NEURAL_ART_JSON.value:
    profile = profile or 'default'
    check_profile(pathlib.Path(_NEURAL_ART_JSON.value), profile)
    words.append(f'{profile}@{path(_NEURAL_ART_JSON.value)}')
  elif profile:
    words.append(profile)
  words += ['--input-data-type', _INPUT_TYPE.value]
  words += ['--output-data-type', _OUTPUT_TYPE.value]
  if action == 'validate':
    words += ['--mode', 'target', '--desc', _SERIAL.value]
  workspace = str(pathlib.Path(_OUTPUT_DIR.value) / 'workspace')
  return [
    *words,
    *('--workspace', path(workspace), '--output', path(_OUTPUT_DIR.value)),
  ]


def check_profile(path: pathlib.Path, profile: str) -> None:
  """Refuses a file of profiles that lacks the one wanted.

  Raises:
    InputError: no file, no JSON of ST's form, or no such profile.
  """
  if not path.is_file():
    raise InputError(
      f"{path}: no such file; ST's projects have a user_neuralart.json each"
    )
  try:
    profiles = sorted(json.loads(path.read_text())['Profiles'])
  except (ValueError, KeyError, TypeError) as error:
    raise InputError(
      f'{path}: no JSON with "Profiles"; give ST\'s user_neuralart.json'
    ) from error
  if profile not in profiles:
    raise InputError(
      f'{path}: has no profile {profile}, but {", ".join(profiles) or "none"}'
    )


def _run(action: str, tool: str, options: list[str]) -> int:
  output_dir = pathlib.Path(_OUTPUT_DIR.value)
  output_dir.mkdir(parents=True, exist_ok=True)
  report = output_dir / f'{_NAME}_{action}_report.txt'
  report.unlink(missing_ok=True)
  print(shlex.join([tool, *options]), flush=True)
  code = subprocess.run([tool, *options], check=False).returncode
  if code or action == 'validate':
    return code if code >= 0 else _SIGNALLED - code
  if not report.is_file():
    raise InputError(f'{report}: not there, though {_TOOL} ended well')
  failures = st_report_table.print_and_judge(
    report, pathlib.Path(_MODEL.value), run=None
  )
  for failure in failures:
    print(f'error: {failure}', file=sys.stderr)
  return 1 if failures else 0


if __name__ == '__main__':
  run(main, takes_words=True)
