"""Tables by which the emitted pulse head takes its spectra; NumPy only.

The band ends at 3 Hz, the grid's samples come at 30 Hz: of the Hann-windowed
wave every third sample says all, once a low-pass has removed what would fold
into the band. What both take from each rate's power is given back to it.
"""

import numpy as np

from rppg_tf import contract
from rppg_tf.signals import spectrum

# Every how many samples one is kept, and how many of those kept a sample
# reaches: a low-pass of 24 taps.
THINNING = 3
LOW_PASS_SPAN = 8


def num_thinned() -> int:
  """Returns how many thinned samples hold a window, rounded up to even."""
  assert contract.WINDOW_SAMPLES % THINNING == 0
  num = contract.WINDOW_SAMPLES // THINNING + LOW_PASS_SPAN - 1
  return num + num % 2


def tables() -> dict[str, np.ndarray]:
  """Returns the tables by their names in C.

  Returns:
    rising_hann: the periodic window up to its middle, float32 [151].
    low_pass: what a group's samples add to the thinned samples from the
      group's own on, float32 [THINNING, LOW_PASS_SPAN].
    rate_cosines: of a rate's angle per thinned sample, float32 [72], the last
      of no rate.
    thinning_loss: power before by power after, float32 [71].
  """
  taps = _low_pass_taps()
  hann = spectrum.hann(contract.WINDOW_SAMPLES)
  angles = 2 * np.pi * spectrum.rates_bpm() / (60 * contract.GRID_RATE_HZ)
  cosines = np.cos(THINNING * angles)
  padding = np.zeros(-contract.NUM_RATES % 4)
  response = np.exp(-1j * np.outer(angles, np.arange(len(taps)))) @ taps
  return {
    'rising_hann': hann[: contract.WINDOW_SAMPLES // 2 + 1],
    'low_pass': taps.reshape(LOW_PASS_SPAN, THINNING)[:, ::-1].T,
    'rate_cosines': np.append(cosines, padding).astype(np.float32),
    'thinning_loss': (THINNING**2 / np.abs(response) ** 2).astype(np.float32),
  }


def _low_pass_taps() -> np.ndarray:
  """Returns a Dolph-Chebyshev window of gain 1 at 0 Hz, float32 [24].

  Dolph 1946, "A current distribution for broadside arrays which optimizes the
  relationship between beam width and side-lobe level": it stops where the
  first frequency folds into the band, 7 Hz. What folds onto a rate is 139 dB
  below that rate at worst.
  """
  num_taps = THINNING * LOW_PASS_SPAN
  stop = 1 / THINNING - contract.MAX_RATE_BPM / (60 * contract.GRID_RATE_HZ)
  turns = np.arange(num_taps) / num_taps
  polynomial = np.polynomial.Chebyshev.basis(num_taps - 1)
  gain = polynomial(np.cos(np.pi * turns) / np.cos(np.pi * stop))
  delays = np.arange(num_taps) - (num_taps - 1) / 2
  taps = np.cos(2 * np.pi * np.outer(delays, turns)) @ gain
  return (taps / np.sum(taps)).astype(np.float32)
