"""INT8 CNNs for the tests: the one that ships, and fresh ones."""

import functools

import numpy as np

from rppg_tf import run_directory
from rppg_tf.keras_compat import keras
from rppg_tf.model.spatial_cnn import build_spatial_cnn
from rppg_tf.quantisation import convert
from rppg_tf.signals import background


def random_codes(num_images: int, seed: int = 1) -> np.ndarray:
  """int8 [num_images, 36, 36, 3] that look like normalised skin."""
  rng = np.random.default_rng(seed)
  codes = np.clip(rng.normal(-10, 30, (num_images, 36, 36, 3)), -128, 127)
  return codes.astype(np.int8)


def trained_cnn() -> keras.Model:
  """A CNN whose batch norm has seen data, with untrivial gamma and beta."""
  keras.utils.set_random_seed(1)
  cnn = build_spatial_cnn()
  rng = np.random.default_rng(2)
  for number in (1, 2, 3):
    norm = cnn.get_layer(f'norm{number}')
    gamma, beta, mean, variance = norm.get_weights()
    norm.set_weights(
      [
        rng.uniform(0.5, 1.5, gamma.shape),
        rng.normal(0, 0.3, beta.shape),
        rng.normal(0, 0.1, mean.shape),
        rng.uniform(0.02, 0.2, variance.shape),
      ]
    )
  return cnn


def shipped() -> bytes:
  """The file that ships."""
  return (run_directory.PRETRAINED / run_directory.INT8_MODEL).read_bytes()


@functools.cache
def aware(mode: str = 'normalise') -> bytes:
  """A CNN converted through quantisation-aware training, not fine-tuned."""
  quantisation = background.input_quantisation(mode)
  return convert.convert(
    convert.quantisation_aware(trained_cnn(), random_codes(96), quantisation)
  )


@functools.cache
def post_training(mode: str = 'normalise') -> bytes:
  """The same CNN, quantised after training."""
  quantisation = background.input_quantisation(mode)
  return convert.post_training(trained_cnn(), random_codes(100), quantisation)
