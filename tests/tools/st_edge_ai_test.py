"""The exact commands for ST Edge AI Core, run by a tool that only listens."""

import json
import os
import pathlib
import shutil

import pytest

from tests.support import commands
from tools.n6 import st_edge_ai_paths

pytestmark = pytest.mark.slow

MODEL = commands.ROOT / 'rppg_tf/pretrained/spatial_int8.tflite'
_FIXTURES = commands.ROOT / 'tests/support/st_reports'
_REPORT = _FIXTURES / 'network_generate_report.txt'
# Takes `--output DIR` and writes its report there, as the tool does.
_SCRIPT = """#!/bin/sh
printf "%s\\n" "$@" > {note}
echo "ST Edge AI Core"
action=$1
while [ $# -gt 1 ]; do
  if [ "$1" = --output ]; then output=$2; fi
  shift
done
[ -z "{report}" ] || {copy} {report} "$output/network_${{action}}_report.txt"
exit {exit_code}
"""


def _fake_tool(
  path: pathlib.Path,
  exit_code: int = 0,
  report: pathlib.Path | None = _REPORT,
) -> pathlib.Path:
  """Writes a stedgeai that notes its arguments; returns the note's path."""
  path.parent.mkdir(parents=True, exist_ok=True)
  note = path.with_suffix('.txt')
  path.write_text(
    _SCRIPT.format(
      note=note,
      report=report or '',
      copy=shutil.which('cp', path='/bin:/usr/bin'),
      exit_code=exit_code,
    )
  )
  path.chmod(0o755)
  return note


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path, monkeypatch):
  monkeypatch.setenv('PATH', str(tmp_path / 'bin'))
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.delenv('STEDGEAI_CORE_DIR', raising=False)


def _run(action: str, output: pathlib.Path, *more: str):
  return commands.run(
    'tools.st_edge_ai',
    action,
    f'--model={MODEL}',
    f'--output_dir={output}',
    *more,
  )


def _arguments(
  action: str, output: pathlib.Path, *more: str, profile: tuple = ()
) -> list[str]:
  return [
    action,
    *('--model', str(MODEL), '--target', 'stm32n6', '--name', 'network'),
    *('--st-neural-art', *profile),
    *('--input-data-type', 'int8', '--output-data-type', 'int8'),
    *more,
    *('--workspace', f'{output}/workspace', '--output', str(output)),
  ]


_VALIDATE = ('--mode', 'target', '--desc', 'serial:921600')


@pytest.mark.parametrize(
  'action, more',
  [('analyze', ()), ('generate', ()), ('validate', _VALIDATE)],
)
def test_the_tool_on_path_gets_the_exact_command(tmp_path, action, more):
  note = _fake_tool(tmp_path / 'bin/stedgeai')
  output = tmp_path / 'st'
  done = _run(action, output)
  assert done.returncode == 0, done.stderr
  assert note.read_text().splitlines() == _arguments(action, output, *more)
  assert done.stdout.splitlines()[1] == 'ST Edge AI Core'


# --- From command to table ---------------------------------------------------


@pytest.mark.parametrize('action', ['analyze', 'generate'])
def test_the_report_is_read_and_decides(tmp_path, action):
  _fake_tool(tmp_path / 'bin/stedgeai')
  output = tmp_path / 'st'
  done = _run(action, output)
  assert done.returncode == 0, done.stderr
  lines = [line.strip() for line in done.stdout.splitlines()]
  assert str(output / f'network_{action}_report.txt') in lines
  assert 'epochs        5: 5 in hardware, 0 in software, 0 in both' in lines
  _fake_tool(
    tmp_path / 'bin/stedgeai', report=_FIXTURES / 'software_epoch_report.txt'
  )
  done = _run(action, output)
  commands.assert_refused(done, '1 of 5 epochs in software')


def test_a_real_report_is_read(tmp_path):
  report = commands.n6_real('st_2.2.0_twin_generate_report.txt')
  _fake_tool(tmp_path / 'bin/stedgeai', report=report)
  done = _run('analyze', tmp_path / 'st')
  assert done.returncode == 0, done.stderr
  assert 'MACC          2,490,976' in done.stdout
  assert 'activations   9,072 B (8.859 kB)' in done.stdout


def test_a_report_of_an_earlier_run_is_not_read(tmp_path):
  output = tmp_path / 'st'
  _fake_tool(tmp_path / 'bin/stedgeai')
  assert _run('analyze', output).returncode == 0
  _fake_tool(tmp_path / 'bin/stedgeai', report=None)
  done = _run('analyze', output)
  commands.assert_refused(
    done, f'{output}/network_analyze_report.txt: not there'
  )


def test_the_tool_s_exit_code_is_passed_on(tmp_path):
  _fake_tool(tmp_path / 'bin/stedgeai', exit_code=3)
  done = _run('analyze', tmp_path / 'st')
  assert done.returncode == 3
  assert done.stderr == ''


# --- Profiles and types ------------------------------------------------------


def _profiles(tmp_path) -> pathlib.Path:
  path = tmp_path / 'user_neuralart.json'
  profiles = {'default': {}, 'n6-allmems-O3': {'options': '-O3'}}
  path.write_text(json.dumps({'Globals': {}, 'Profiles': profiles}))
  return path


def test_profile_file_and_types_are_handed_on(tmp_path):
  note = _fake_tool(tmp_path / 'bin/stedgeai')
  path = _profiles(tmp_path)
  output = tmp_path / 'st'
  for words, told in (
    (['--profile=n6-noextmem'], 'n6-noextmem'),
    ([f'--neural-art-json={path}'], f'default@{path}'),
    (
      [f'--neural_art_json={path}', '--profile=n6-allmems-O3'],
      f'n6-allmems-O3@{path}',
    ),
  ):
    assert _run('generate', output, *words).returncode == 0
    expected = _arguments('generate', output, profile=(told,))
    assert note.read_text().splitlines() == expected
  _run('generate', output, '--input-data-type=uint8')
  words = note.read_text().splitlines()
  assert words[words.index('--input-data-type') + 1] == 'uint8'


def test_a_profile_that_is_not_there_is_refused_before_the_call(tmp_path):
  note = _fake_tool(tmp_path / 'bin/stedgeai')
  path = _profiles(tmp_path)
  done = _run(
    'analyze', tmp_path, f'--neural_art_json={path}', '--profile=moon'
  )
  commands.assert_refused(done, 'has no profile moon, but default, n6-allmems')
  done = _run('analyze', tmp_path, '--neural_art_json=none.json')
  commands.assert_refused(done, 'none.json: no such file')
  done = _run('analyze', tmp_path, f'--neural_art_json={MODEL}')
  commands.assert_refused(done, 'no JSON with "Profiles"')
  assert not note.exists()


# --- Where the tool is -------------------------------------------------------


@pytest.mark.parametrize(
  'places, best',
  [
    (['Utilities/linux/stedgeai'], 0),
    (['2.2/Utilities/linux/stedgeai'], 0),
    (['9.1/Utilities/linux/stedgeai', '10.2/Utilities/linux/stedgeai'], 1),
    (['2.2/Utilities/linux/stedgeai', '2.2/Utilities/mac/stedgeai'], 0),
    (['2.2/Utilities/linux/stedgeai', '4.0/Utilities/mac/stedgeai'], 0),
    (
      [
        '4.0/Utilities/windows/stedgeai.exe',
        '4.0/Utilities/linux/stedgeai',
        '3.0/Utilities/linux/stedgeai',
      ],
      1,
    ),
    (['4.0/Utilities/windows/stedgeai.exe'], 0),
  ],
)
def test_the_newest_tool_of_this_system_is_taken(
  tmp_path, monkeypatch, places, best
):
  monkeypatch.setattr(st_edge_ai_paths.sys, 'platform', 'linux')
  for place in places:
    _fake_tool(tmp_path / 'core' / place)
  monkeypatch.setenv('STEDGEAI_CORE_DIR', str(tmp_path / 'core'))
  assert st_edge_ai_paths.find_tool() == str(tmp_path / 'core' / places[best])


def test_a_tool_that_the_installer_put_is_found(tmp_path):
  pack = 'STM32Cube/Repository/Packs/STMicroelectronics/X-CUBE-AI'
  tool = tmp_path / pack / '10.2.0/Utilities/linux/stedgeai'
  _fake_tool(tool)
  assert st_edge_ai_paths.find_tool() == str(tool)


def test_windows_own_tool_is_run_under_wsl(tmp_path, monkeypatch):
  core_dir = tmp_path / 'mnt/c/ST/STEdgeAI'
  note = _fake_tool(core_dir / '4.0/Utilities/windows/stedgeai.exe')
  monkeypatch.setenv('STEDGEAI_CORE_DIR', str(core_dir))
  output = tmp_path / 'mnt/c/project/st'
  done = _run('analyze', output)
  assert done.returncode == 0, done.stderr
  assert 'epochs        5: 5 in hardware' in done.stdout
  words = note.read_text().splitlines()
  # From the current folder, which Windows and WSL share.
  assert words[words.index('--model') + 1] == os.path.relpath(
    MODEL, commands.ROOT
  )
  assert words[words.index('--output') + 1] == os.path.relpath(
    output, commands.ROOT
  )


def test_windows_gets_its_own_paths_on_another_drive(monkeypatch, tmp_path):
  tool = '/mnt/c/ST/STEdgeAI/4.0/Utilities/windows/stedgeai.exe'
  path_for = st_edge_ai_paths.path_for
  assert path_for(tool, '/mnt/c/models/a.tflite') == r'C:\models\a.tflite'
  monkeypatch.setattr(st_edge_ai_paths.os, 'getcwd', lambda: '/mnt/c/project')
  assert path_for(tool, '/mnt/d/a.tflite') == r'D:\a.tflite'
  assert path_for(tool, '/home/me/a.tflite') == '/home/me/a.tflite'
  wslpath = tmp_path / 'bin/wslpath'
  wslpath.parent.mkdir()
  wslpath.write_text('#!/bin/sh\necho "W:$2"\n')
  wslpath.chmod(0o755)
  assert path_for(tool, '/home/me/a.tflite') == 'W:/home/me/a.tflite'
  assert path_for('/opt/stedgeai', '/mnt/d/a.tflite') == '/mnt/d/a.tflite'


def test_without_the_tool_the_command_is_printed(tmp_path, monkeypatch):
  monkeypatch.setenv('STEDGEAI_CORE_DIR', str(tmp_path))
  output = tmp_path / 'st'
  done = _run('generate', output)
  assert done.returncode == 4
  words = ['stedgeai', *_arguments('generate', output)]
  assert done.stdout.split() == words
  (line,) = done.stderr.splitlines()
  assert 'neither on PATH nor in $STEDGEAI_CORE_DIR' in line
  assert 'Developer Cloud' in line and 'free of charge' in line
  assert not output.exists()


def test_bad_words_are_refused(tmp_path):
  done = _run('flash', tmp_path)
  commands.assert_refused(done, 'analyze, generate, validate', 'got flash')
  done = commands.run('tools.st_edge_ai', 'analyze', '--model=none.tflite')
  commands.assert_refused(done, 'none.tflite: no such file')
