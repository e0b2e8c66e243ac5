"""Evaluation that trains: folds by subject, and the leaky split by window."""

import csv
import json

import pytest

from rppg_tf import files
from tests.support import commands

pytestmark = pytest.mark.slow


@pytest.mark.bench
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
    metrics = files.read_json(run_dir / 'metrics.json')
    for tested in files.read_json(run_dir / 'split.json')['test']:
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
      '/no/file',
    ),
  ],
)
def test_flags_that_do_not_go_together_are_refused(work, flags, part):
  commands.assert_refused(
    commands.run('rppg_tf.evaluate', f'--data_dir={work}', *flags), part
  )
