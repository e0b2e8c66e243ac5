"""Contact PPG and its measured time stamps -> heart rate at every frame.

UBFC's own heart rate (line 2 of ground_truth.txt) lags, smooths and is corrupt
in some subjects, so labels are always made here, from the beats of the PPG.
numpy and scipy only.
"""

import numpy as np
from scipy import signal

from rppg_tf import contract

# Fine enough that a parabola through three samples of a 0.7-3.0 Hz signal
# gives the beat to about a millisecond.
LABEL_GRID_RATE_HZ = 100
MIN_PULSE_HZ = 0.7
MAX_PULSE_HZ = 3.0
FILTER_ORDER = 2

# A beat. Prominence is relative to the deviation of the whole band-passed
# recording: a local scale would turn the noise of a lost sensor into beats.
MIN_BEAT_DISTANCE_S = 0.35
MIN_PROMINENCE_DEVIATIONS = 0.4
MIN_BEAT_WIDTH_S = 0.08
# Of the upper quartile of the prominences around: the dicrotic wave, which
# slow hearts show half a second after each beat, reaches about 0.15.
MIN_SHARE_OF_LOCAL_PROMINENCE = 0.3
LOCAL_PROMINENCE_S = 3.0

# An interval between beats.
MIN_RR_S = 0.3
MAX_RR_S = 1.5
LOCAL_MEDIAN_INTERVALS = 11
# Of the local median. Breathing alone moves real rates by 20-25 % (subjects 4
# and 14); a missed or an extra beat moves them by 50 % and more.
MAX_MEDIAN_DEVIATION = 0.3

# Shorter than this, the band-pass sees hardly two beats of 40 BPM.
MIN_DURATION_S = 3.0


def heart_rate_per_frame(
  ppg: np.ndarray,
  ppg_timestamp_s: np.ndarray,
  frame_timestamp_s: np.ndarray,
) -> np.ndarray:
  """Heart rate at each video frame from the beats of a contact PPG.

  The PPG is brought to a uniform grid, band-passed, its beats are found, and
  the rate of every believable interval is interpolated to the frames.
  Nothing is made up: where no believable beat is seen for more than
  `contract.MAX_BEAT_GAP_S` the rate is NaN.

  Args:
    ppg: (num_samples,) float, any unit and offset; a beat is a maximum.
    ppg_timestamp_s: (num_samples,) float, non-decreasing seconds. Repeated
      stamps, gaps and any mean rate are allowed.
    frame_timestamp_s: (num_frames,) float, seconds on the same clock.

  Returns:
    (num_frames,) float32 in BPM, within 40-160, or NaN.

  Raises:
    ValueError: wrong shape, non-finite values, decreasing times, or a PPG
      shorter than 3 s.
  """
  ppg, ppg_timestamp_s = _checked_ppg(ppg, ppg_timestamp_s)
  frame_timestamp_s = _checked_vector(frame_timestamp_s, 'frame_timestamp_s')
  beat_s, skipped_s = find_beats(ppg, ppg_timestamp_s)
  start_s, end_s = _believable_intervals(beat_s, skipped_s)
  return _interpolate(start_s, end_s, frame_timestamp_s)


def resample_uniformly(
  values: np.ndarray, timestamp_s: np.ndarray, rate_hz: float
) -> tuple[np.ndarray, np.ndarray]:
  """Brings unevenly sampled values to a uniform grid by linear interpolation.

  Values that share a stamp are averaged first.

  Args:
    values: (num_samples,) float.
    timestamp_s: (num_samples,) float, non-decreasing seconds.
    rate_hz: rate of the grid, which starts at the first stamp.

  Returns:
    values and times in seconds, both (num_grid_samples,) float64.
  """
  unique_s, index = np.unique(timestamp_s, return_inverse=True)
  mean = np.bincount(index, weights=values) / np.bincount(index)
  num_samples = int((unique_s[-1] - unique_s[0]) * rate_hz) + 1
  grid_s = unique_s[0] + np.arange(num_samples) / rate_hz
  return np.interp(grid_s, unique_s, mean), grid_s


def band_pass(values: np.ndarray, rate_hz: float) -> np.ndarray:
  """Zero-phase Butterworth band-pass of 0.7-3.0 Hz; same shape, float64."""
  sos = signal.butter(
    FILTER_ORDER,
    (MIN_PULSE_HZ, MAX_PULSE_HZ),
    btype='bandpass',
    fs=rate_hz,
    output='sos',
  )
  # One period of the lowest rate; SciPy's default of a few samples lets the
  # filter ring at both ends.
  pad = min(len(values) - 1, int(rate_hz / MIN_PULSE_HZ))
  return signal.sosfiltfilt(sos, values - values.mean(), padlen=pad)


def find_beats(
  ppg: np.ndarray, ppg_timestamp_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Times of the beats in a PPG.

  Args:
    ppg: (num_samples,) float.
    ppg_timestamp_s: (num_samples,) float, non-decreasing seconds.

  Returns:
    Times of the beats, and of peaks that were skipped because a higher one is
    less than 0.35 s away; float64 seconds, increasing, sub-sample resolution.
  """
  values, grid_s = resample_uniformly(ppg, ppg_timestamp_s, LABEL_GRID_RATE_HZ)
  pulse = band_pass(values, LABEL_GRID_RATE_HZ)
  deviation = pulse.std()
  # Rounding errors of a constant PPG are not beats.
  if deviation <= 1e-9 * max(1.0, np.abs(values).max()):
    return np.empty(0), np.empty(0)
  is_beat = {
    'prominence': MIN_PROMINENCE_DEVIATIONS * deviation,
    'width': MIN_BEAT_WIDTH_S * LABEL_GRID_RATE_HZ,
  }
  peaks, found = signal.find_peaks(pulse, **is_beat)
  peaks = peaks[_stands_out(peaks, found['prominences'])]
  apart, _ = signal.find_peaks(
    pulse, distance=MIN_BEAT_DISTANCE_S * LABEL_GRID_RATE_HZ, **is_beat
  )
  beats = np.intersect1d(peaks, apart)
  skipped = np.setdiff1d(peaks, apart)
  return _vertex_s(pulse, grid_s, beats), _vertex_s(pulse, grid_s, skipped)


def _stands_out(peaks: np.ndarray, prominences: np.ndarray) -> np.ndarray:
  """Whether each peak is a beat beside its neighbours, not an echo of one."""
  reach = LOCAL_PROMINENCE_S * LABEL_GRID_RATE_HZ
  first = np.searchsorted(peaks, peaks - reach)
  last = np.searchsorted(peaks, peaks + reach, side='right')
  local = [
    np.percentile(prominences[start:end], 75)
    for start, end in zip(first, last, strict=True)
  ]
  return prominences >= MIN_SHARE_OF_LOCAL_PROMINENCE * np.array(local)


def _vertex_s(
  pulse: np.ndarray, grid_s: np.ndarray, peaks: np.ndarray
) -> np.ndarray:
  """Vertex of the parabola through each peak and its neighbours, seconds."""
  before, at, after = pulse[peaks - 1], pulse[peaks], pulse[peaks + 1]
  curvature = before - 2 * at + after
  offset = np.divide(
    0.5 * (before - after),
    curvature,
    out=np.zeros_like(at),
    where=curvature < 0,
  )
  return grid_s[peaks] + offset / LABEL_GRID_RATE_HZ


def _believable_intervals(
  beat_s: np.ndarray, skipped_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Start and end of the intervals between beats that a heart can make."""
  start_s, end_s = beat_s[:-1], beat_s[1:]
  rr_s = end_s - start_s
  keep = (rr_s >= MIN_RR_S) & (rr_s <= MAX_RR_S)
  # Faster than 171 BPM every other beat is skipped: not half the rate.
  keep &= np.searchsorted(skipped_s, start_s) == np.searchsorted(
    skipped_s, end_s
  )
  rate_bpm = 60.0 / rr_s
  keep &= rate_bpm >= contract.MIN_LABEL_BPM
  keep &= rate_bpm <= contract.MAX_LABEL_BPM
  start_s, end_s, rate_bpm = start_s[keep], end_s[keep], rate_bpm[keep]
  half = LOCAL_MEDIAN_INTERVALS // 2
  median_bpm = np.array(
    [
      np.median(rate_bpm[max(0, i - half) : i + half + 1])
      for i in range(len(rate_bpm))
    ]
  )
  keep = np.abs(rate_bpm - median_bpm) <= MAX_MEDIAN_DEVIATION * median_bpm
  return start_s[keep], end_s[keep]


def _interpolate(
  start_s: np.ndarray, end_s: np.ndarray, frame_timestamp_s: np.ndarray
) -> np.ndarray:
  """Rates of intervals -> rate at each frame, NaN in gaps; float32."""
  if not len(start_s):
    return np.full(len(frame_timestamp_s), np.nan, np.float32)
  rate_bpm = np.interp(
    frame_timestamp_s, (start_s + end_s) / 2, 60.0 / (end_s - start_s)
  )
  # Last interval that starts at or before the frame, and the next one.
  index = np.searchsorted(start_s, frame_timestamp_s, side='right') - 1
  padded_end_s = np.concatenate((end_s, [-np.inf]))  # index -1: none before
  padded_start_s = np.concatenate((start_s, [np.inf]))  # none after
  previous_s, next_s = padded_end_s[index], padded_start_s[index + 1]
  inside = frame_timestamp_s <= previous_s
  # At either end only one side has a beat: distance to that one.
  previous_s = np.where(np.isfinite(previous_s), previous_s, frame_timestamp_s)
  next_s = np.where(np.isfinite(next_s), next_s, frame_timestamp_s)
  covered = inside | (next_s - previous_s <= contract.MAX_BEAT_GAP_S)
  return np.where(covered, rate_bpm, np.nan).astype(np.float32)


def _checked_ppg(
  ppg: np.ndarray, timestamp_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  ppg = _checked_vector(ppg, 'ppg')
  timestamp_s = _checked_vector(timestamp_s, 'ppg_timestamp_s')
  if len(ppg) != len(timestamp_s):
    raise ValueError(
      f'ppg and ppg_timestamp_s must be equally long, got {len(ppg)} and '
      f'{len(timestamp_s)}: give one time stamp per PPG sample'
    )
  if np.any(np.diff(timestamp_s) < 0):
    where = int(np.argmax(np.diff(timestamp_s) < 0)) + 1
    raise ValueError(
      'ppg_timestamp_s must not decrease, got '
      f'{timestamp_s[where - 1]:g} s then {timestamp_s[where]:g} s at sample '
      f'{where}: sort the samples by time'
    )
  duration_s = timestamp_s[-1] - timestamp_s[0] if len(timestamp_s) else 0.0
  if duration_s < MIN_DURATION_S:
    raise ValueError(
      f'ppg must be at least {MIN_DURATION_S:g} s long, got {duration_s:.3g} '
      's: give a longer recording, and its stamps in seconds'
    )
  return ppg, timestamp_s


def _checked_vector(values: np.ndarray, name: str) -> np.ndarray:
  values = np.asarray(values, np.float64)
  if values.ndim != 1:
    raise ValueError(
      f'{name} must have one dimension, got shape {values.shape}: pass one '
      'value per sample'
    )
  if not np.all(np.isfinite(values)):
    where = int(np.argmin(np.isfinite(values)))
    raise ValueError(
      f'{name} must be finite, got {values[where]} at sample {where}: remove '
      'or interpolate it'
    )
  return values
