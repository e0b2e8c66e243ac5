"""What the Python API of the evaluation takes, returns and writes."""

import csv

import pytest

from rppg_tf import evaluation, files, run_directory
from rppg_tf.errors import InputError
from tests.support import untrained_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory):
  folder = untrained_run.write(tmp_path_factory.mktemp('evaluated') / 'run')
  split = {'train': ['subject101'], 'validation': ['subject105'], 'test': []}
  files.write_json(folder / run_directory.SPLIT, split)
  files.write_json(folder / 'metrics.json', {'train_mean_bpm': 73.0})
  return folder


def test_a_run_is_evaluated_and_nothing_trained(work, run_dir):
  before = {path.name for path in run_dir.iterdir()}
  weights = (run_dir / run_directory.HEAD_WEIGHTS).read_bytes()
  found = evaluation.evaluate(
    evaluation.EvaluateConfig(
      data_dir=str(work / 'data'), run_dir=str(run_dir), split='validation'
    )
  )
  assert set(found.rows['subject']) == {'subject105'}
  assert next(iter(found.summaries)) == 'model'
  assert found.summaries['green']['mae_bpm'] < 2
  # 66 BPM against 73.
  assert found.summaries['train_mean']['mae_bpm'] == pytest.approx(7, abs=0.5)
  assert found.text.startswith('validation: 1 subjects that chose')
  written = files.read_json(run_dir / run_directory.EVALUATION)
  assert set(written) == {*found.summaries, *found.about}
  assert written['green']['mae_bpm'] == found.summaries['green']['mae_bpm']
  with (run_dir / run_directory.WINDOWS).open(newline='') as file:
    assert len(list(csv.DictReader(file))) == len(found.rows)
  assert found.origins == {'subject105': 'unknown'}
  after = {path.name for path in run_dir.iterdir()}
  assert after - before == {
    run_directory.EVALUATION,
    run_directory.WINDOWS,
    run_directory.PROVENANCE,
    run_directory.CONFIDENCE,
  }
  assert (run_dir / run_directory.HEAD_WEIGHTS).read_bytes() == weights


def test_the_model_that_ships_is_evaluated_and_nothing_written(work):
  before = sorted(path.name for path in run_directory.PRETRAINED.iterdir())
  config = evaluation.EvaluateConfig(data_dir=str(work / 'data'))
  assert config.json_path is None and config.tested == 'all'
  found = evaluation.evaluate(config)
  assert len(found.summaries['model']['per_subject']) == 5
  after = sorted(path.name for path in run_directory.PRETRAINED.iterdir())
  assert after == before


def test_folds_are_folders_of_the_run():
  config = evaluation.EvaluateConfig(data_dir='d', run_dir='r', folds=2)
  assert [str(path) for path in config.run_dirs] == ['r/fold0', 'r/fold1']
  assert str(config.json_path) == 'r/evaluation.json'


@pytest.mark.parametrize(
  ('values', 'words'),
  [
    ({'folds': -1}, '--folds=-1: expected 0 or more'),
    ({'folds': 5}, 'needs --run_dir'),
    ({'folds': 5, 'split_by': 'window'}, 'not with --split_by=window'),
    ({'split_by': 'face'}, 'expected one of subject, window'),
    ({'split_by': 'window', 'split': 'test'}, 'says what is tested'),
    ({'split_by': 'window', 'recordings_dir': 'r'}, 'no such tables'),
    ({'split': 'exam'}, '--split=exam: expected one of train'),
  ],
)
def test_values_that_do_not_go_together_are_refused(values, words):
  with pytest.raises(InputError, match=words):
    evaluation.EvaluateConfig(data_dir='d', **values)
