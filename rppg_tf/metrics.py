"""Heart-rate errors as the field reports them; NumPy only."""

import numpy as np


def heart_rate_errors(
  reference_bpm: np.ndarray, estimate_bpm: np.ndarray
) -> dict[str, float]:
  """Summarises the errors over windows.

  Args:
    reference_bpm: float [windows], BPM.
    estimate_bpm: float [windows], BPM.

  Returns:
    {mae_bpm, rmse_bpm, mape_percent, pearson_r, windows}; pearson_r is NaN
    where it does not exist (one window, or a constant estimate).
  """
  reference_bpm = np.asarray(reference_bpm, np.float64)
  estimate_bpm = np.asarray(estimate_bpm, np.float64)
  if reference_bpm.shape != estimate_bpm.shape or reference_bpm.size == 0:
    raise ValueError(
      'heart rates: expected two non-empty arrays of one shape, got '
      f'{reference_bpm.shape} and {estimate_bpm.shape}'
    )
  error_bpm = estimate_bpm - reference_bpm
  return {
    'mae_bpm': float(np.mean(np.abs(error_bpm))),
    'rmse_bpm': float(np.sqrt(np.mean(error_bpm**2))),
    'mape_percent': float(100 * np.mean(np.abs(error_bpm) / reference_bpm)),
    'pearson_r': pearson_r(reference_bpm, estimate_bpm),
    'windows': int(error_bpm.size),
  }


def pearson_r(first: np.ndarray, second: np.ndarray) -> float:
  """Returns Pearson's correlation, NaN where either input is constant."""
  first = first - np.mean(first)
  second = second - np.mean(second)
  norm = np.linalg.norm(first) * np.linalg.norm(second)
  # Constants leave rounding noise behind, not exact zeros.
  if norm <= 1e-9 * first.size:
    return float('nan')
  return float(first @ second / norm)
