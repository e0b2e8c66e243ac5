"""The spectrum of a pulse wave as the model's head takes it; NumPy only.

Minus its mean, times a periodic Hann window, power of the Fourier sum at
chosen rates: see WaveSpectra in rppg_tf/model/pulse_head.py. Rates are not
bound to the 6 BPM bins of an FFT over 10 s, and the peak is interpolated.
"""

import functools

import numpy as np

from rppg_tf import contract

# Keeps the logarithm of an empty bin finite; relative to the window's mean.
_POWER_FLOOR = 1e-12


def power(windows: np.ndarray, rates_bpm: np.ndarray) -> np.ndarray:
  """Returns the power of each window at each rate.

  Args:
    windows: float [..., samples] on the 30 Hz grid.
    rates_bpm: float [rates], BPM.

  Returns:
    float64 [..., rates], in the square of the windows' unit.
  """
  windows = np.asarray(windows, np.float64)
  num_samples = windows.shape[-1]
  basis = _basis(num_samples, tuple(np.asarray(rates_bpm, np.float64)))
  windows = windows - np.mean(windows, axis=-1, keepdims=True)
  return np.abs(windows @ basis) ** 2


def peak_bpm(windows: np.ndarray) -> np.ndarray:
  """Returns the rate of the highest power between 40 and 180 BPM.

  The power is taken at the head's 71 rates, 2 BPM apart. The peak is the
  vertex of the parabola through the logarithms of the highest power and of
  its two neighbours; a peak at an end of the band is that end. A pure tone of
  10 s, alone in the spectrum, is read within 0.01 BPM.

  Args:
    windows: float [..., samples] on the 30 Hz grid.

  Returns:
    float64 [...], BPM.
  """
  rates = rates_bpm()
  density = power(windows, rates)
  mean = np.mean(density, axis=-1, keepdims=True)
  level = np.log(density + _POWER_FLOOR * mean + np.finfo(np.float64).tiny)
  peak = np.argmax(level, axis=-1)
  inner = np.clip(peak, 1, len(rates) - 2)

  def at(offset):
    index = (inner + offset)[..., np.newaxis]
    return np.take_along_axis(level, index, axis=-1)[..., 0]

  before, centre, after = at(-1), at(0), at(1)
  curvature = before - 2 * centre + after
  vertex = np.zeros(curvature.shape)
  inside = (peak == inner) & (curvature < 0)
  np.divide(before - after, 2 * curvature, out=vertex, where=inside)
  return rates[peak] + contract.RATE_STEP_BPM * vertex


def rates_bpm() -> np.ndarray:
  """Returns the rates of the head's spectrum, float32 [71]: 40, 42, ... 180."""
  steps = np.arange(contract.NUM_RATES, dtype=np.float32)
  return contract.MIN_RATE_BPM + contract.RATE_STEP_BPM * steps


@functools.lru_cache(maxsize=16)
def _basis(num_samples: int, rates: tuple[float, ...]) -> np.ndarray:
  """Returns complex128 [samples, rates]: the Hann window's Fourier terms."""
  sample = np.arange(num_samples)
  turns = np.outer(sample, rates) / (60 * contract.GRID_RATE_HZ)
  return _hann(num_samples)[:, np.newaxis] * np.exp(-2j * np.pi * turns)


def hann(num_samples: int) -> np.ndarray:
  """Returns the periodic Hann window, float32 [num_samples]."""
  return _hann(num_samples).astype(np.float32)


def _hann(num_samples: int) -> np.ndarray:
  return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(num_samples) / num_samples)


def fourier_basis() -> np.ndarray:
  """Returns cos and sin of every rate at every sample, float32 [300, 142].

  All phases are multiples of one turn / 900 (2 BPM at 30 Hz), so C computes
  the same numbers from a table of 900 cosines.
  """
  turn = 60 * contract.GRID_RATE_HZ
  rates = rates_bpm().astype(np.int64)
  steps = np.outer(np.arange(contract.WINDOW_SAMPLES), rates) % turn
  phase = 2 * np.pi * steps / turn
  return np.concatenate([np.cos(phase), np.sin(phase)], 1).astype(np.float32)
