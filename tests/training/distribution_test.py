"""Steps shared out are the steps of one process."""

import functools
import json

import numpy as np
import pytest

from rppg_tf.errors import InputError
from rppg_tf.training import distribution
from tests.support import commands, loss_curve, worker_processes

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
  workers = worker_processes.start(
    2, 'tests.support.loss_curve', 'multi_worker', dtype
  )
  outputs = [worker.communicate(timeout=_TIMEOUT_S) for worker in workers]
  for worker, (output, errors) in zip(workers, outputs, strict=True):
    assert worker.returncode == 0, errors
    losses = json.loads(output.splitlines()[-1])
    np.testing.assert_allclose(losses, of_one, rtol=0, atol=_TOLERANCE)


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
