"""Recordings in, heart rate out: the commands of BUILD.md on a small set.

What is checked is that the parts fit; a model trained for one epoch on one
person knows nothing.
"""

import concurrent.futures
import csv
import json
import signal
import subprocess
import sys
import time

import pytest

from rppg_tf import run_directory
from tests import commands


@pytest.fixture(scope='module')
def work(tmp_path_factory):
  """Renders subjects 101-105 (one for test, one for validation), builds."""
  work = tmp_path_factory.mktemp('work')
  commands.run_well(
    'tools.render_recordings',
    f'--output_dir={work / "recordings"}',
    '--num_recordings=5',
    '--duration_s=12',
    '--fps=30',
    '--seed=7',
  )
  built = commands.tfds_build(
    f'--manual_dir={work / "recordings"}', f'--data_dir={work / "data"}'
  )
  assert built.returncode == 0, built.stderr
  return work


def _train(work, run_name: str, *flags: str) -> list[str]:
  return [
    'rppg_tf.train',
    f'--data_dir={work / "data"}',
    f'--run_dir={work / run_name}',
    '--batch_size=1',
    *flags,
  ]


def _run_all(work, run_name: str, *flags: str) -> str:
  """Trains, quantises, emits, evaluates; returns the report's last line."""
  run_dir, data_dir = f'--run_dir={work / run_name}', f'--data_dir={work}/data'
  commands.run_well(*_train(work, run_name, '--epochs=1', *flags))
  commands.run_well(
    'tools.export_tflite', run_dir, data_dir, '--epochs=1', '--batch_size=1'
  )
  commands.run_well(
    'tools.emit_temporal_head', run_dir, f'--output_dir={work / run_name}'
  )
  commands.run_well('rppg_tf.evaluate', run_dir, data_dir)
  return commands.run_well('rppg_tf.report', run_dir)


@pytest.fixture(scope='module')
def pulse_run(work):
  """A finished run of the pulse head and its report's last line."""
  return work / 'pulse', _run_all(work, 'pulse')


def test_pulse_run_holds_all_that_was_promised(pulse_run):
  run_dir, last_line = pulse_run
  summary = json.loads((run_dir / 'summary.json').read_text())
  evaluation = json.loads((run_dir / 'evaluation.json').read_text())
  assert summary['tflite_bytes'] <= 16 * 1024
  assert summary['parameters'] == 17_527
  assert summary['c_head_max_abs_diff_bpm'] <= 1e-3
  assert summary['float_mae_bpm'] == evaluation['model']['mae_bpm']
  assert evaluation['int8_c']['windows'] in (2, 3)  # of 12 s
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
  _run_all(work, 'window', '--head=window', '--background=none')
  summary = json.loads((work / 'window' / 'summary.json').read_text())
  assert summary['parameters'] == 20_257
  assert summary['c_head_max_abs_diff_bpm'] <= 1.6e-5


def test_a_killed_training_resumes_from_its_last_epoch(work):
  words = _train(work, 'killed', '--epochs=4', '--clips_per_recording=4')
  history = work / 'killed' / 'history.csv'
  process = subprocess.Popen(
    [sys.executable, '-m', *words],
    cwd=commands.ROOT,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  deadline_s = time.monotonic() + 120
  while not history.exists() or len(history.read_text().splitlines()) < 2:
    assert process.poll() is None and time.monotonic() < deadline_s
    time.sleep(0.05)
  process.send_signal(signal.SIGKILL)
  process.wait()
  commands.run_well(*words)
  with history.open(newline='') as file:
    epochs = [int(row['epoch']) for row in csv.DictReader(file)]
  # The epoch that was cut off may stand twice, none may be missing.
  assert sorted(set(epochs)) == [0, 1, 2, 3]
  assert len(epochs) <= 5


def test_folds_test_every_subject(work):
  commands.run_well(
    *_train(work, 'fold', '--epochs=1', '--num_folds=5', '--fold=4')
  )
  split = run_directory.read_json(work / 'fold' / 'split.json')
  assert [len(split[name]) for name in ('train', 'validation', 'test')] == [
    3,
    1,
    1,
  ]
  assert len({*split['train'], *split['validation'], *split['test']}) == 5


def test_folds_pool_every_subject(work, tmp_path):
  flagfile = tmp_path / 'one_epoch.flags'
  flagfile.write_text('--epochs=1\n--batch_size=1\n')
  words = (
    'rppg_tf.evaluate',
    '--folds=3',
    f'--data_dir={work / "data"}',
    f'--run_dir={work / "folds"}',
    f'--train_flagfile={flagfile}',
    f'--json={work / "folds.json"}',
  )
  done = commands.run(*words, timeout_s=1800)
  assert done.returncode == 0, done.stderr
  assert '3 folds, test: 5 subjects never trained on' in done.stdout
  found = json.loads((work / 'folds.json').read_text())
  subjects = [f'subject{number}' for number in range(101, 106)]
  for name in ('model', 'pos', 'chrom', 'green', 'train_mean'):
    assert sorted(found[name]['per_subject']) == subjects
    assert found[name]['windows'] == found['model']['windows']
  assert found['folds'] == 3 and found['split_by'] == 'subject'
  with (work / 'windows.csv').open(newline='') as file:
    rows = list(csv.DictReader(file))
  means = {row['subject']: float(row['train_mean']) for row in rows}
  for fold in range(3):
    run_dir = work / 'folds' / f'fold{fold}'
    metrics = run_directory.read_json(run_dir / 'metrics.json')
    for tested in run_directory.read_json(run_dir / 'split.json')['test']:
      assert means[tested] == metrics['train_mean_bpm']
  assert len(set(means.values())) == 3


def test_a_split_by_window_says_so_everywhere(work, tmp_path):
  flagfile = tmp_path / 'leaky.flags'
  flagfile.write_text('--head=window\n--epochs=1\n--batch_size=1\n')
  run_dir = work / 'leaky'
  flags = (f'--data_dir={work / "data"}', f'--run_dir={run_dir}')
  done = commands.run(
    'rppg_tf.evaluate',
    '--split_by=window',
    f'--train_flagfile={flagfile}',
    *flags,
  )
  assert done.returncode == 0, done.stderr
  warning = 'every person in the test windows was trained on'
  # Before training and after it; above both tables.
  assert done.stderr.count(warning) == 2
  assert done.stdout.count(warning) == 2
  found = json.loads((run_dir / 'evaluation.json').read_text())
  assert found['split_by'] == 'window' and warning in found['warning']
  with (run_dir / 'windows.csv').open(newline='') as file:
    rows = list(csv.DictReader(file))
  assert {row['subject_was_trained_on'] for row in rows} == {'1.0'}
  assert found['model']['windows'] == len(rows) > 0
  commands.assert_refused(
    commands.run(
      'rppg_tf.train',
      '--split_by=window',
      f'--data_dir={work / "data"}',
      f'--run_dir={tmp_path / "pulse"}',
    ),
    'only with --head=window',
  )
  # Neither protocol's run is taken for the other's.
  commands.assert_refused(
    commands.run('rppg_tf.evaluate', *flags), 'trained with --split_by=window'
  )


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


@pytest.mark.parametrize(
  ('flags', 'part'),
  [
    (['--folds=5'], 'needs --run_dir'),
    (['--folds=5', '--run_dir=r'], 'needs --train_flagfile'),
    (['--folds=5', '--split=all'], '--split: not with --folds'),
    (['--folds=5', '--split_by=window'], 'not with --split_by=window'),
    (['--train_flagfile=f'], 'is for --folds'),
    (
      ['--folds=5', '--run_dir=r', '--train_flagfile=/no/file'],
      'training failed',
    ),
  ],
)
def test_flags_that_do_not_go_together_are_refused(work, flags, part):
  commands.assert_refused(
    commands.run('rppg_tf.evaluate', f'--data_dir={work}', *flags), part
  )


_REFUSED = {
  '--window=0': ['flag --window=0'],
  '--no_such_flag=1': ['no_such_flag'],
  '--head=none': ['--head=none'],
  '--num_folds=9': ['num_folds', '5'],
  '--data_dir=/nowhere': ['/nowhere', 'tfds build'],
  '--roi_geometry=original': ['tfds_ubfc/original', 'tfds build'],
  '--run_dir=/proc/run': ['/proc/run', 'cannot be written'],
  '--split_by=person': ['--split_by=person'],
}


def test_training_refuses(work):
  words = _train(work, 'refused', '--epochs=1')
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    all_done = pool.map(lambda flag: commands.run(*words, flag), _REFUSED)
  for (flag, parts), done in zip(_REFUSED.items(), all_done, strict=True):
    shown = done.stdout + done.stderr
    assert done.returncode != 0, flag
    assert 'Traceback' not in shown
    for part in parts:
      assert part in shown
  assert not (work / 'refused').exists()


def test_a_run_of_another_model_is_not_resumed(work, pulse_run):
  del pulse_run
  commands.assert_refused(
    commands.run(*_train(work, 'pulse', '--head=window')),
    'holds a run with --head=pulse, not window',
  )


def test_a_run_that_is_not_there(work):
  for module in ('tools.export_tflite', 'rppg_tf.evaluate'):
    done = commands.run(
      module, f'--run_dir={work / "none"}', f'--data_dir={work / "data"}'
    )
    commands.assert_refused(done, 'flags.json', 'not there')
