"""Times of frames as cameras give them, for the tests."""

import numpy as np


def measured(num_frames, seed):
  """Jitter, duplicates, a pause."""
  random = np.random.default_rng(seed)
  steps_s = random.choice([0.0, 0.017, 1 / 30, 0.05], num_frames)
  steps_s[num_frames // 2] = 1.7
  return 1000.25 + np.cumsum(steps_s)
