"""Pulse wave and what its spectrum says → the heart rate that is reported.

The rate is that of the beats where five of them are believed, and that of the
spectrum where not. Its signal quality is the probability that it is within
5 BPM of the labels: a logistic of what the spectrum's distribution gives its
own rate, and of the mean quality of the beats. The weights were fitted to the
waves of the shipped model on rendered faces and on patches of skin with and
without a pulse, apart from those that test it (docs/results.md, Beats).

NumPy only.
"""

import math
from typing import NamedTuple

import numpy as np

from rppg_tf import contract
from rppg_tf.signals import beat_rate
from rppg_tf.signals.beats import Beats, BeatStream, to_beats

# From here on five beats may do for a first rate.
MIN_WINDOW_S = 3

# Of 1, the spectrum's confidence and the mean quality of the beats.
QUALITY_WEIGHTS = (-4.5, 4.6, 6.1)
# Of 1 and the mean quality, before the spectrum has its 10 s.
EARLY_QUALITY_WEIGHTS = (-4.1, 9.4)


class Spectral(NamedTuple):
  """What a head's spectrum says of 10 s: BPM, and confidence in [0, 1]."""

  bpm: float
  confidence: float


class Reading(NamedTuple):
  """The heart rate over the newest 10 s, or less at first.

  Attributes:
    bpm: mean heart rate over the window.
    newest_bpm: over the last five beats; NaN if there are none.
    quality: signal quality in [0, 1]: how likely `bpm` is within 5 BPM.
    num_beats: believed beats in the window.
  """

  bpm: float
  newest_bpm: float
  quality: float
  num_beats: int


class PulseReader:
  """Reads a pulse wave that comes sample by sample.

  Attributes:
    beats: those found so far, each given out 1 s after it was.
  """

  def __init__(self):
    self._stream = BeatStream()
    self._found: list[Beats] = []

  @property
  def beats(self) -> Beats:
    """Beats so far, seconds from the first sample; each is 1 s late."""
    parts = [to_beats([]), *self._found]
    return Beats(*map(np.concatenate, zip(*parts, strict=True)))

  def push(self, pulse: np.ndarray) -> None:
    """Takes the next samples, float [samples] on the 30 Hz grid."""
    self._keep(self._stream.push(pulse))

  def finish(self) -> None:
    """Ends the wave: the beats of its last second are given out."""
    self._keep(self._stream.finish())

  def _keep(self, found: Beats) -> None:
    # The filter sees peaks before the wave begins.
    seen = found.time_s >= 0
    self._found.append(Beats(found.time_s[seen], found.quality[seen]))

  def read(self, spectral: Spectral | None = None) -> Reading | None:
    """Reads the samples up to now, the newest 10 s of them.

    Args:
      spectral: what the head says of the same 10 s; None before it says
        anything.

    Returns:
      None if neither beats nor spectrum say a rate.
    """
    rate = beat_rate.read_window(self._stream)
    if rate.num_believed >= beat_rate.MIN_BEATS and math.isfinite(rate.bpm):
      bpm, newest_bpm = rate.bpm, rate.newest_bpm
    elif spectral is not None:
      bpm, newest_bpm = spectral.bpm, math.nan
    else:
      return None
    quality = _quality(spectral, rate.beats.quality)
    return Reading(bpm, newest_bpm, quality, rate.num_believed)


def read_windows(
  pulse: np.ndarray, ends: np.ndarray, spectral: list[Spectral]
) -> list[Reading]:
  """Reads a whole wave at the ends of its windows, as PulseReader does.

  Args:
    pulse: float [samples] on the 30 Hz grid.
    ends: int [windows], the last sample of each window, rising.
    spectral: what the spectrum says of each.
  """
  reader = PulseReader()
  readings, start = [], 0
  for end, said in zip(ends, spectral, strict=True):
    reader.push(pulse[start : end + 1])
    start = end + 1
    reading = reader.read(said)
    assert reading is not None  # the spectrum always says a rate
    readings.append(reading)
  return readings


def first_rate_s(pulse: np.ndarray, min_quality: float) -> int | None:
  """Returns at which second the beats alone first say a rate, from 3 s on.

  Args:
    pulse: float [samples] on the 30 Hz grid.
    min_quality: signal quality from which a rate is reported, in [0, 1].

  Returns:
    None if they do not before the spectrum has its 10 s.
  """
  reader = PulseReader()
  for second in range(1, contract.WINDOW_S):
    end = second * contract.GRID_RATE_HZ
    reader.push(pulse[end - contract.GRID_RATE_HZ : end])
    reading = reader.read() if second >= MIN_WINDOW_S else None
    if reading is not None and reading.quality >= min_quality:
      return second
  return None


def _quality(spectral: Spectral | None, beat_quality: np.ndarray) -> float:
  mean = float(np.mean(beat_quality)) if len(beat_quality) else 0.0
  if spectral is None:
    logit = np.dot(EARLY_QUALITY_WEIGHTS, (1.0, mean))
  else:
    logit = np.dot(QUALITY_WEIGHTS, (1.0, spectral.confidence, mean))
  return 1 / (1 + math.exp(-logit))
