"""The command check_n6: what it prints, writes and exits with."""

import json

import pytest

from tests.support import bad_models, commands
from tools.n6 import rule_table


@pytest.mark.slow
def test_the_command_prints_costs_and_passes_our_model(tmp_path):
  path = tmp_path / 'report.json'
  done = commands.run('tools.check_n6', bad_models.SHIPPED, f'--json={path}')
  assert done.returncode == 0, done.stderr
  lines = done.stdout.splitlines()
  row = next(line for line in lines if line.startswith('total'))
  assert row.split() == ['total', '2,426,112', '2,490,976', '9,904']
  assert (
    'pools: activations held by 1 of npuRAM3-6 (448 kB each), 1.98 % of it; '
    'weights 9,904 B in flash'
  ) in lines
  assert lines[-1] == (
    f'{bad_models.SHIPPED}: fit for STM32N6 (ST Edge AI 2.2 and 4.0); '
    'findings: 0 refused, 0 software, 0 notes'
  )
  (result,) = json.loads(path.read_text())['files']
  assert result['fit'] and result['findings'] == []
  assert result['verdicts'] == {'2.2': 'fit', '4.0': 'fit'}
  assert result['cost']['fused_peak_bytes'] == 9_072
  assert result['cost']['foretold_activation_bytes'] == 9_072
  assert len(result['rules']) == len(rule_table.RULES) + 1
  assert {rule['breaches'] for rule in result['rules']} == {0}
  assert [entry.name for entry in tmp_path.iterdir()] == ['report.json']


def _files(tmp_path, *names: str) -> list:
  for name in names:
    (tmp_path / name).write_bytes(bad_models.content(name))
  return [tmp_path / name for name in names]


@pytest.mark.slow
def test_the_exit_code_is_that_of_the_worst_file(tmp_path):
  fit, software, refused = _files(
    tmp_path, 'activations_of_24_mb', 'padded_channels', 'rank_6_constant'
  )
  report = tmp_path / 'report.json'
  done = commands.run(
    'tools.check_n6', software, fit, refused, '--json', report
  )
  assert done.returncode == 1
  assert 'Traceback' not in done.stderr
  assert 'refused max-rank: tensor 14' in done.stdout
  assert (
    'not held by npuRAM3-6 (4 x 448 kB) and cpuRAM2 (1 MB): external RAM'
  ) in done.stdout
  files = json.loads(report.read_text())['files']
  assert [result['verdict'] for result in files] == [
    'software',
    'fit',
    'refused',
  ]
  done = commands.run('tools.check_n6', fit, software)
  assert done.returncode == 2
  assert done.stdout.splitlines()[-1] == (
    f'{software}: in software in part (ST Edge AI 2.2 and 4.0); findings: 0 '
    'refused, 1 software, 0 notes'
  )


@pytest.mark.slow
def test_an_unreadable_file_is_refused_and_nothing_else_checked(tmp_path):
  report = tmp_path / 'report.json'
  done = commands.run(
    'tools.check_n6', *_files(tmp_path, 'jpeg'), '--json', report
  )
  assert done.returncode == 1
  assert 'refused readable-file: file: bytes 4 to 7' in done.stdout
  (result,) = json.loads(report.read_text())['files']
  assert not result['fit']
  assert result['rules'][1]['rule'] == 'well-formed'
  assert result['rules'][1]['breaches'] is None


@pytest.mark.slow
def test_flags_narrow_the_version_and_the_ends(tmp_path):
  (path,) = _files(tmp_path, 'kernel_5x5')
  done = commands.run('tools.check_n6', path)
  assert 'note conv-kernel-5: operator 0 CONV_2D' in done.stdout
  assert '(ST Edge AI 2.2)' in done.stdout
  done = commands.run('tools.check_n6', path, '--st-version=4.0')
  assert done.stdout.splitlines()[-1] == (
    f'{path}: fit for STM32N6 (ST Edge AI 4.0); findings: 0 refused, 0 '
    'software, 0 notes'
  )
  (path,) = _files(tmp_path, 'per_tensor_weights')
  assert commands.run('tools.check_n6', path).returncode == 0
  done = commands.run('tools.check_n6', path, '--ends=int8')
  assert done.returncode == 1
  assert 'refused per-channel-weights' in done.stdout


@pytest.mark.slow
def test_rules_are_printed_with_grades_and_evidence():
  done = commands.run('tools.check_n6', '--rules')
  assert done.returncode == 0
  lines = done.stdout.splitlines()
  assert (
    'pad-channels: 2.2 software, 3.0 software, 4.0 software, --ends=int8 '
    'refused'
  ) in lines
  assert 'conv-kernel-5: 2.2 note, 3.0 note, 4.0 -' in lines
  known = [line for line in lines if line.startswith('  known from: ')]
  assert len(known) == len(rule_table.RULES)


@pytest.mark.slow
def test_the_command_refuses_what_is_no_file(tmp_path):
  done = commands.run('tools.check_n6')
  commands.assert_refused(done, 'name a file')
  done = commands.run('tools.check_n6', tmp_path)
  commands.assert_refused(done, f'{tmp_path}: no such file')
