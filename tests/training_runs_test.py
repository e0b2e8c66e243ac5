"""Trainings that are killed, split in folds, or refused."""

import concurrent.futures
import csv
import time

import pytest

from rppg_tf import files
from tests.support import commands, untrained_run, worker_processes

pytestmark = pytest.mark.slow


def test_a_killed_training_of_a_fold_resumes_from_its_last_epoch(work):
  words = commands.train(
    work,
    'killed',
    '--epochs=3',
    '--num_folds=5',
    '--fold=4',
  )
  history = work / 'killed' / 'history.csv'
  with commands.start(*words) as command:
    _wait_for_an_epoch(history, command)
    command.kill()
  commands.run_well(*words)
  _assert_three_epochs(history)
  split = files.read_json(work / 'killed' / 'split.json')
  assert [len(split[name]) for name in ('train', 'validation', 'test')] == [
    3,
    1,
    1,
  ]
  assert len({*split['train'], *split['validation'], *split['test']}) == 5


def test_a_killed_worker_ends_the_others_and_their_run_resumes(work):
  words = commands.train(
    work,
    'workers',
    '--epochs=3',
    '--batch_size=2',
    '--distribution=multi_worker',
    '--cache=none',
  )
  history = work / 'workers' / 'history.csv'
  with worker_processes.start(2, *words) as (chief, other):
    _wait_for_an_epoch(history, other)
    other.kill()
    assert chief.ended(timeout_s=300).returncode != 0
  with worker_processes.start(2, *words) as workers:
    chief, other = (worker.ended(timeout_s=600) for worker in workers)
  assert chief.returncode == 0, chief.stderr
  assert chief.stdout.strip().splitlines()[-1].startswith('validation MAE')
  assert other.returncode == 0, other.stderr
  _assert_three_epochs(history)


def _wait_for_an_epoch(history, command):
  deadline_s = time.monotonic() + 600
  while not history.exists() or len(history.read_text().splitlines()) < 2:
    assert not command.has_ended() and time.monotonic() < deadline_s
    time.sleep(0.05)


def _assert_three_epochs(history):
  with history.open(newline='') as file:
    epochs = [int(row['epoch']) for row in csv.DictReader(file)]
  # The epoch that was cut off may stand twice, none may be missing.
  assert sorted(set(epochs)) == [0, 1, 2]
  assert len(epochs) <= 4


def test_a_table_of_predictions_teaches_both_phases(work):
  teacher = untrained_run.write(work / 'teacher', width=2)
  table = work / 'teacher.npz'
  last = commands.run_well(
    'tools.teacher_predictions',
    f'--teacher={teacher}',
    f'--data_dir={work / "data"}',
    f'--output={table}',
  )
  assert last == f'{table}: 1,725 rows of 5 recordings'
  commands.run_well(
    *commands.train(work, 'taught', '--epochs=1', '--head_epochs=1'),
    f'--teacher={table}',
  )
  metrics = files.read_json(work / 'taught' / 'metrics.json')
  assert metrics['parameters']['total'] == 16_309
  for name in ('history.csv', 'head_history.csv'):
    assert 'teacher_pulse_loss' in (work / 'taught' / name).read_text()


_REFUSED = {
  '--window=0': ['flag --window=0'],
  '--num_folds=9': ['num_folds', '5'],
  '--teacher=/nowhere.npz': ['/nowhere.npz', 'no such teacher'],
  '--data_dir=/nowhere': ['/nowhere', 'tfds build'],
  '--roi_geometry=original': ['tfds_ubfc/original', 'tfds build'],
  '--patch_recordings=2': ['--patch_recordings', '--head_epochs'],
  '--distribution=multi_worker': ['--distribution', '$TF_CONFIG'],
  '--run_dir=/proc/run': ['/proc/run', 'cannot be written'],
}


def test_training_refuses(work):
  words = commands.train(work, 'refused', '--epochs=1')
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    all_done = pool.map(lambda flag: commands.run(*words, flag), _REFUSED)
  for (flag, parts), done in zip(_REFUSED.items(), all_done, strict=True):
    shown = done.stdout + done.stderr
    assert done.returncode != 0, flag
    assert 'Traceback' not in shown
    for part in parts:
      assert part in shown
  assert not (work / 'refused').exists()
