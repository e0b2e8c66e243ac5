"""Pulse waves whose beats are known."""

import numpy as np

from rppg_tf import contract


def regular(bpm: float, duration_s: float, first_s: float = 0.4) -> np.ndarray:
  """Returns the beats of a constant rate, float64 [beats] seconds."""
  return np.arange(first_s, duration_s, 60 / bpm)


def wave_of_beats(
  beat_s: np.ndarray, duration_s: float, dicrotic: float = 0.0
) -> np.ndarray:
  """Returns a cosine with a maximum at each beat, float64 on the 30 Hz grid.

  Args:
    beat_s: float64 [beats], seconds, at least two.
    duration_s: seconds.
    dicrotic: amplitude of a second harmonic, which moves the maxima alike.
  """
  num_samples = round(duration_s * contract.GRID_RATE_HZ)
  time_s = np.arange(num_samples) / contract.GRID_RATE_HZ
  first_s, last_s = np.diff(beat_s)[[0, -1]]
  known_s = [
    *(beat_s[0] - first_s * np.arange(4, 0, -1)),
    *beat_s,
    *(beat_s[-1] + last_s * np.arange(1, 5)),
  ]
  angle = 2 * np.pi * np.interp(time_s, known_s, np.arange(len(known_s)))
  return np.cos(angle) + dicrotic * np.cos(2 * angle - 1.0)
