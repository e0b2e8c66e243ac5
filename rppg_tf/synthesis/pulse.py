"""Pulse waves and camera clocks, synthetic or of UBFC's ground truth.

What both renderers (whole videos: rppg_tf/synthesis/head_renderer.py, patches:
patches.py) share: a photoplethysmogram with heart-rate variability, the
times at which a webcam exposes its frames, and the times it stamps on them.
NumPy and SciPy only.

Sign: like a finger clip's, a PPG here rises when blood arrives. Skin gets
*darker* then: whoever paints it multiplies the colour by 1 - amplitude * ppg.
"""

import dataclasses

import numpy as np
from scipy import interpolate, signal

from rppg_tf.data.ubfc import GroundTruth, RecordingError

SLOWEST_BPM = 42.0
FASTEST_BPM = 158.0

# Grid on which a pulse is made; fine enough to interpolate linearly.
PPG_RATE_HZ = 250.0

# The part of a PPG that is called pulse when amplitudes are stated: above
# breathing, up to the harmonics that a camera still resolves.
PULSE_BAND_HZ = (0.6, 8.0)

# Pulses are made from this long before to this long after a recording, so
# that jittered exposures and filters never meet an end.
MARGIN_S = 2.0


@dataclasses.dataclass(frozen=True)
class Pulse:
  """A PPG on a uniform time grid of PPG_RATE_HZ.

  Attributes:
    time_s: float64 (num,), from -MARGIN_S to duration + MARGIN_S.
    value: float64 (num,), zero mean; its PULSE_BAND_HZ part has an rms of 1.
    rate_bpm: float64 (num,), the heart rate at each time.
  """

  time_s: np.ndarray
  value: np.ndarray
  rate_bpm: np.ndarray

  def at(self, time_s: np.ndarray) -> np.ndarray:
    """PPG at `time_s` (any shape, seconds), float64."""
    return np.interp(time_s, self.time_s, self.value)

  def slope_at(self, time_s: np.ndarray) -> np.ndarray:
    """Time derivative of the PPG at `time_s`, per second, float64."""
    slope = np.gradient(self.value, self.time_s)
    return np.interp(time_s, self.time_s, slope)

  def rate_at(self, time_s: np.ndarray) -> np.ndarray:
    """Heart rate at `time_s`, BPM, float64."""
    return np.interp(time_s, self.time_s, self.rate_bpm)


@dataclasses.dataclass(frozen=True)
class CameraTimes:
  """When frames were taken and when the computer says they were.

  Attributes:
    exposure_s: float64 (num_frames,), strictly rising: light was gathered.
    stamp_s: float64 (num_frames,), never falling, first one 0, full
      milliseconds: what ends up in line 3 of ground_truth.txt.
  """

  exposure_s: np.ndarray
  stamp_s: np.ndarray


def band_noise(
  rng: np.random.Generator,
  num: int,
  rate_hz: float,
  low_hz: float,
  high_hz: float,
  slope: float = 1.0,
) -> np.ndarray:
  """Gaussian noise with a power spectrum f**-slope inside a band, none outside.

  Args:
    rng: source of the noise.
    num: number of samples, at least 2.
    rate_hz: samples a second.
    low_hz: lower edge; below 1 / duration nothing exists anyway.
    high_hz: upper edge.
    slope: 0 is white, 1 pink, 2 a random walk.

  Returns:
    float64 (num,), zero mean, scaled to an expected rms of 1. A band that
    holds no frequency of this length gives zeros.
  """
  # Twice the length, half of it used: the ends do not meet.
  frequency_hz = np.fft.rfftfreq(2 * num, 1.0 / rate_hz)
  gain = np.zeros_like(frequency_hz)
  inside = (frequency_hz >= low_hz) & (frequency_hz <= high_hz)
  inside[0] = False
  gain[inside] = frequency_hz[inside] ** (-slope / 2)
  phase = rng.standard_normal(gain.size) + 1j * rng.standard_normal(gain.size)
  power = np.sum(gain**2)
  if power == 0:
    return np.zeros(num)
  wave = np.fft.irfft(gain * phase, 2 * num)[:num]
  return wave * num / np.sqrt(power)


def _grid_s(duration_s: float) -> np.ndarray:
  if not duration_s > 0:
    raise ValueError(
      f'duration_s: expected more than 0 s, got {duration_s}; pass the length '
      'of the recording in seconds'
    )
  num = round((duration_s + 2 * MARGIN_S) * PPG_RATE_HZ) + 1
  return np.arange(num) / PPG_RATE_HZ - MARGIN_S


def _unit_pulse(value: np.ndarray) -> np.ndarray:
  """Zero mean, and an rms of 1 in PULSE_BAND_HZ away from the ends."""
  sos = signal.butter(
    3, PULSE_BAND_HZ, btype='bandpass', fs=PPG_RATE_HZ, output='sos'
  )
  inner = slice(int(MARGIN_S * PPG_RATE_HZ), -int(MARGIN_S * PPG_RATE_HZ))
  pulse = signal.sosfiltfilt(sos, value - value.mean())[inner]
  return (value - value.mean()) / np.sqrt(np.mean(pulse**2))


def _breathing(rng: np.random.Generator, num: int) -> np.ndarray:
  """A breathing movement, amplitude about 1, its rate wandering a little."""
  rate_hz = rng.uniform(0.16, 0.35)
  wander = band_noise(rng, num, PPG_RATE_HZ, 0.0, 0.08)
  phase = np.cumsum(rate_hz * (1 + 0.08 * wander)) / PPG_RATE_HZ
  return np.sin(2 * np.pi * (phase + rng.uniform()))


def _variable_rate_bpm(
  rng: np.random.Generator, mean_bpm: float, breathing: np.ndarray
) -> np.ndarray:
  """Heart rate with drift, Mayer wave and respiratory sinus arrhythmia.

  Sizes after the Task Force's normal ranges (Circulation 93, 1996): the
  faster the heart, the less it varies with breathing.
  """
  num = breathing.size
  calm = np.clip(75.0 / mean_bpm, 0.4, 1.3)
  drift = band_noise(rng, num, PPG_RATE_HZ, 0.0, 0.05, slope=1.5)
  mayer = band_noise(rng, num, PPG_RATE_HZ, 0.07, 0.13, slope=0.0)
  flutter = band_noise(rng, num, PPG_RATE_HZ, 0.0, 0.5, slope=1.0)
  rate_bpm = mean_bpm + rng.uniform(0.5, 3.0) * drift
  rate_bpm += calm * rng.uniform(0.3, 1.8) * mayer
  rate_bpm += calm * rng.uniform(0.3, 3.0) * breathing
  rate_bpm += calm * rng.uniform(0.1, 0.5) * flutter
  return np.clip(rate_bpm, SLOWEST_BPM, FASTEST_BPM)


def _beat_shape(rng: np.random.Generator, beats: np.ndarray) -> np.ndarray:
  """PPG wave over `beats`, the number of beats since the start.

  Two or three bells (systolic, dicrotic, late) on a circle of one beat; bells
  on a circle have no step where beats meet.
  """
  wave = np.zeros_like(beats)
  systole = rng.uniform(0.18, 0.26)
  bells = (
    (1.0, systole, rng.uniform(0.075, 0.10)),
    (rng.uniform(0.2, 0.5), systole + rng.uniform(0.24, 0.32), 0.085),
    (rng.uniform(0.1, 0.3), systole + rng.uniform(0.40, 0.50), 0.12),
  )
  for height, centre, width in bells:
    sharpness = (2 * np.pi * width) ** -2
    angle = 2 * np.pi * (beats - centre)
    wave += height * np.exp(sharpness * (np.cos(angle) - 1))
  return wave - wave.mean()


def synthesize_pulse(
  rng: np.random.Generator,
  duration_s: float,
  mean_rate_bpm: float | None = None,
  variable: bool = True,
) -> Pulse:
  """Makes up a PPG.

  Args:
    rng: source of every random choice.
    duration_s: length, seconds.
    mean_rate_bpm: SLOWEST_BPM..FASTEST_BPM; drawn from 48..150 if None.
    variable: False holds the rate at exactly `mean_rate_bpm`.

  Returns:
    The pulse, from MARGIN_S before to MARGIN_S after the recording.

  Raises:
    ValueError: duration or rate out of range.
  """
  if mean_rate_bpm is None:
    mean_rate_bpm = rng.uniform(48.0, 150.0)
  if not SLOWEST_BPM <= mean_rate_bpm <= FASTEST_BPM:
    raise ValueError(
      f'mean_rate_bpm: expected {SLOWEST_BPM:g}..{FASTEST_BPM:g} BPM, got '
      f'{mean_rate_bpm:g}; choose a rate in that range'
    )
  time_s = _grid_s(duration_s)
  breathing = _breathing(rng, time_s.size)
  rate_bpm = _variable_rate_bpm(rng, mean_rate_bpm, breathing)
  if not variable:
    rate_bpm = np.full_like(time_s, mean_rate_bpm)
  beats = np.cumsum(rate_bpm / 60.0) / PPG_RATE_HZ + rng.uniform()
  value = _beat_shape(rng, beats)
  slow = band_noise(rng, time_s.size, PPG_RATE_HZ, 0.0, 0.3)
  value *= 1 + rng.uniform(0.02, 0.12) * breathing + 0.08 * slow
  wander = band_noise(rng, time_s.size, PPG_RATE_HZ, 0.0, 0.25)
  value += 0.05 * (rng.uniform(-1.5, 1.5) * breathing + wander)
  value += 0.005 * band_noise(rng, time_s.size, PPG_RATE_HZ, 0.3, 12.0, 0.0)
  return Pulse(time_s, _unit_pulse(value), rate_bpm)


def _stamps_s(
  rng: np.random.Generator, exposure_s: np.ndarray, period_s: float
) -> np.ndarray:
  """What a loaded computer stamps on frames: late by varying amounts.

  As in UBFC's files: some cameras keep their period to a millisecond
  (subject 25), most show intervals of 10..45 ms around 33 ms, a few frames
  carry the stamp of the one before.
  """
  loaded = rng.uniform() < 0.8
  reach_s = rng.uniform(0.0, 0.35 * period_s if loaded else 0.001)
  delay_s = reach_s * rng.uniform(-1, 1, exposure_s.size)
  stamp_s = np.maximum.accumulate(exposure_s + delay_s)
  stamp_s = np.round(stamp_s - stamp_s[0], 3)
  if loaded and stamp_s.size > 2 and rng.uniform() < 0.2:
    twin = rng.integers(1, stamp_s.size - 1)
    stamp_s[twin] = stamp_s[twin - 1]
  return stamp_s


def camera_times(
  rng: np.random.Generator, duration_s: float, fps: float
) -> CameraTimes:
  """Times of the frames of one synthetic recording.

  The sensor runs evenly; every so often frames are lost (usually 0.1..0.25 s,
  seldom up to 1 s), and stamps jitter around the exposures.

  Args:
    rng: source of every random choice.
    duration_s: length, seconds.
    fps: frames a second, 5..240.

  Returns:
    CameraTimes of about duration_s * fps frames within 0..duration_s.

  Raises:
    ValueError: duration or frame rate out of range, or under two frames.
  """
  if not 5 <= fps <= 240:
    raise ValueError(
      f'fps: expected 5..240 frames a second, got {fps:g}; a webcam has 23..60'
    )
  num = int(duration_s * fps) if duration_s > 0 else 0
  if num < 2:
    raise ValueError(
      f'duration_s: expected at least two frames, got {duration_s:g} s at '
      f'{fps:g} fps; make it longer'
    )
  exposure_s = np.arange(num) / fps
  kept = np.ones(num, bool)
  for _ in range(rng.poisson(duration_s / 30.0)):
    gap_s = min(0.09 + rng.exponential(0.1), 0.9)
    if rng.uniform() < 0.1:
      gap_s = rng.uniform(0.3, 0.95)
    gap_s = min(gap_s, duration_s / 5)
    start_s = rng.uniform(0.0, duration_s - gap_s)
    kept &= (exposure_s < start_s) | (exposure_s > start_s + gap_s)
  kept[:2] = True
  exposure_s = exposure_s[kept]
  return CameraTimes(exposure_s, _stamps_s(rng, exposure_s, 1.0 / fps))


def pulse_from_ground_truth(
  truth: GroundTruth, duration_s: float, start_s: float = 0.0
) -> Pulse:
  """The real PPG from `start_s` on, in the form of a synthetic one.

  Args:
    truth: a file's lines.
    duration_s: length wanted; must not reach beyond the file.
    start_s: where in the file the recording starts, seconds.

  Returns:
    The pulse; beyond the file's ends the PPG holds its last value. `rate_bpm`
    is the device's reading, which lags and is corrupt in some files.

  Raises:
    RecordingError: the file is too short, or the device's reading is not one
      finite value a sample.
  """
  end_s = truth.timestamp_s[-1] - truth.timestamp_s[0]
  if start_s < 0 or start_s + duration_s > end_s:
    raise RecordingError(
      f'{truth.path}: expected 0..{end_s:.1f} s of real PPG, got '
      f'{start_s:.1f}..{start_s + duration_s:.1f} s; ask for less'
    )
  _check_device_rate(truth)
  time_s = _grid_s(duration_s)
  stamp_s, first = np.unique(truth.timestamp_s, return_index=True)
  stamp_s = stamp_s - stamp_s[0] - start_s
  inside_s = np.clip(time_s, stamp_s[0], stamp_s[-1])
  value = interpolate.PchipInterpolator(stamp_s, truth.ppg[first])(inside_s)
  rate_bpm = np.interp(inside_s, stamp_s, truth.device_rate_bpm[first])
  return Pulse(time_s, _unit_pulse(value), rate_bpm)


def _check_device_rate(truth: GroundTruth) -> None:
  rate_bpm = truth.device_rate_bpm
  if rate_bpm.shape != truth.ppg.shape or not np.all(np.isfinite(rate_bpm)):
    raise RecordingError(
      f'{truth.path}: line 2 (heart rate) must hold {len(truth.ppg)} finite '
      f'values, as line 1 does, got {np.isfinite(rate_bpm).sum()} of '
      f'{len(rate_bpm)}; copy it again'
    )


def times_from_ground_truth(
  truth: GroundTruth, duration_s: float, start_s: float = 0.0
) -> CameraTimes:
  """The real stamps from `start_s` on, and exposures that fit them.

  Frames that carry one stamp were not exposed at once: the second counts as
  taken halfway to the next stamp.

  Raises:
    RecordingError: fewer than two frames in that stretch.
  """
  stamp_s = truth.timestamp_s - truth.timestamp_s[0]
  first, last = np.searchsorted(stamp_s, (start_s, start_s + duration_s))
  stamp_s = stamp_s[first:last] - start_s
  if stamp_s.size < 2:
    raise RecordingError(
      f'{truth.path}: expected at least two frames in {duration_s:g} s from '
      f'{start_s:g} s on, got {stamp_s.size}; ask for more'
    )
  exposure_s = stamp_s.copy()
  for index in np.flatnonzero(np.diff(stamp_s) <= 0) + 1:
    after = stamp_s[min(index + 1, stamp_s.size - 1)]
    if after <= exposure_s[index - 1]:
      after = exposure_s[index - 1] + 0.02
    exposure_s[index] = (exposure_s[index - 1] + after) / 2
  return CameraTimes(exposure_s, stamp_s)
