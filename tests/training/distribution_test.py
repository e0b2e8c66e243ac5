"""Steps shared out are the steps of one process."""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf

from rppg_tf.data import pipeline
from rppg_tf.errors import InputError
from rppg_tf.training import distribution
from tests.support import commands, loss_curve, worker_processes

pytestmark = pytest.mark.slow

_TIMEOUT_S = 1800
_TOLERANCE = 1e-4


@functools.cache
def _losses_of_one(kind: str, dtype: str) -> list[float]:
  done = commands.run(
    'tests.support.loss_curve', kind, dtype, timeout_s=_TIMEOUT_S
  )
  assert done.returncode == 0, done.stderr
  losses = json.loads(done.stdout.splitlines()[-1])
  assert len(losses) == loss_curve.NUM_STEPS
  # They say something only if something is learnt.
  assert np.mean(losses[-10:]) < np.mean(losses[:10])
  return losses


# float64: in float32 sums in another order part after some steps.
def test_two_replicas_take_the_steps_of_one():
  np.testing.assert_allclose(
    _losses_of_one('mirrored', 'float64'),
    _losses_of_one('none', 'float64'),
    rtol=0,
    atol=_TOLERANCE,
  )


# Two replicas sum in the order of two workers.
@pytest.mark.parametrize(
  ('kind', 'dtype'),
  [
    ('none', 'float64'),
    pytest.param('mirrored', 'float32', marks=pytest.mark.bench),
  ],
)
def test_two_workers_take_the_steps_of_one_process(kind, dtype):
  of_one = _losses_of_one(kind, dtype)
  words = ('tests.support.loss_curve', 'multi_worker', dtype)
  with worker_processes.start(2, *words) as workers:
    all_done = [worker.ended(_TIMEOUT_S) for worker in workers]
  for done in all_done:
    assert done.returncode == 0, done.stderr
    losses = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(losses, of_one, rtol=0, atol=_TOLERANCE)


# --- Validation -------------------------------------------------------------


@pytest.fixture(scope='module')
def shared_out() -> dict:
  """What tests.support.replica_batches prints."""
  done = commands.run('tests.support.replica_batches', timeout_s=_TIMEOUT_S)
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout.splitlines()[-1])


def test_no_replica_is_left_without_a_clip(shared_out):
  for outcome in shared_out['validation']:
    for parts in outcome['sizes']:
      assert len(parts) == outcome['replicas'], outcome
      assert min(parts) > 0, outcome
      assert sum(parts) == outcome['batch_size'], outcome
    num_batches = -(-outcome['clips'] // outcome['batch_size'])
    assert len(outcome['sizes']) == num_batches, outcome
  # Five recordings are one batch of four.
  assert shared_out['training'] == [[1, 1, 1, 1]]


def test_every_clip_counts_once_and_alike(shared_out):
  for outcome in shared_out['validation']:
    rates_bpm, weights = zip(*outcome['kept'], strict=True)
    expected = [60 + clip for clip in range(outcome['clips'])]
    assert sorted(rates_bpm) == expected, outcome
    # The mean over all clips of the batches is that over those that count.
    num_places = len(outcome['sizes']) * outcome['batch_size']
    np.testing.assert_allclose(
      weights, num_places / outcome['clips'], rtol=1e-6
    )


def test_the_errors_are_those_of_one_process(shared_out):
  of_one, *of_several = shared_out['errors']
  for errors in of_several:
    np.testing.assert_allclose(errors, of_one, rtol=1e-5)


@pytest.mark.parametrize(
  ('num_clips', 'weight', 'message'),
  [(0, 1.0, 'as long as a clip'), (2, 0.0, 'steady heart rate')],
)
def test_a_validation_of_nothing_is_refused(num_clips, weight, message):
  clip = ({}, {}, {'heart_rate_bpm': tf.fill([3], weight)})
  clips = tf.data.Dataset.from_tensors(clip).repeat(num_clips)
  for num_replicas in (1, 2):
    with pytest.raises(InputError, match=message):
      pipeline.validation_batches(clips, 2, num_replicas)


# --- Clusters ---------------------------------------------------------------

_WORKERS = '"cluster": {"worker": ["a:1", "b:1"]}'


@pytest.mark.parametrize(
  ('config', 'message'),
  [
    (None, r'set \$TF_CONFIG for each worker, as .*"index": 0'),
    ('{"cluster"', r'set \$TF_CONFIG'),
    (f'{{{_WORKERS}}}', r'set \$TF_CONFIG'),
    (
      f'{{{_WORKERS}, "task": {{"type": "worker", "index": 2}}}}',
      'task must be a worker of the 2 in cluster, got .*2',
    ),
    (
      f'{{{_WORKERS}, "task": {{"type": "ps", "index": 0}}}}',
      'task must be a worker .*ps',
    ),
  ],
)
def test_a_cluster_that_is_none_is_refused(monkeypatch, config, message):
  monkeypatch.delenv('TF_CONFIG', raising=False)
  if config is not None:
    monkeypatch.setenv('TF_CONFIG', config)
  with pytest.raises(InputError, match=message):
    distribution.strategy('multi_worker', batch_size=2)
