"""Pulse wave → beats, intervals and heart rate, one grid sample at a time.

A spectrum over 10 s shows one rate; a heart has another at every beat. Here
the beats themselves are found, causally and in bounded memory, in a form that
C computes the same way. Positions and intervals are in samples of the 30 Hz
grid (1/30 s). For each sample x of the wave:

1. FILTER: y = sum of TAPS[k] * x[n - k], 31 taps. That is the zero-phase
   0.7-3.0 Hz filter by which the labels define a beat (data/labels.py), cut
   to 1 s: y belongs to the wave 15 samples ago.
2. SCALE: a running mean of y * y, time constant 3 s. g = y / its root, clipped
   to +-2.5, so that a jerk of the head passes soon.
3. WITNESS: 32 resonators, z = z * turn + g, of 40 * 2**(k / 14) BPM with a
   memory of 4 s. Power |z|**2, plus 0.6 of the power an octave above (a slow
   heart's second harmonic can exceed its first). The interval expected is
   that of the highest; the parabola through it and its neighbours gives the
   fraction. Its purity is the share of the power that lies there, one
   resonator to either side included, and an octave above.
4. PEAK: where y[n - 1] exceeds y[n - 2] and is not below y[n], there is a
   candidate, at the vertex of their parabola. Its level is its rise from the
   trough before, over the rise that a sine of that scale has; it is at least
   0.15. The last 48 candidates are kept, each with what the witness said then.
5. CHAIN: which candidates are beats. Dynamic programming (Ellis 2007, "Beat
   tracking by dynamic programming"): the score of a candidate is its level,
   1 at most, plus the best score of any of the 8 candidates before it
   minus the cost of the interval d between the two,

     10 * (d / T - 1)**2 / (d / T) + 5 * (d / P - 1)**2 / (d / P),

   3 at most where d > T: T is the interval expected, P the last one of the
   chain so far, if within a third of T. ((r - 1)**2 / r is log(r)**2 for r
   near 1, without a logarithm.) T is what the witness said 1 s later, as far
   as that is known, for the witness lags. The chain ends in the highest score
   of the last 1.2 T.
6. BEAT: a candidate that is 1 s old and in the chain of the last 16 is a beat,
   for good. Its quality is the probability that it is one within 75 ms, by a
   logistic of purity, level and |d / T - 1| (QUALITY_WEIGHTS).

The chain goes on to the newest sample: the last 15, whose filter would need
what comes, are filtered as if the wave stood still from now on. So a beat is
final 1 s after it was, given out once, whatever the wave does later, and a
window is read up to now (signals/beat_rate.py).

NumPy only.
"""

import copy
import math
from typing import NamedTuple

import numpy as np

from rppg_tf import contract

# One half of the filter, from its centre on; it is symmetric, and its sum 0.
# tests/signals/beats_test.py derives them.
_HALF_TAPS = (
  *(0.159276, 0.138988, 0.088960, 0.031399, -0.015988, -0.045294),
  *(-0.056616, -0.054709, -0.045696, -0.034777, -0.025196, -0.018237),
  *(-0.013801, -0.011137, -0.009425, -0.008109),
)
TAPS = np.array([*_HALF_TAPS[:0:-1], *_HALF_TAPS])
FILTER_DELAY = len(_HALF_TAPS) - 1
# Samples from a beat to the push that gives it out.
LAG = contract.GRID_RATE_HZ

SCALE_WEIGHT = 1 / (3 * contract.GRID_RATE_HZ)
MAX_SAMPLE = 2.5
# A sine of mean square 1 rises by this from its trough to its peak.
SINE_RISE = 2 * math.sqrt(2)
# Keeps a wave that stands still from being divided by zero.
SCALE_FLOOR = 1e-12

OCTAVE = 14
WITNESS_BPM = contract.MIN_RATE_BPM * 2 ** (np.arange(32) / OCTAVE)
_WITNESS_MEMORY_S = 4.0
TURNS = np.exp(
  (2j * np.pi * WITNESS_BPM / 60 - 1 / _WITNESS_MEMORY_S)
  / contract.GRID_RATE_HZ
)
OCTAVE_WEIGHT = 0.6
# The witness moves slowly: it is asked at every third sample.
WITNESS_STRIDE = 3
SAMPLES_A_MINUTE = 60.0 * contract.GRID_RATE_HZ

MAX_CANDIDATES = 48
# Those by which a beat is decided; more of the past does not change it.
NUM_RECENT = 16
# The labels' 0.4 deviations.
MIN_LEVEL = 0.15
MAX_LEVEL = 1.0
NUM_PREDECESSORS = 8
EXPECTED_COST = 10.0
PREVIOUS_COST = 5.0
MAX_COST = 3.0
# Of an interval from the expected one, as a share of that.
MAX_CHANGE = 1 / 3
MIN_INTERVAL = 0.3 * contract.GRID_RATE_HZ
# Half a sample more: of peaks a whole number of samples apart, rounding must
# not decide which is asked.
WITNESS_LAG = contract.GRID_RATE_HZ + 0.5
CHAIN_END = 1.2

# Of 1, purity, level and |d / T - 1|: fitted to waves of rendered patches and
# faces, with and without pulses, and of synthetic pulses and noise.
QUALITY_WEIGHTS = (-6.6, 12.2, 2.2, -1.6)
MAX_DEVIATION = 0.7
# Of a beat that none comes before.
FIRST_DEVIATION = 0.3


class Beats(NamedTuple):
  """Beats of a wave.

  Attributes:
    time_s: float64 [beats], seconds from the wave's first sample, rising.
    quality: float64 [beats] in [0, 1], how likely each is one within 75 ms.
  """

  time_s: np.ndarray
  quality: np.ndarray


class Beat(NamedTuple):
  """One beat: position in samples from the first, quality in [0, 1]."""

  position: float
  quality: float


class _Witness(NamedTuple):
  """The interval expected, in samples, and how pure the wave is, in [0, 1]."""

  expected: float
  purity: float


class _Candidate(NamedTuple):
  """A peak: where, how high, and what the witness said when it was found."""

  position: float
  level: float
  witness: _Witness


class _Filter:
  """FILTER, one sample at a time; before the first the wave stood still."""

  def __init__(self):
    self._inputs: np.ndarray | None = None

  def push(self, sample: float) -> float:
    if self._inputs is None:
      self._inputs = np.full(len(TAPS), sample)
    self._inputs[:-1] = self._inputs[1:]
    self._inputs[-1] = sample
    return float(TAPS @ self._inputs)

  def ahead(self) -> np.ndarray:
    """Filters on, float64 [15], as if the wave stood still from now on."""
    if self._inputs is None:
      return np.zeros(0)
    held = np.full(FILTER_DELAY, self._inputs[-1])
    return np.convolve(np.append(self._inputs[1:], held), TAPS, 'valid')


class _Peak(NamedTuple):
  """A maximum: samples from the newest one to it, rise from the trough."""

  offset: float
  rise: float


class _PeakFinder:
  """PEAK, one filtered sample at a time."""

  def __init__(self):
    self._newest: tuple[float, ...] = ()
    self._trough = 0.0

  def copy(self) -> '_PeakFinder':
    return copy.copy(self)

  def push(self, value: float) -> _Peak | None:
    if len(self._newest) < 2:
      self._newest += (value,)
      self._trough = value
      return None
    before, centre = self._newest
    self._newest = centre, value
    peak = None
    if before < centre >= value:
      peak = _Peak(_vertex(before, centre, value) - 1.0, centre - self._trough)
      self._trough = centre
    elif before >= centre < value or centre < self._trough:
      self._trough = centre
    return peak


class BeatStream:
  """Finds the beats of a wave that comes sample by sample.

  However the samples are cut into pushes, the beats are the same.

  Attributes:
    num_samples: taken so far.
  """

  def __init__(self):
    self.num_samples = 0
    self._filter = _Filter()
    self._peaks = _PeakFinder()
    self._mean_square = 0.0
    self._resonators = np.zeros(len(TURNS), np.complex128)
    self._witness = _Witness(SAMPLES_A_MINUTE / contract.MIN_RATE_BPM, 0.0)
    self._candidates: list[_Candidate] = []
    self._last_beat = -math.inf

  def push(self, pulse: np.ndarray) -> Beats:
    """Takes the next samples.

    Args:
      pulse: float [samples] on the 30 Hz grid, finite, any unit; a beat is a
        maximum.

    Returns:
      The beats that became final, each 1 s after it was.

    Raises:
      ValueError: not such samples.
    """
    pulse = np.asarray(pulse, np.float64)
    if pulse.ndim != 1 or not np.all(np.isfinite(pulse)):
      raise ValueError(
        f'pulse: expected finite samples in one dimension, got {pulse.shape}; '
        'leave what is not finite out'
      )
    found = []
    for sample in pulse:
      self._take(sample)
      last = self.num_samples - 1 - LAG
      if any(last - 1 < c.position <= last for c in self._candidates):
        found += self._decide(last - 1, last)
    return to_beats(found)

  def finish(self) -> Beats:
    """Ends the wave; returns the beats of its last second."""
    return to_beats(self._decide(self.num_samples - 1 - LAG, math.inf))

  def chain(self) -> list[Beat]:
    """Returns the beats of at least the last 11 s, up to now.

    Those of the last second are not final: the last half second is filtered as
    if the wave stood still after it. Of those before, a few may have been given
    out otherwise, when less was known.
    """
    return _best_chain([*self._candidates, *self._ahead()])

  def _take(self, sample: float) -> None:
    value = self._filter.push(sample)
    self.num_samples += 1
    scale = self._update_scale(value)
    self._hear_witness(value / scale)
    self._candidates += self._candidate(self._peaks.push(value), 0)
    del self._candidates[:-MAX_CANDIDATES]

  def _ahead(self) -> list[_Candidate]:
    """Candidates of the last half second, whose filter needs what comes."""
    peaks, found = self._peaks.copy(), []
    for later, value in enumerate(self._filter.ahead(), 1):
      found += self._candidate(peaks.push(float(value)), later)
    return found

  def _candidate(self, peak: _Peak | None, later: int) -> list[_Candidate]:
    """Returns the peak as a candidate, if it is one; `later` than now."""
    if peak is None:
      return []
    level = peak.rise / (SINE_RISE * self._scale())
    if level < MIN_LEVEL:
      return []
    position = self.num_samples - 1 + later - FILTER_DELAY + peak.offset
    return [_Candidate(position, level, self._witness)]

  def _update_scale(self, value: float) -> float:
    weight = max(SCALE_WEIGHT, 1 / self.num_samples)
    self._mean_square += weight * (value * value - self._mean_square)
    return self._scale()

  def _scale(self) -> float:
    return math.sqrt(self._mean_square) + SCALE_FLOOR

  def _hear_witness(self, sample: float) -> None:
    self._resonators *= TURNS
    self._resonators += min(max(sample, -MAX_SAMPLE), MAX_SAMPLE)
    if self.num_samples % WITNESS_STRIDE == 0:
      self._witness = _ask_witness(
        self._resonators.real**2 + self._resonators.imag**2
      )

  def _decide(self, after: float, last: float) -> list[Beat]:
    """Decides on the candidates in (after, last]; returns the beats."""
    found = []
    recent = [*self._candidates, *self._ahead()][-NUM_RECENT:]
    for beat in _best_chain(recent):
      far = beat.position - self._last_beat >= MIN_INTERVAL
      if after < beat.position <= last and far:
        found.append(beat)
        self._last_beat = beat.position
    return found


def find_beats(pulse: np.ndarray) -> Beats:
  """Finds the beats of a whole wave, as BeatStream does.

  Args:
    pulse: float [samples] on the 30 Hz grid, finite, any unit; a beat is a
      maximum.

  Raises:
    ValueError: not such samples.
  """
  stream = BeatStream()
  parts = stream.push(pulse), stream.finish()
  return Beats(*map(np.concatenate, zip(*parts, strict=True)))


def to_beats(beats: list[Beat]) -> Beats:
  """Brings beats to seconds, in arrays."""
  columns = np.array(beats, np.float64).reshape(-1, len(Beat._fields))
  return Beats(columns[:, 0] / contract.GRID_RATE_HZ, columns[:, 1])


def _vertex(before: float, centre: float, after: float) -> float:
  """Vertex of the parabola through a maximum, in [-0.5, 0.5] beside it."""
  curvature = before - 2 * centre + after
  return 0.5 * (before - after) / curvature if curvature < 0 else 0.0


def _ask_witness(power: np.ndarray) -> _Witness:
  """Asks for interval and purity; see WITNESS.

  Args:
    power: float64 [32], of each resonator.
  """
  strength = power.copy()
  strength[:-OCTAVE] += OCTAVE_WEIGHT * power[OCTAVE:]
  peak = int(np.argmax(strength))
  around = strength[max(peak - 1, 0) : peak + 2].tolist()
  steps = peak + (_vertex(*around) if len(around) == 3 else 0.0)
  bpm = contract.MIN_RATE_BPM * 2 ** (steps / OCTAVE)
  there = np.sum(power[max(peak - 1, 0) : peak + 2])
  if peak + OCTAVE < len(power):
    there += np.sum(power[peak + OCTAVE - 1 : peak + OCTAVE + 2])
  purity = there / (np.sum(power) + SCALE_FLOOR)
  return _Witness(SAMPLES_A_MINUTE / bpm, float(purity))


def _best_chain(candidates: list[_Candidate]) -> list[Beat]:
  """Returns those of the candidates that are beats, in order; see CHAIN."""
  if not candidates:
    return []
  witnesses = _heard_later(candidates)
  scores: list[float] = []
  intervals: list[float] = []
  links: list[int] = []
  for index, candidate in enumerate(candidates):
    expected = witnesses[index].expected
    best, interval, link = 0.0, expected, -1
    for before in range(max(index - NUM_PREDECESSORS, 0), index):
      length = candidate.position - candidates[before].position
      if length < MIN_INTERVAL:
        break
      score = scores[before] - _cost(length, expected, intervals[before])
      if score > best:
        best, interval, link = score, length, before
    if abs(interval - expected) > MAX_CHANGE * expected:
      interval = expected
    scores.append(best + min(candidate.level, MAX_LEVEL))
    intervals.append(interval)
    links.append(link)
  end = candidates[-1].position - CHAIN_END * witnesses[-1].expected
  last = max(
    (index for index, c in enumerate(candidates) if c.position >= end),
    key=scores.__getitem__,
  )
  return _traced_back(candidates, witnesses, links, last)


def _heard_later(candidates: list[_Candidate]) -> list[_Witness]:
  """What the witness said 1 s after each candidate, as far as known."""
  witnesses, later = [], 0
  for candidate in candidates:
    while (
      later < len(candidates) - 1
      and candidates[later + 1].position <= candidate.position + WITNESS_LAG
    ):
      later += 1
    witnesses.append(candidates[later].witness)
  return witnesses


def _cost(length: float, expected: float, previous: float) -> float:
  relative = length / expected
  again = length / previous
  cost = EXPECTED_COST * (relative - 1) ** 2 / relative
  cost += PREVIOUS_COST * (again - 1) ** 2 / again
  return min(cost, MAX_COST) if relative > 1 else cost


def _traced_back(
  candidates: list[_Candidate],
  witnesses: list[_Witness],
  links: list[int],
  last: int,
) -> list[Beat]:
  """Follows the links from the last beat."""
  chain = []
  index = last
  while index >= 0:
    candidate, witness, link = candidates[index], witnesses[index], links[index]
    deviation = FIRST_DEVIATION
    if link >= 0:
      length = candidate.position - candidates[link].position
      deviation = min(abs(length / witness.expected - 1), MAX_DEVIATION)
    quality = _quality(witness.purity, candidate.level, deviation)
    chain.append(Beat(candidate.position, quality))
    index = link
  return chain[::-1]


def _quality(purity: float, level: float, deviation: float) -> float:
  level = min(level, MAX_LEVEL)
  logit = np.dot(QUALITY_WEIGHTS, (1.0, purity, level, deviation))
  return 1 / (1 + math.exp(-logit))
