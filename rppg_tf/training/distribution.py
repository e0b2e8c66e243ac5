"""Training by several replicas at once, through tf.distribute.

Every replica sees the same stream of global batches and takes its part of
each, so that the steps are those of one process with that batch. No replica
is ever left without a clip: what layers make of an empty batch depends on the
processor (oneDNN's convolution gives it the channels of its input).
"""

import json
import os

from rppg_tf.errors import InputError
from rppg_tf.keras_compat import tf

KINDS = ('none', 'mirrored', 'multi_worker')

_CLUSTER = 'TF_CONFIG'


def strategy(kind: str, batch_size: int) -> tf.distribute.Strategy:
  """Returns how training is shared out; multi_worker waits for all workers.

  To be called before anything else of TensorFlow's.

  Args:
    kind: one of KINDS.
    batch_size: clips in a batch of all replicas together.

  Raises:
    InputError: multi_worker without a cluster in $TF_CONFIG; the batch cannot
      be shared out evenly.
  """
  if kind == 'multi_worker':
    _check_cluster(os.environ.get(_CLUSTER))
    chosen = tf.distribute.MultiWorkerMirroredStrategy()
  elif kind == 'mirrored':
    chosen = tf.distribute.MirroredStrategy()
  else:
    chosen = tf.distribute.get_strategy()
  # Uneven parts would weigh their clips differently.
  if batch_size % chosen.num_replicas_in_sync:
    raise InputError(
      f'--batch_size={batch_size}: must be a multiple of the '
      f'{chosen.num_replicas_in_sync} replicas'
    )
  return chosen


def _check_cluster(text: str | None) -> None:
  example = (
    '\'{"cluster": {"worker": ["host0:9000", "host1:9000"]}, '
    '"task": {"type": "worker", "index": 0}}\''
  )
  try:
    config = json.loads(text or '')
    workers, index = config['cluster']['worker'], config['task']['index']
  except (ValueError, KeyError, TypeError):
    raise InputError(
      f'--distribution=multi_worker: set ${_CLUSTER} for each worker, as '
      f'{example}'
    ) from None
  if config['task'].get('type') != 'worker' or index >= len(workers):
    raise InputError(
      f'${_CLUSTER}: task must be a worker of the {len(workers)} in cluster, '
      f'got {config["task"]}'
    )


def is_chief(chosen: tf.distribute.Strategy) -> bool:
  """Whether this process writes the run directory: worker 0, or the only."""
  resolver = chosen.cluster_resolver
  return resolver is None or not resolver.task_id


def sharded(batches: tf.data.Dataset) -> tf.data.Dataset:
  """Lets each replica take its part of every batch, not of the files.

  Args:
    batches: global ones, the same in every process.
  """
  options = tf.data.Options()
  options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.DATA
  )
  return batches.with_options(options)
