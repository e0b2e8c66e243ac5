"""What replicas get of clips, and the errors they come to, as JSON.

  python -m tests.support.replica_batches

The replicas are CPUs of one process. `validation`: for each number of clips and
replicas and each batch size the sizes of the parts of every batch, and label
and weight of each clip that weighs something. `training`: these sizes of five
recordings and four replicas. `errors`: loss and MAE of a validation of three
clips by one replica and by two.
"""

import dataclasses
import itertools
import json

import numpy as np
import tensorflow as tf

from rppg_tf.data import clips, pipeline
from rppg_tf.keras_compat import keras
from rppg_tf.model import network
from rppg_tf.training import distribution, objective
from tests.support import synthetic_examples

_MAX_REPLICAS = 4
_SHAPE = dataclasses.replace(
  clips.clip_shape('window', 8, 1), num_samples=14, num_frames=16
)


def _clips(num: int) -> tf.data.Dataset:
  """Encoded clips as clips.cut_clip gives them, each its own heart rate."""
  frames, samples = _SHAPE.num_frames, _SHAPE.num_samples
  windows = samples - _SHAPE.window + 1
  features = np.random.default_rng(1).normal(size=(num, frames, 52))
  sample = np.tile(np.arange(samples, dtype=np.int32), (num, 1))
  rates_bpm = np.repeat(60 + np.arange(num, dtype=np.float32), windows)
  return tf.data.Dataset.from_tensor_slices(
    (
      {
        'features': features.astype(np.float32),
        'older': sample,
        'newer': sample + 1,
        'fraction': np.zeros((num, samples), np.float32),
      },
      {'heart_rate_bpm': rates_bpm.reshape(num, windows)},
      {'heart_rate_bpm': np.ones((num, windows), np.float32)},
    )
  )


def _strategy(num_replicas: int) -> tf.distribute.Strategy:
  if num_replicas == 1:
    return tf.distribute.get_strategy()
  return tf.distribute.MirroredStrategy(
    [f'CPU:{index}' for index in range(num_replicas)]
  )


def _parts(strategy, batches: tf.data.Dataset) -> list:
  """(labels, weights) of each replica's windows, batch by batch."""
  shared = strategy.experimental_distribute_dataset(
    distribution.sharded(batches)
  )
  return [
    [
      (labels.numpy(), weights.numpy())
      for labels, weights in zip(
        strategy.experimental_local_results(targets['heart_rate_bpm']),
        strategy.experimental_local_results(weights['heart_rate_bpm']),
        strict=True,
      )
    ]
    for _, targets, weights in shared
  ]


def _kept(parts: list) -> list[tuple[float, float]]:
  """(label, weight) of every clip that weighs something."""
  every = [
    (float(label[0]), float(weight[0]))
    for batch in parts
    for labels, weights in batch
    for label, weight in zip(labels, weights, strict=True)
  ]
  return [(label, weight) for label, weight in every if weight]


def _outcome(num_clips: int, num_replicas: int, batch_size: int) -> dict:
  strategy = _strategy(num_replicas)
  batches = pipeline.validation_batches(
    _clips(num_clips), batch_size, num_replicas
  )
  parts = _parts(strategy, batches)
  return {
    'clips': num_clips,
    'replicas': num_replicas,
    'batch_size': batch_size,
    'sizes': [[len(labels) for labels, _ in batch] for batch in parts],
    'kept': _kept(parts),
  }


def _training_sizes() -> list[list[int]]:
  """Five recordings for four replicas: what each gets of each batch."""
  examples = [synthetic_examples.example(seed, 20) for seed in range(5)]
  recordings = pipeline.prepare(
    synthetic_examples.dataset(examples), 'normalise'
  )
  batches = pipeline.training_clips(recordings, _SHAPE, 4, 1, seed=1)
  parts = _parts(_strategy(4), batches)
  return [[len(labels) for labels, _ in batch] for batch in parts]


def _errors(num_replicas: int) -> list[float]:
  """Loss and MAE that Keras finds in three clips."""
  keras.utils.set_random_seed(1)
  with _strategy(num_replicas).scope():
    joined = network.build_head_network(network.build_head('window'))
    objective.compile_network(joined, 1e-3, 1, 1.0, 1.0)
  batches = pipeline.validation_batches(_clips(3), 4, num_replicas)
  found = joined.evaluate(
    distribution.sharded(batches), verbose=0, return_dict=True
  )
  return [found['loss'], found['heart_rate_bpm_mae_bpm']]


def main() -> None:
  """Prints all of it."""
  (cpu,) = tf.config.list_physical_devices('CPU')
  tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * _MAX_REPLICAS
  )
  every = itertools.product((1, 3, 5), range(2, _MAX_REPLICAS + 1), (1, 2))
  found = {
    'validation': [
      _outcome(num_clips, num_replicas, each * num_replicas)
      for num_clips, num_replicas, each in every
    ],
    'training': _training_sizes(),
    'errors': [_errors(num_replicas) for num_replicas in (1, 2)],
  }
  print(json.dumps(found))


if __name__ == '__main__':
  main()
