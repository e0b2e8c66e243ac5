"""The exact commands for ST Edge AI Core, run by a tool that only listens."""

import pathlib

import pytest

from tests.support import commands

MODEL = commands.ROOT / 'rppg_tf/pretrained/spatial_int8.tflite'


def _fake_tool(path: pathlib.Path, exit_code: int) -> pathlib.Path:
  """Writes a stedgeai that notes its arguments; returns the note's path."""
  path.parent.mkdir(parents=True, exist_ok=True)
  note = path.with_suffix('.txt')
  path.write_text(
    f'#!/bin/sh\nprintf "%s\\n" "$@" > {note}\necho "ST Edge AI Core"\n'
    f'exit {exit_code}\n'
  )
  path.chmod(0o755)
  return note


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path, monkeypatch):
  monkeypatch.setenv('PATH', str(tmp_path / 'bin'))
  monkeypatch.delenv('STEDGEAI_CORE_DIR', raising=False)


def _run(action: str, output: pathlib.Path):
  return commands.run(
    'tools.st_edge_ai', action, f'--model={MODEL}', f'--output_dir={output}'
  )


def _arguments(action: str, output: pathlib.Path, *more: str) -> list[str]:
  return [
    action,
    *('--model', str(MODEL), '--target', 'stm32n6', '--name', 'network'),
    *more,
    *('--workspace', f'{output}/workspace', '--output', str(output)),
  ]


_GENERATE = (
  *('--st-neural-art', 'default@user_neuralart.json'),
  *('--input-data-type', 'int8', '--output-data-type', 'int8'),
)
_VALIDATE = ('--mode', 'target', '--desc', 'serial:921600')


@pytest.mark.parametrize(
  'action, more',
  [('analyze', ()), ('generate', _GENERATE), ('validate', _VALIDATE)],
)
def test_the_tool_on_path_gets_the_exact_command(tmp_path, action, more):
  note = _fake_tool(tmp_path / 'bin/stedgeai', exit_code=0)
  output = tmp_path / 'st'
  done = _run(action, output)
  assert done.returncode == 0, done.stderr
  assert note.read_text().splitlines() == _arguments(action, output, *more)
  assert done.stdout.splitlines()[-1] == 'ST Edge AI Core'
  assert output.is_dir()


def test_the_tool_s_exit_code_is_passed_on(tmp_path):
  _fake_tool(tmp_path / 'bin/stedgeai', exit_code=3)
  done = _run('analyze', tmp_path / 'st')
  assert done.returncode == 3
  assert done.stderr == ''


@pytest.mark.parametrize(
  'place',
  ['Utilities/linux/stedgeai', '2.2/Utilities/linux/stedgeai'],
)
def test_the_tool_is_found_below_core_dir(tmp_path, monkeypatch, place):
  core_dir = tmp_path / 'core'
  note = _fake_tool(core_dir / place, exit_code=0)
  monkeypatch.setenv('STEDGEAI_CORE_DIR', str(core_dir))
  assert _run('analyze', tmp_path / 'st').returncode == 0
  assert note.read_text().startswith('analyze\n')


def test_without_the_tool_the_command_is_printed(tmp_path, monkeypatch):
  monkeypatch.setenv('STEDGEAI_CORE_DIR', str(tmp_path))
  output = tmp_path / 'st'
  done = _run('generate', output)
  assert done.returncode == 4
  words = ['stedgeai', *_arguments('generate', output, *_GENERATE)]
  assert done.stdout.split() == words
  (line,) = done.stderr.splitlines()
  assert 'neither on PATH nor in $STEDGEAI_CORE_DIR' in line
  assert not output.exists()


def test_bad_words_are_refused(tmp_path):
  done = _run('flash', tmp_path)
  commands.assert_refused(done, 'analyze, generate, validate', 'got flash')
  done = commands.run('tools.st_edge_ai', 'analyze', '--model=none.tflite')
  commands.assert_refused(done, 'none.tflite: no such file')
