"""Beat labels against the spectrum of the same PPG, window by window."""

from typing import NamedTuple

import numpy as np

from rppg_tf import contract
from rppg_tf.data import labels as heart_rate_labels
from rppg_tf.data import ubfc
from rppg_tf.errors import InputError

# Windows with fewer labelled frames than this are left out and counted.
MIN_LABELLED_SHARE = 0.5
# Zero-padding to 16,384 samples at 30 Hz: a bin each 0.11 BPM.
FFT_SAMPLES = 16_384


class LabelCheck(NamedTuple):
  """Labels of one recording against its spectrum.

  Attributes:
    difference_bpm: float64 (num_windows,), spectrum minus mean label.
    label_bpm: float32 (num_samples,), NaN where there is no label.
    num_left_out: windows with too few labels.
  """

  difference_bpm: np.ndarray
  label_bpm: np.ndarray
  num_left_out: int


def spectral_rate_bpm(window: np.ndarray, rate_hz: float) -> float:
  """Rate of the highest peak between 0.7 and 3.0 Hz.

  Linear trend removed, Hann window, zero-padded FFT.

  Args:
    window: (num_samples,) float, uniformly sampled.
    rate_hz: its sampling rate.

  Returns:
    BPM, to the nearest of 0.11 BPM bins at 30 Hz.
  """
  position = np.arange(len(window))
  window = window - np.polyval(np.polyfit(position, window, 1), position)
  magnitude = np.abs(np.fft.rfft(window * np.hanning(len(window)), FFT_SAMPLES))
  frequency_hz = np.fft.rfftfreq(FFT_SAMPLES, 1 / rate_hz)
  in_band = (frequency_hz >= heart_rate_labels.MIN_PULSE_HZ) & (
    frequency_hz <= heart_rate_labels.MAX_PULSE_HZ
  )
  return float(60 * frequency_hz[in_band][np.argmax(magnitude[in_band])])


def check_labels(ppg: np.ndarray, timestamp_s: np.ndarray) -> LabelCheck:
  """Labels and spectrum of one PPG, window by window.

  Args:
    ppg: (num_samples,) float.
    timestamp_s: (num_samples,) float, non-decreasing seconds.

  Returns:
    The comparison; windows are 10 s long and 1 s apart.
  """
  label_bpm = heart_rate_labels.heart_rate_per_frame(
    ppg, timestamp_s, timestamp_s
  )
  uniform, grid_s = heart_rate_labels.resample_uniformly(
    ppg, timestamp_s, contract.GRID_RATE_HZ
  )
  difference_bpm = []
  num_left_out = 0
  step = contract.WINDOW_STRIDE_S * contract.GRID_RATE_HZ
  for start in range(0, len(uniform) - contract.WINDOW_SAMPLES + 1, step):
    start_s = grid_s[start]
    inside = (timestamp_s >= start_s) & (
      timestamp_s < start_s + contract.WINDOW_S
    )
    labels = label_bpm[inside]
    if np.mean(np.isfinite(labels)) < MIN_LABELLED_SHARE:
      num_left_out += 1
      continue
    window = uniform[start : start + contract.WINDOW_SAMPLES]
    difference_bpm.append(
      spectral_rate_bpm(window, contract.GRID_RATE_HZ) - np.nanmean(labels)
    )
  return LabelCheck(np.array(difference_bpm), label_bpm, num_left_out)


def print_table(root: str) -> float:
  """Prints a row per recording; returns the mean difference in BPM."""
  print(
    'subject     windows  left out  labels NaN  mean BPM  deviation  '
    'mean |FFT - label|  bias'
  )
  mean_differences_bpm = []
  for path in ubfc.find_ground_truths(root):
    truth = ubfc.parse_ground_truth(path)
    try:
      check = check_labels(truth.ppg, truth.timestamp_s)
    except ValueError as error:
      raise InputError(f'{path}: {error}') from error
    if not len(check.difference_bpm):
      raise ubfc.RecordingError(
        f'{path}: no 10 s window with labels; give a longer recording'
      )
    mean_differences_bpm.append(np.abs(check.difference_bpm).mean())
    print(
      f'{path.parent.name:10} {len(check.difference_bpm):8} '
      f'{check.num_left_out:9} {100 * np.isnan(check.label_bpm).mean():9.1f} % '
      f'{np.nanmean(check.label_bpm):9.1f} {np.nanstd(check.label_bpm):10.1f} '
      f'{mean_differences_bpm[-1]:19.2f} {check.difference_bpm.mean():5.2f}'
    )
  mean_bpm = float(np.mean(mean_differences_bpm))
  print(
    f'mean |FFT rate - mean label| over {len(mean_differences_bpm)} '
    f'recordings: {mean_bpm:.2f} BPM'
  )
  return mean_bpm
