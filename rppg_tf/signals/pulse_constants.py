"""Constants of the pulse head that Keras, NumPy and C share."""

import math

import numpy as np

from rppg_tf import contract

# Layers of the pulse head that have weights, in order.
PULSE_LAYERS = ('pulse_conv1', 'pulse_conv2', 'pulse')
RATE_LAYERS = ('rate_conv1', 'rate_conv2', 'rate_conv3')
RATE_SKIP_LAYER = 'rate_skip'

KERNEL_SIZE = 5

# Added to the running variance. Features are about 0.1 wide: this only keeps
# a feature that stands still from being divided by zero.
VARIANCE_FLOOR = 1e-4

# Added to the relative power before its logarithm, so that an empty bin does
# not reach the network as minus infinity.
POWER_FLOOR = 1e-3
# Added to the mean power of a spectrum before dividing by it.
MEAN_POWER_FLOOR = 1e-12

# Parts of the waves of colour: 1.6 s (Wang 2017, de Haan 2013), every 0.4 s.
PART_SAMPLES = 48

PART_STRIDE = 12

# Added to a deviation that is divided by; chrominance is about 0.1 wide.
DEVIATION_FLOOR = 1e-3

# The confidence is the probability this close to the estimate: rates within
# 5 BPM count whole, from 7 BPM on not at all, linearly in between.
CONFIDENCE_SPAN_BPM = 6.0


def standardisation_weight() -> np.float32:
  """The share of a new sample in the running mean once it has settled."""
  samples = contract.STANDARDISATION_TIME_CONSTANT_S * contract.GRID_RATE_HZ
  # 1 minus a float32 is exact: weight and 1 - weight add up to 1, or a
  # constant feature would have another mean.
  return np.float32(1.0) - np.float32(math.exp(-1.0 / samples))


def confidence_limit_bpm() -> float:
  """Rates this far from the estimate, or farther, lend it no confidence."""
  return CONFIDENCE_SPAN_BPM + contract.RATE_STEP_BPM / 2
