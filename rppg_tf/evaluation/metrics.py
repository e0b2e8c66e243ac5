"""Heart-rate errors as the field reports them; NumPy only."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rppg_tf.signals import spectrum

# Signal and noise of pulse_snr_db, after de Haan and Jeanne (2013).
SNR_SPAN_BPM = 6.0
SNR_BAND_BPM = (40, 240)

_BOOTSTRAP_DRAWS = 2000


def heart_rate_errors(
  reference_bpm: npt.ArrayLike, estimate_bpm: npt.ArrayLike
) -> dict[str, float]:
  """Summarises the errors over windows.

  Args:
    reference_bpm: float [windows], BPM.
    estimate_bpm: float [windows], BPM.

  Returns:
    {mae_bpm, rmse_bpm, mape_percent, pearson_r, pearson_r_standard_error,
    within_3_bpm_percent, within_5_bpm_percent, windows}; pearson_r and its
    error are NaN where they do not exist (one window, a constant estimate).
  """
  reference_bpm = np.asarray(reference_bpm, np.float64)
  estimate_bpm = np.asarray(estimate_bpm, np.float64)
  if reference_bpm.shape != estimate_bpm.shape or reference_bpm.size == 0:
    raise ValueError(
      'heart rates: expected two non-empty arrays of one shape, got '
      f'{reference_bpm.shape} and {estimate_bpm.shape}'
    )
  error_bpm = estimate_bpm - reference_bpm
  absolute_bpm = np.abs(error_bpm)
  correlation = pearson_r(reference_bpm, estimate_bpm)
  return {
    'mae_bpm': float(np.mean(absolute_bpm)),
    'rmse_bpm': float(np.sqrt(np.mean(error_bpm**2))),
    'mape_percent': float(100 * np.mean(absolute_bpm / reference_bpm)),
    'pearson_r': correlation,
    'pearson_r_standard_error': pearson_r_standard_error(
      correlation, error_bpm.size
    ),
    'within_3_bpm_percent': float(100 * np.mean(absolute_bpm <= 3)),
    'within_5_bpm_percent': float(100 * np.mean(absolute_bpm <= 5)),
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


def pearson_r_standard_error(correlation: float, num_windows: int) -> float:
  """Returns sqrt((1 - r^2) / (n - 2)), NaN for fewer than three windows.

  The usual figure, for independent windows. Windows that overlap, and those
  of one person, are not independent: the true error is larger.
  """
  if num_windows < 3:
    return float('nan')
  return float(np.sqrt(max(1 - correlation**2, 0.0) / (num_windows - 2)))


def bootstrap_mae_interval_bpm(
  absolute_error_bpm: np.ndarray,
  subject: Sequence[str] | np.ndarray,
  seed: int = 0,
) -> tuple[float, float]:
  """Returns the 95 % interval of the MAE by bootstrap over subjects.

  Subjects, not windows, are drawn with replacement (2,000 times, percentiles
  2.5 and 97.5; Efron 1979): people differ more than the windows of one.

  Args:
    absolute_error_bpm: float [windows], BPM.
    subject: name [windows], whose window it is.
    seed: same seed, same interval.

  Returns:
    (low, high) in BPM; NaN for fewer than two subjects.
  """
  names, index = np.unique(np.asarray(subject), return_inverse=True)
  if len(names) < 2:
    return float('nan'), float('nan')
  sums = np.bincount(index, weights=absolute_error_bpm)
  counts = np.bincount(index)
  draws = np.random.default_rng(seed).integers(
    len(names), size=(_BOOTSTRAP_DRAWS, len(names))
  )
  mae_bpm = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
  low, high = np.percentile(mae_bpm, (2.5, 97.5))
  return float(low), float(high)


def pulse_snr_db(
  pulse_windows: np.ndarray, reference_bpm: np.ndarray
) -> np.ndarray:
  """Returns how much of a pulse wave beats at the reference rate.

  Power within 6 BPM of the reference rate and of its double against the rest
  of 40-240 BPM (de Haan, Jeanne: "Robust pulse rate from chrominance-based
  rPPG", 2013), in the Hann-windowed spectrum at every BPM. A pure tone of 10 s
  at a known rate gives 12 dB (the rest is the window's main lobe), white noise
  about -9.

  Args:
    pulse_windows: float [windows, samples] on the 30 Hz grid.
    reference_bpm: float [windows], BPM.

  Returns:
    float64 [windows], dB; NaN for a wave that stands still or a rate that
    is unknown.
  """
  low, high = SNR_BAND_BPM
  rates_bpm = np.arange(low, high + 1, dtype=np.float64)
  power = spectrum.power(pulse_windows, rates_bpm)
  reference = np.asarray(reference_bpm, np.float64)[:, np.newaxis]
  is_signal = np.abs(rates_bpm - reference) <= SNR_SPAN_BPM
  is_signal |= np.abs(rates_bpm - 2 * reference) <= SNR_SPAN_BPM
  wanted = np.sum(power, axis=1, where=is_signal)
  rest = np.sum(power, axis=1, where=~is_signal)
  ratio = np.full(len(power), np.nan)
  np.divide(wanted, rest, out=ratio, where=(wanted > 0) & (rest > 0))
  return 10 * np.log10(ratio)
