"""Trains a tiny network for some steps; prints the loss of each as JSON.

  python -m tests.support.loss_curve KIND DTYPE

KIND is one of distribution.KINDS; two replicas of `mirrored` are two CPUs.
DTYPE is float32 or float64.
"""

import dataclasses
import json
import sys

import tensorflow as tf

from rppg_tf.data import clips, pipeline
from rppg_tf.keras_compat import keras
from rppg_tf.model import network
from rppg_tf.model.spatial_cnn import build_spatial_cnn
from rppg_tf.signals import background
from rppg_tf.training import distribution, objective
from tests.support import synthetic_examples

NUM_STEPS = 50
_BATCH_SIZE = 2
_SEED = 3


def losses(kind: str, dtype: str) -> list[float]:
  """Returns the loss of each step, the same whatever the kind."""
  strategy = distribution.strategy(kind, _BATCH_SIZE)
  keras.utils.set_random_seed(_SEED)
  keras.mixed_precision.set_global_policy(dtype)
  keras.backend.set_floatx(dtype)
  examples = [synthetic_examples.example(seed, 100) for seed in range(5)]
  recordings = pipeline.prepare(
    synthetic_examples.dataset(examples), 'normalise'
  )
  shape = dataclasses.replace(
    clips.clip_shape('window', 8, 1), num_samples=14, num_frames=16
  )
  batches = pipeline.training_clips(
    recordings.cache(), shape, _BATCH_SIZE, 4, _SEED
  )
  with strategy.scope():
    joined = network.build_network(
      build_spatial_cnn(synchronised=strategy.num_replicas_in_sync > 1),
      network.build_head('window'),
      background.input_quantisation('normalise'),
    )
    objective.compile_network(joined, 2e-3, NUM_STEPS, 1.0, 1.0)
  # An epoch a step: Keras logs the mean of an epoch's losses.
  history = joined.fit(
    distribution.sharded(batches.repeat()),
    steps_per_epoch=1,
    epochs=NUM_STEPS,
    verbose=0,
  )
  return history.history['loss']


if __name__ == '__main__':
  (cpu,) = tf.config.list_physical_devices('CPU')
  if sys.argv[1] == 'mirrored':
    tf.config.set_logical_device_configuration(
      cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
  print(json.dumps(losses(*sys.argv[1:])))
