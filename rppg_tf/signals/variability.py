"""Beats → heart-rate variability of 30 s and more: RMSSD, SDNN, mean RR.

Definitions of the Task Force (Circulation 93, 1996, "Heart rate variability"),
on intervals between beats of a pulse wave. Which intervals are used:

1. Both beats are believed: their quality is at least `beat_rate.MIN_QUALITY`.
2. The interval is no artefact. As Kubios HRV does (Lipponen and Tarvainen
   2019, "A robust algorithm for heart rate variability time series artefact
   correction using novel beat classification", J. Med. Eng. Technol. 43), its
   difference from the median of the 11 intervals around it is held against
   5.2 times the quartile deviation of such differences, here of the 91
   around it. Less than 20 ms is never an artefact (a pulse on a 30 Hz grid is
   no better known), and more than 30 % of the median always is (as in
   data/labels.py).

Artefacts are left out, not replaced. RMSSD uses successive intervals that are
both used. Noise of the beats' times adds to it: by 6 times their variance
before the root. NumPy only.
"""

from typing import NamedTuple

import numpy as np

from rppg_tf.signals import beat_rate
from rppg_tf.signals.beats import Beats

MIN_DURATION_S = 30.0
MIN_SHARE = 0.5

MEDIAN_INTERVALS = 11
SPREAD_INTERVALS = 91
QUARTILE_DEVIATIONS = 5.2
NEVER_S = 0.02


class Variability(NamedTuple):
  """Variability of a stretch of beats; NaN where it cannot be known.

  Attributes:
    rmssd_ms: root mean square of successive differences of the intervals.
    sdnn_ms: standard deviation of the intervals (of the sample: n - 1).
    mean_rr_ms: mean interval.
    num_intervals: that are used.
    share_used: of the beats' time, the part that used intervals cover.
  """

  rmssd_ms: float
  sdnn_ms: float
  mean_rr_ms: float
  num_intervals: int
  share_used: float


def variability(found: Beats) -> Variability:
  """Measures the variability of beats.

  Args:
    found: beats of at least 30 s. Of less, or if less than half of their time
      can be used, the result is NaN.
  """
  interval_s = np.diff(found.time_s)
  used = used_intervals(found)
  used_s = interval_s[used]
  duration_s = float(np.sum(interval_s))
  share = float(np.sum(used_s)) / duration_s if duration_s > 0 else 0.0
  change_s = np.diff(interval_s)[used[1:] & used[:-1]]
  if duration_s < MIN_DURATION_S or share < MIN_SHARE or len(change_s) < 2:
    return Variability(np.nan, np.nan, np.nan, len(used_s), share)
  return Variability(
    1000 * float(np.sqrt(np.mean(change_s**2))),
    1000 * float(np.std(used_s, ddof=1)),
    1000 * float(np.mean(used_s)),
    len(used_s),
    share,
  )


def used_intervals(found: Beats) -> np.ndarray:
  """Returns which intervals between the beats are used, bool [beats - 1]."""
  believed = found.quality >= beat_rate.MIN_QUALITY
  return believed[1:] & believed[:-1] & ~artefacts(np.diff(found.time_s))


def artefacts(interval_s: np.ndarray) -> np.ndarray:
  """Returns which intervals are artefacts, bool [intervals].

  Args:
    interval_s: float64 [intervals], consecutive.
  """
  if not len(interval_s):
    return np.zeros(0, bool)
  median_s = np.nanmedian(_around(interval_s, MEDIAN_INTERVALS), axis=1)
  deviation_s = interval_s - median_s
  low_s, high_s = np.nanpercentile(
    _around(deviation_s, SPREAD_INTERVALS), (25, 75), axis=1
  )
  limit_s = QUARTILE_DEVIATIONS * (high_s - low_s) / 2
  limit_s = np.maximum(limit_s, NEVER_S)
  limit_s = np.minimum(limit_s, beat_rate.MAX_MEDIAN_DEVIATION * median_s)
  return np.abs(deviation_s) > limit_s


def _around(values: np.ndarray, length: int) -> np.ndarray:
  """The `length` values around each, [values, length]; NaN beyond the ends."""
  padded = np.pad(values, length // 2, constant_values=np.nan)
  return np.lib.stride_tricks.sliding_window_view(padded, length)
