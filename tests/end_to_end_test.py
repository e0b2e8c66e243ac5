"""Recordings in, heart rate out: the commands of BUILD.md on a small set.

What is checked is that the parts fit; a model trained for one epoch on one
person knows nothing.
"""

import json

import pytest

from tests.support import commands

pytestmark = pytest.mark.slow


def _run_all(work, run_name: str, qat_epochs: int, *flags: str) -> str:
  """Trains, quantises, emits, evaluates; returns the report's last line."""
  run_dir, data_dir = f'--run_dir={work / run_name}', f'--data_dir={work}/data'
  commands.run_well(*commands.train(work, run_name, '--epochs=1', *flags))
  commands.run_well(
    *('tools.export_tflite', run_dir, data_dir),
    *(f'--epochs={qat_epochs}', '--batch_size=1'),
  )
  commands.run_well(
    'tools.emit_temporal_head', run_dir, f'--output_dir={work / run_name}'
  )
  commands.run_well('rppg_tf.evaluate', run_dir, data_dir)
  return commands.run_well('rppg_tf.report', run_dir)


@pytest.fixture(scope='module')
def pulse_run(work):
  """A finished run of the pulse head and its report's last line."""
  second = ('--head_epochs=1', '--patch_recordings=1')
  return work / 'pulse', _run_all(work, 'pulse', 1, *second)


def test_pulse_run_holds_all_that_was_promised(pulse_run):
  run_dir, last_line = pulse_run
  summary = json.loads((run_dir / 'summary.json').read_text())
  evaluation = json.loads((run_dir / 'evaluation.json').read_text())
  assert summary['tflite_bytes'] <= 16 * 1024
  assert summary['parameters'] == 16_309
  assert summary['c_head_max_abs_diff_bpm'] <= 1e-3
  assert summary['float_mae_bpm'] == evaluation['model']['mae_bpm']
  assert evaluation['int8_c']['windows'] in (2, 3)  # of 12 s
  # Both phases of training: a line of names, one of the only epoch.
  for history in ('history.csv', 'head_history.csv'):
    assert len((run_dir / history).read_text().splitlines()) == 2
  split = json.loads((run_dir / 'split.json').read_text())
  assert split['test'] == ['subject103']
  assert split['validation'] == ['subject105']
  assert 'float' in last_line and 'training mean' in last_line
  versions = json.loads((run_dir / 'versions.json').read_text())
  assert versions['tensorflow'] == '2.21.0'


def test_nothing_half_written_is_left(pulse_run):
  run_dir, _ = pulse_run
  assert [path.name for path in run_dir.iterdir() if path.name[0] == '.'] == []


def test_window_head_on_raw_pixels_runs_the_same_way(work):
  # It is fine-tuned in import_pytorch_weights_test.py.
  _run_all(work, 'window', 0, '--head=window', '--background=none')
  summary = json.loads((work / 'window' / 'summary.json').read_text())
  assert summary['parameters'] == 20_257
  assert summary['c_head_max_abs_diff_bpm'] <= 1.6e-5


def test_a_run_by_subject_is_not_taken_for_one_by_window(work, pulse_run):
  commands.assert_refused(
    commands.run(
      'rppg_tf.evaluate',
      '--split_by=window',
      f'--data_dir={work / "data"}',
      f'--run_dir={pulse_run[0]}',
    ),
    'trained with --split_by=subject, not window',
  )


def test_a_run_of_another_model_is_not_resumed(work, pulse_run):
  del pulse_run
  commands.assert_refused(
    commands.run(*commands.train(work, 'pulse', '--head=window')),
    'holds a run with --head=pulse, not window',
  )


def test_a_run_that_is_not_there(work):
  for module in ('tools.export_tflite', 'rppg_tf.evaluate'):
    done = commands.run(
      module, f'--run_dir={work / "none"}', f'--data_dir={work / "data"}'
    )
    commands.assert_refused(done, 'flags.json', 'not there')
