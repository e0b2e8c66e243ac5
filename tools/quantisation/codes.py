"""How many int8 codes a pulse moves each feature by.

A pulse that moves a feature by less than one code is lost in it, or lives in
the dither of noise alone.
"""

import dataclasses

import numpy as np
from scipy import signal

from rppg_tf.signals import resampling, unsupervised

_HIGHEST_CODE = 127
# The share of a feature's codes at the end of the range that is called out.
CLIPPED_PERCENT = 1.0


@dataclasses.dataclass(frozen=True)
class Usage:
  """What codes do in time; every array is float64 [features].

  Attributes:
    deviation_codes: standard deviation in time, mean of the recordings.
    range_codes: highest minus lowest, mean of the recordings.
    pulse_codes: peak to peak, of what goes with the reference PPG.
    clipped_percent: share of the codes at 127.
  """

  deviation_codes: np.ndarray
  range_codes: np.ndarray
  pulse_codes: np.ndarray
  clipped_percent: np.ndarray

  @property
  def is_dead(self) -> np.ndarray:
    """bool [features]: never moves."""
    return self.range_codes == 0

  @property
  def is_lost(self) -> np.ndarray:
    """bool [features]: moves, but the pulse by less than one code."""
    return ~self.is_dead & (self.pulse_codes < 1)

  @property
  def is_clipped(self) -> np.ndarray:
    """bool [features]: at the end of its range too often."""
    return self.clipped_percent > CLIPPED_PERCENT

  def summary(self) -> dict[str, float | int]:
    """Returns the figures of all features that are not dead, as JSON."""
    alive = ~self.is_dead
    return {
      'features': int(alive.size),
      'dead': int(np.sum(self.is_dead)),
      'pulse_below_one_code': int(np.sum(self.is_lost)),
      'clipped': int(np.sum(self.is_clipped)),
      'median_deviation_codes': _median(self.deviation_codes[alive]),
      'median_range_codes': _median(self.range_codes[alive]),
      'median_pulse_codes': _median(self.pulse_codes[alive]),
      'largest_pulse_codes': float(np.max(self.pulse_codes, initial=0.0)),
    }

  def as_json(self) -> dict:
    """Returns the summary and every array."""
    arrays = {
      field.name: getattr(self, field.name).tolist()
      for field in dataclasses.fields(self)
    }
    return {**self.summary(), 'per_feature': arrays}


def _median(values: np.ndarray) -> float:
  return float(np.median(values)) if values.size else 0.0


class Collector:
  """Gathers the usage of codes, a recording at a time."""

  def __init__(self):
    self._deviations, self._ranges = [], []
    self._responses, self._clipped = [], []

  def add(self, codes: np.ndarray, recording: dict) -> None:
    """Adds a recording.

    Args:
      codes: int8 [frames, features]; or float, means of codes.
      recording: with timestamp_s, float64 [frames], and ppg, float32
        [frames].
    """
    self._deviations.append(np.std(codes, axis=0, dtype=np.float64))
    self._ranges.append(np.ptp(codes.astype(np.float64), axis=0))
    self._clipped.append(100 * np.mean(codes == _HIGHEST_CODE, axis=0))
    self._responses.append(
      pulse_response(codes, recording['ppg'], recording['timestamp_s'])
    )

  def usage(self) -> Usage:
    """Returns the usage over all recordings added."""
    # The mean before the absolute value: noise has any phase and goes away.
    response = np.abs(np.mean(self._responses, axis=0))
    return Usage(
      np.mean(self._deviations, axis=0),
      np.mean(self._ranges, axis=0),
      response,
      np.mean(self._clipped, axis=0),
    )


def pulse_response(
  codes: np.ndarray, ppg: np.ndarray, timestamp_s: np.ndarray
) -> np.ndarray:
  """Returns how codes swing with the PPG, complex128 [features].

  Codes and PPG within 40-180 BPM; covariance with the PPG's analytic signal,
  so that a delay between finger and face costs nothing. The absolute value is
  the swing in codes, peak to peak of a sine; the angle is the delay.

  Args:
    codes: [frames, features].
    ppg: float [frames]; one that stands still has no response.
    timestamp_s: float64 [frames].
  """
  on_grid = resampling.to_grid(codes.astype(np.float32), timestamp_s)
  moving = unsupervised.band_passed(on_grid.T.astype(np.float64))
  reference = unsupervised.band_passed(
    resampling.to_grid(ppg, timestamp_s).astype(np.float64)
  )
  deviation = np.std(reference)
  if deviation < 1e-9:
    return np.zeros(len(moving), np.complex128)
  analytic = signal.hilbert(reference) / deviation
  covariance = moving @ np.conj(analytic) / len(analytic)
  return 2 * np.sqrt(2) * covariance


def mean_of_rois(codes: np.ndarray) -> np.ndarray:
  """Means over each ROI: [frames, 3, 36, 36, 3] → float64 [frames, 9]."""
  return codes.mean(axis=(2, 3), dtype=np.float64).reshape(len(codes), -1)
