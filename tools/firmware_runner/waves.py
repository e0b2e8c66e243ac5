"""What Python reads off a pulse wave, in the structs of firmware/test/replay.h.

Beside frames the firmware takes pulse waves alone (replay waves): beats do not
need a face.
"""

import math

import numpy as np

from rppg_tf import contract
from rppg_tf.signals import beat_rate, readout, variability
from rppg_tf.signals.beats import Beats, BeatStream, to_beats

# rppg.h
NUM_BEATS = 96
# replay.h
FRAME_BEATS = 3
_RATE_STRIDE = 30

# Between C and Python.
MAX_BPM_DIFFERENCE = 0.01
_MAX_TIME_DIFFERENCE_US = 1000
_MAX_QUALITY_DIFFERENCE = 1e-3
_MAX_VARIABILITY_DIFFERENCE_MS = 0.1

RATE_OUT = np.dtype(
  [
    ('bpm', '<f4'),
    ('newest_bpm', '<f4'),
    ('coverage', '<f4'),
    ('quality', '<f4'),
    ('num_beats', '<u4'),
    ('num_believed', '<u4'),
    ('num_doubted', '<u4'),
  ]
)
VARIABILITY_OUT = np.dtype(
  [
    ('rmssd_ms', '<f4'),
    ('sdnn_ms', '<f4'),
    ('mean_rr_ms', '<f4'),
    ('share_used', '<f4'),
    ('num_intervals', '<u4'),
  ]
)
ESTIMATE_OUT = np.dtype(
  [
    ('heart_rate_bpm', '<f4'),
    ('confidence', '<f4'),
    ('spectrum_bpm', '<f4'),
    ('spectrum_confidence', '<f4'),
    ('pulse', '<f4'),
    ('num_samples', '<u4'),
    ('beats', RATE_OUT),
    ('variability', VARIABILITY_OUT),
  ]
)
# What a frame hands out.
BEATS_OUT = np.dtype(
  [
    ('num_beats', '<u4'),
    ('beat_quality', '<f4', FRAME_BEATS),
    ('beat_time_us', '<i8', FRAME_BEATS),
  ]
)
WAVE_OUT = np.dtype(
  [
    ('is_beat', '<i4'),
    ('sample', '<i4'),
    ('fraction', '<f4'),
    ('quality', '<f4'),
    ('rate', RATE_OUT),
    ('variability', VARIABILITY_OUT),
  ]
)


class WaveReader:
  """The beats of a wave, and what the firmware should make of them."""

  def __init__(self):
    self.stream = BeatStream()
    self._found: list[Beats] = []

  def push(self, pulse: np.ndarray) -> Beats:
    """Takes the next samples; returns the beats that became final."""
    found = self.stream.push(pulse)
    self._found.append(found)
    return found

  def rate(self) -> np.ndarray:
    """Returns what the beats of the newest 10 s say: RATE_OUT."""
    rate = beat_rate.read_window(self.stream)
    quality = rate.beats.quality
    return _record(
      RATE_OUT,
      rate.bpm,
      rate.newest_bpm,
      rate.coverage,
      np.mean(quality) if len(quality) else 0.0,
      len(quality),
      rate.num_believed,
      rate.num_doubted,
    )

  def variability(self, since_s: float = -math.inf) -> np.ndarray:
    """Returns that of the beats that the firmware keeps: VARIABILITY_OUT."""
    parts = [to_beats([]), *self._found]
    time_s, quality = map(np.concatenate, zip(*parts, strict=True))
    kept = time_s >= since_s
    found = Beats(time_s[kept][-NUM_BEATS:], quality[kept][-NUM_BEATS:])
    result = variability.variability(found)
    return _record(
      VARIABILITY_OUT,
      result.rmssd_ms,
      result.sdnn_ms,
      result.mean_rr_ms,
      result.share_used,
      result.num_intervals,
    )


class EstimateReader:
  """What rppg_estimate and rppg_beats should say, sample by sample."""

  def __init__(self):
    self._reader = readout.PulseReader()
    self._wave = WaveReader()
    self._pulse = 0.0
    self._spectral: readout.Spectral | None = None
    self._waiting: list[tuple[float, float]] = []

  def push(self, pulse: np.ndarray, spectral: list[readout.Spectral]) -> None:
    """Takes the samples of a frame, and what the spectrum said at some."""
    self._reader.push(pulse)
    found = self._wave.push(pulse)
    # The filter sees peaks before the wave begins.
    self._waiting += [pair for pair in zip(*found, strict=True) if pair[0] >= 0]
    self._pulse = [self._pulse, *pulse][-1]
    self._spectral = [self._spectral, *spectral][-1]

  def estimate(self) -> np.ndarray:
    """Returns the estimate at the newest sample: ESTIMATE_OUT."""
    num_samples = self._wave.stream.num_samples
    rate, spectral = self._wave.rate(), self._spectral
    said = self._reader.read(spectral)
    is_early = num_samples < readout.MIN_WINDOW_S * contract.GRID_RATE_HZ
    reading = None if is_early else said
    newest_bpm = math.nan if reading is None else reading.newest_bpm
    rate['newest_bpm'] = np.nan_to_num(newest_bpm)
    return _record(
      ESTIMATE_OUT,
      reading.bpm if reading else 0.0,
      reading.quality if reading else 0.0,
      *(spectral or (0.0, 0.0)),
      self._pulse,
      num_samples,
      rate,
      self._wave.variability(since_s=0),
    )

  def take_beats(self, origin_us: int) -> np.ndarray:
    """Returns the oldest beats that were not yet taken: BEATS_OUT."""
    result = np.zeros((), BEATS_OUT)
    taken = self._waiting[:FRAME_BEATS]
    del self._waiting[:FRAME_BEATS]
    result['num_beats'] = len(taken)
    for index, (time_s, quality) in enumerate(taken):
      result['beat_time_us'][index] = origin_us + round(time_s * 1e6)
      result['beat_quality'][index] = quality
    return result


def expect(wave: np.ndarray) -> np.ndarray:
  """Returns what the firmware should make of a wave: WAVE_OUT [samples]."""
  reader, expected = WaveReader(), np.zeros(len(wave), WAVE_OUT)
  for index, sample in enumerate(np.asarray(wave, np.float32)):
    record = expected[index]
    for time_s, quality in zip(*reader.push(sample[np.newaxis]), strict=True):
      position = time_s * contract.GRID_RATE_HZ
      record['is_beat'] = 1
      record['sample'] = np.rint(position)
      record['fraction'] = position - np.rint(position)
      record['quality'] = quality
    if (index + 1) % _RATE_STRIDE == 0:
      record['rate'] = reader.rate()
      record['variability'] = reader.variability()
  return expected


def encode(wave: np.ndarray) -> bytes:
  """Returns a wave, float [samples], as replay.c reads it."""
  return np.int32(len(wave)).tobytes() + np.float32(wave).tobytes()


def rates_apart(expected: np.ndarray, got: np.ndarray) -> np.ndarray:
  """Returns by how many BPM rates differ, inf where one is not known.

  Args:
    expected, got: float32 of the same shape; 0: not known.
  """
  both = (expected > 0) & (got > 0)
  apart = np.abs(expected.astype(np.float64) - got)
  return np.where(both | (expected == got), apart, np.inf)


def beats_differ(expected: np.ndarray, got: np.ndarray) -> np.ndarray:
  """Returns where beats that were handed out differ, bool [frames].

  Args:
    expected, got: [frames] with the fields of BEATS_OUT.
  """
  late_us = np.abs(expected['beat_time_us'] - got['beat_time_us'])
  apart = np.abs(expected['beat_quality'] - got['beat_quality'])
  return (
    (expected['num_beats'] != got['num_beats'])
    | np.any(late_us > _MAX_TIME_DIFFERENCE_US, axis=1)
    | np.any(apart > _MAX_QUALITY_DIFFERENCE, axis=1)
  )


def rate_details_differ(expected: np.ndarray, got: np.ndarray) -> np.ndarray:
  """Returns where numbers and qualities of beats differ, bool [any].

  Args:
    expected, got: RATE_OUT [any].
  """
  differs = np.zeros(expected.shape, bool)
  for name in ('num_beats', 'num_believed', 'num_doubted'):
    differs |= expected[name] != got[name]
  for name in ('coverage', 'quality'):
    differs |= np.abs(expected[name] - got[name]) > _MAX_QUALITY_DIFFERENCE
  return differs


def variability_differs(expected: np.ndarray, got: np.ndarray) -> np.ndarray:
  """Returns where variability differs, bool [any].

  Args:
    expected, got: VARIABILITY_OUT [any].
  """
  differs = expected['num_intervals'] != got['num_intervals']
  for name in ('rmssd_ms', 'sdnn_ms', 'mean_rr_ms'):
    apart_ms = np.abs(expected[name] - got[name])
    differs |= apart_ms > _MAX_VARIABILITY_DIFFERENCE_MS
  apart = np.abs(expected['share_used'] - got['share_used'])
  return differs | (apart > _MAX_QUALITY_DIFFERENCE)


def _record(dtype: np.dtype, *values) -> np.ndarray:
  """Returns a record; NaN, which is not known, becomes 0."""
  result = np.zeros((), dtype)
  for name, value in zip(dtype.names or (), values, strict=True):
    known = not isinstance(value, float) or not math.isnan(value)
    result[name] = value if known else 0
  return result
