"""Beats of a window → its heart rate, and what of it can be believed.

Beats are counted over their time: the mean of the rates of single intervals
would grow with the jitter of noisy beats. Of the intervals of a window:

1. An interval is believable if its rate is within 30 % of that of the median
   interval, as in the labels (data/labels.py).
2. One that is within 15 % of 2, 3, ... medians spans as many beats. So do one
   that is too short and the next together, within 15 % of 1, 2, ...: an early
   beat and the pause after it, or a peak too many.
3. The others are doubted: their time does not count.
4. rate = beats / time of the intervals that are left, the parts of them that
   lie in the window. Before the first beat and after the last one the mean of
   the three intervals beside goes on, for at most 1 s more than itself.

NumPy only.
"""

import math
from typing import NamedTuple

import numpy as np

from rppg_tf import contract
from rppg_tf.signals import beats

MAX_MEDIAN_DEVIATION = 0.3
MAX_MULTIPLE_DEVIATION = 0.15
EDGE_INTERVALS = 3
# What they may go on for beyond themselves.
MAX_BEYOND_S = 1.0
# Fewer say nothing.
MIN_BEATS = 5
# Beats of less are not believed.
MIN_QUALITY = 0.5
# The interval in which a window begins is seen from its first beat on.
BEFORE_WINDOW_S = 1.5


class BeatRate(NamedTuple):
  """What the beats of a window say.

  Attributes:
    bpm: mean heart rate over the window; NaN if there are no five beats.
    newest_bpm: over the last five beats; NaN likewise.
    beats: those in the window.
    num_believed: beats of a quality of at least MIN_QUALITY.
    num_doubted: intervals that are no single beat's.
    coverage: share of the window that lies in believable intervals.
  """

  bpm: float
  newest_bpm: float
  beats: beats.Beats
  num_believed: int
  num_doubted: int
  coverage: float


def read_window(
  stream: beats.BeatStream, num_samples: int = contract.WINDOW_SAMPLES
) -> BeatRate:
  """Reads the rate of a stream's newest samples.

  Args:
    stream: has taken the samples up to the window's end.
    num_samples: of the window, at most 300; all of them, if there were fewer.
  """
  end_s = (stream.num_samples - 1) / contract.GRID_RATE_HZ
  start_s = max(end_s - (num_samples - 1) / contract.GRID_RATE_HZ, 0.0)
  return rate_between(beats.to_beats(stream.chain()), start_s, end_s)


def rate_between(found: beats.Beats, start_s: float, end_s: float) -> BeatRate:
  """Reads the rate of a stretch of time.

  Args:
    found: beats, from before the stretch on if possible.
    start_s, end_s: on the clock of the beats.
  """
  near = (found.time_s > start_s - BEFORE_WINDOW_S) & (found.time_s <= end_s)
  time_s = found.time_s[near]
  inside = beats.Beats(*(column[near][time_s >= start_s] for column in found))
  num_believed = int(np.sum(inside.quality >= MIN_QUALITY))
  interval_s = np.diff(time_s)
  num_beats = beats_spanned(interval_s)
  good = num_beats > 0
  covered_s = np.diff(np.clip(time_s, start_s, end_s))
  num_doubted = int(np.sum((num_beats != 1) & (covered_s > 0)))
  if len(inside.time_s) < MIN_BEATS or np.sum(good) < MIN_BEATS - 1:
    return BeatRate(math.nan, math.nan, inside, num_believed, num_doubted, 0.0)
  share = covered_s[good] / interval_s[good]
  counted, counted_s = share @ num_beats[good], np.sum(covered_s[good])
  edge, edge_s = _beyond_the_beats(
    interval_s[good] / num_beats[good], time_s[0] - start_s, end_s - time_s[-1]
  )
  newest = slice(1 - MIN_BEATS, None)
  newest_s = np.sum(interval_s[good][newest])
  return BeatRate(
    float(60 * (counted + edge) / (counted_s + edge_s)),
    float(60 * np.sum(num_beats[good][newest]) / newest_s),
    inside,
    num_believed,
    num_doubted,
    float(counted_s / (end_s - start_s)),
  )


def _beyond_the_beats(
  beat_s: np.ndarray, before_s: float, after_s: float
) -> tuple[float, float]:
  """Returns beats and time that the intervals at either end go on for.

  Args:
    beat_s: float64 [intervals], time from beat to beat.
    before_s, after_s: time before the first beat and after the last.
  """
  beats_beyond, time_s = 0.0, 0.0
  for room_s, beside_s in (
    (before_s, beat_s[:EDGE_INTERVALS]),
    (after_s, beat_s[-EDGE_INTERVALS:]),
  ):
    mean_s = float(np.mean(beside_s))
    used_s = min(max(room_s, 0.0), mean_s + MAX_BEYOND_S)
    beats_beyond += used_s / mean_s
    time_s += used_s
  return beats_beyond, time_s


def beats_spanned(interval_s: np.ndarray) -> np.ndarray:
  """Returns how many beats each interval stands for; 0 where it is doubted.

  Args:
    interval_s: float64 [intervals], consecutive.

  Returns:
    float64 [intervals]: a whole number, or a share of it where two intervals
    stand for that number together.
  """
  if not len(interval_s):
    return np.zeros(0)
  median_s = np.median(interval_s)
  single = _is_single(interval_s, median_s)
  if np.any(single):
    median_s = np.median(interval_s[single])
    single = _is_single(interval_s, median_s)
  spanned = np.where(single, 1.0, _multiple(interval_s / median_s))
  early = ~single & (interval_s < median_s)
  for index in np.flatnonzero(early[:-1]):
    pair_s = interval_s[index : index + 2]
    number = _multiple(np.sum(pair_s) / median_s)
    if number and early[index]:
      spanned[index : index + 2] = number * pair_s / np.sum(pair_s)
      early[index + 1] = False
  return spanned


def _is_single(interval_s: np.ndarray, median_s: float) -> np.ndarray:
  return np.abs(median_s / interval_s - 1) <= MAX_MEDIAN_DEVIATION


def _multiple(ratio: np.ndarray) -> np.ndarray:
  """Returns 1, 2, 3, ... where a ratio is within 15 % of that, otherwise 0."""
  number = np.maximum(np.rint(ratio), 1.0)
  return np.where(
    np.abs(ratio / number - 1) <= MAX_MULTIPLE_DEVIATION, number, 0.0
  )
