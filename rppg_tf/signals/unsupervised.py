"""Unsupervised methods: GREEN, CHROM and POS on a mean RGB trace."""

import math

import numpy as np
from scipy import signal

from rppg_tf import contract
from rppg_tf.signals import resampling

# Of POS (Wang 2017: 32 frames at 20 Hz) and CHROM (de Haan 2013).
PROJECTION_WINDOW_S = 1.6

PROJECTION_SAMPLES = math.ceil(PROJECTION_WINDOW_S * contract.GRID_RATE_HZ)

_FILTER_ORDER = 3


def green(rgb: np.ndarray) -> np.ndarray:
  """GREEN: the green channel, band-passed.

  Verkruysse, Svaasand, Nelson: "Remote plethysmographic imaging using ambient
  light", Optics Express 16(26), 2008. Zero-phase Butterworth filter; the band
  is ours, 40-180 BPM.

  Args:
    rgb: float [samples, 3] on the 30 Hz grid, positive.

  Returns:
    float64 [samples], relative to the mean.
  """
  level = _checked(rgb)[:, 1]
  return -band_passed(level / np.mean(level) - 1)


def chrom(rgb: np.ndarray) -> np.ndarray:
  """CHROM: chrominance signals, combined so that motion cancels.

  De Haan, Jeanne: "Robust pulse rate from chrominance-based rPPG", IEEE
  Transactions on Biomedical Engineering 60(10), 2013. On RGB over its mean:

    X = 3 R - 2 G;  Y = 1.5 R + G - 1.5 B, both band-passed
    S = X - std(X) / std(Y) * Y, in Hann windows of 1.6 s, added with an
    overlap of 50 %

  The mean is that of the 1.6 s around each sample and the filter runs over
  the whole trace: at 40 BPM, 1.6 s are one period, too short to filter. Of the
  forms in use (filter in each window; 40-240 BPM; overlap of all but one
  sample) this was the most accurate on the 36 recordings of the demo: 0.62 BPM
  against 1.1-2.4.

  Args:
    rgb: float [samples, 3] on the 30 Hz grid, positive.

  Returns:
    float64 [samples], relative to the mean.
  """
  rgb = _checked(rgb)
  red, grn, blue = (rgb / _moving_mean(rgb) - 1).T
  x = band_passed(3 * red - 2 * grn)
  y = band_passed(1.5 * red + grn - 1.5 * blue)
  hop = PROJECTION_SAMPLES // 2
  # Half a window before and enough behind: every sample lies in two windows.
  padding = (hop, 2 * PROJECTION_SAMPLES)
  windows_x, windows_y = (
    np.lib.stride_tricks.sliding_window_view(
      np.pad(part, padding), PROJECTION_SAMPLES
    )[::hop]
    for part in (x, y)
  )
  tuned = windows_x - _ratio_of_deviations(windows_x, windows_y) * windows_y
  phase = 2 * np.pi * np.arange(PROJECTION_SAMPLES) / PROJECTION_SAMPLES
  tuned = tuned * (0.5 - 0.5 * np.cos(phase))
  return _overlap_add(tuned, hop)[hop : hop + len(rgb)]


def pos(rgb: np.ndarray) -> np.ndarray:
  """POS: projection on a plane orthogonal to the skin tone.

  Wang, den Brinker, Stuijk, de Haan: "Algorithmic principles of remote PPG",
  IEEE Transactions on Biomedical Engineering 64(7), 2017, algorithm 1. In
  every window of ceil(1.6 s * rate) samples, one sample apart, on RGB over
  the window's mean:

    S1 = G - B;  S2 = -2 R + G + B
    h = S1 + std(S1) / std(S2) * S2, minus its mean; all h are added up

  Args:
    rgb: float [samples, 3] on the 30 Hz grid, positive.

  Returns:
    float64 [samples], relative to the mean; of the opposite sign to h.
  """
  windows = np.lib.stride_tricks.sliding_window_view(
    _checked(rgb), PROJECTION_SAMPLES, axis=0
  )  # [windows, 3, samples]
  normal = windows / np.mean(windows, axis=-1, keepdims=True)
  red, grn, blue = normal[:, 0], normal[:, 1], normal[:, 2]
  s1 = grn - blue
  s2 = -2 * red + grn + blue
  h = s1 + _ratio_of_deviations(s1, s2) * s2
  h -= np.mean(h, axis=-1, keepdims=True)
  return -_overlap_add(h, 1) / PROJECTION_SAMPLES


def on_grid(
  rgb: np.ndarray, timestamp_s: np.ndarray, face_found: np.ndarray
) -> np.ndarray:
  """Brings a colour trace to the 30 Hz grid.

  Frames without a face, or whose region lies outside the image (zero), are
  bridged by a straight line in time; before the first and after the last
  good frame its colour is held.

  Args:
    rgb: float [frames, 3], grey levels.
    timestamp_s: float64 [frames], seconds, never decreasing.
    face_found: bool [frames].

  Returns:
    float64 [samples, 3].

  Raises:
    ValueError: there is no good frame.
  """
  good = np.asarray(face_found, bool) & np.all(rgb > 0, axis=1)
  if not np.any(good):
    raise ValueError(
      f'colour trace: expected a face in some of {len(rgb)} frames, got none; '
      'leave this recording out'
    )
  bridged = np.stack(
    [
      np.interp(timestamp_s, timestamp_s[good], channel[good])
      for channel in np.asarray(rgb, np.float64).T
    ],
    axis=1,
  )
  return resampling.to_grid(bridged, timestamp_s)


def _checked(rgb: np.ndarray) -> np.ndarray:
  rgb = np.asarray(rgb, np.float64)
  shape_fits = rgb.ndim == 2 and rgb.shape[1] == contract.NUM_CHANNELS
  if not shape_fits or len(rgb) < PROJECTION_SAMPLES or not np.all(rgb > 0):
    raise ValueError(
      f'colour trace: expected positive [at least {PROJECTION_SAMPLES}, 3], '
      f'got {rgb.shape}; give grey levels on the 30 Hz grid (on_grid)'
    )
  return rgb


def band_passed(values: np.ndarray) -> np.ndarray:
  """Zero-phase Butterworth filter, 40-180 BPM, over the whole trace."""
  band_hz = contract.MIN_RATE_BPM / 60, contract.MAX_RATE_BPM / 60
  sections = signal.butter(
    _FILTER_ORDER, band_hz, 'bandpass', fs=contract.GRID_RATE_HZ, output='sos'
  )
  return signal.sosfiltfilt(sections, values)


def _moving_mean(rgb: np.ndarray) -> np.ndarray:
  """Mean over the 1.6 s around each sample; the ends are held beyond."""
  half = PROJECTION_SAMPLES // 2
  padded = np.pad(rgb, ((half, half - 1), (0, 0)), mode='edge')
  return np.mean(
    np.lib.stride_tricks.sliding_window_view(
      padded, PROJECTION_SAMPLES, axis=0
    ),
    axis=-1,
  )


def _ratio_of_deviations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Returns std(first) / std(second) per window, 0 where that is not."""
  first = np.std(first, axis=-1, keepdims=True)
  second = np.std(second, axis=-1, keepdims=True)
  # Still colours leave rounding noise behind, not exact zeros.
  return np.divide(
    first, second, out=np.zeros_like(first), where=second > 1e-12
  )


def _overlap_add(windows: np.ndarray, hop: int) -> np.ndarray:
  """Adds windows [windows, samples] that start `hop` samples apart."""
  num_windows, length = windows.shape
  total = np.zeros((num_windows - 1) * hop + length)
  for sample in range(length):
    total[sample : sample + (num_windows - 1) * hop + 1 : hop] += windows[
      :, sample
    ]
  return total
