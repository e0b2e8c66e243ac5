"""How a rendered head moves and how the light on it changes, over time.

Positions are in face widths (the width of the Haar cascade's box) and angles in
radians, so that a large face moves by more pixels than a small one.
"""

import dataclasses

import numpy as np

from rppg_tf.synthesis import pulse

# How much of everything below each level of motion has.
MOTION_GAINS = {'still': 0.0, 'normal': 1.0, 'strong': 2.0}

_RATE_HZ = 120.0
# Beyond these a person would have left the picture's middle.
_MAX_SHIFT = 0.13
_MAX_TURN_RAD = 0.24


@dataclasses.dataclass(frozen=True)
class HeadMotion:
  """The head's pose and the light at each frame, float32 (num_frames,).

  Attributes:
    x, y: shift from rest, face widths, right and down.
    roll, yaw, pitch: rotation, radians; clockwise, to the image's right, down.
    zoom: size, 1 at rest.
    jaw: how far the chin is down, face widths.
    side_x, side_y: change of the light from the right and from below, as a
      part of the light.
    common: float64 (num_frames, 3), gain of all light, blue, green, red; 1 on
      average.
  """

  x: np.ndarray
  y: np.ndarray
  roll: np.ndarray
  yaw: np.ndarray
  pitch: np.ndarray
  zoom: np.ndarray
  jaw: np.ndarray
  side_x: np.ndarray
  side_y: np.ndarray
  common: np.ndarray


def _steps(
  rng: np.random.Generator, time_s: np.ndarray, per_s: float, size: float
) -> np.ndarray:
  """Now and then a move to another place, within 0.4..1.5 s, mostly back."""
  path = np.zeros_like(time_s)
  place = 0.0
  for _ in range(rng.poisson(per_s * time_s[-1])):
    start_s, takes_s = rng.uniform(0, time_s[-1]), rng.uniform(0.4, 1.5)
    step = rng.normal(0, size) - 0.7 * place
    place += step
    part = np.clip((time_s - start_s) / takes_s, 0, 1)
    path += step * part * part * (3 - 2 * part)
  return path


def _bursts(rng: np.random.Generator, time_s: np.ndarray, share: float):
  """Soft on/off curve 0..1 that is on for about `share` of the time."""
  wave = pulse.band_noise(rng, time_s.size, _RATE_HZ, 0.0, 0.3)
  return 1 / (1 + np.exp(-8 * (wave + np.log(share / (1 - share)))))


class _Source:
  """Random curves on one uniform time grid."""

  def __init__(self, rng: np.random.Generator, duration_s: float):
    self.rng = rng
    self.time_s = np.arange(int((duration_s + 1) * _RATE_HZ) + 2) / _RATE_HZ

  def noise(self, low_hz: float, high_hz: float, slope: float = 1.0):
    return pulse.band_noise(
      self.rng, self.time_s.size, _RATE_HZ, low_hz, high_hz, slope
    )

  def wander(self, slow: float, quick: float, steps: float, per_s=0.05):
    """Drift of rms `slow`, tremor of rms `quick`, moves of about `steps`."""
    path = slow * self.noise(0.02, 0.4, 1.5) + quick * self.noise(0.4, 5.0, 1.5)
    return path + _steps(self.rng, self.time_s, per_s, steps)


def _pose(source: _Source, gain: float) -> dict[str, np.ndarray]:
  """Shift, turn and size; see HeadMotion."""
  rng = source.rng
  breath_hz = rng.uniform(0.16, 0.33)
  breath = np.sin(2 * np.pi * (breath_hz * source.time_s + rng.uniform()))
  return {
    'x': gain * source.wander(0.0035, 0.0013, 0.015),
    'y': gain * (source.wander(0.003, 0.0013, 0.012) + 0.0012 * breath),
    'roll': gain * source.wander(0.004, 0.0013, 0.010),
    'yaw': gain * source.wander(0.009, 0.0035, 0.025),
    'pitch': gain * (source.wander(0.007, 0.0028, 0.016) + 0.001 * breath),
    'zoom': gain * source.wander(0.002, 0.0006, 0.005),
    'jaw': gain * source.wander(0.0008, 0.0004, 0.002),
  }


def _add_talk_and_nods(source: _Source, pose: dict[str, np.ndarray]):
  """Talking, nodding and shaking, each in bursts, in place."""
  rng, time_s = source.rng, source.time_s
  talking = _bursts(rng, time_s, rng.uniform(0.1, 0.6)) * (rng.uniform() < 0.6)
  pose['jaw'] += 0.012 * talking * np.abs(source.noise(1.5, 6.0, 0.0))
  pose['pitch'] += 0.012 * talking * source.noise(0.5, 4.0)
  pose['yaw'] += 0.012 * talking * source.noise(0.3, 3.0)
  for name, size in (('pitch', 0.03), ('yaw', 0.03), ('y', 0.008)):
    often = rng.uniform(0.05, 0.35) * (rng.uniform() < 0.5)
    rate_hz = rng.uniform(0.5, 1.8)
    phase = rate_hz * time_s + 0.3 * source.noise(0.0, 0.3)
    swing = np.sin(2 * np.pi * phase) * _bursts(rng, time_s, often + 1e-3)
    pose[name] += size * swing * (often > 0)


def _screen(source: _Source) -> np.ndarray:
  """Coloured light of a screen in front of the person, (3, num_times).

  UBFC's people play a game: what is on the screen changes on their skin.
  """
  rng = source.rng
  size = 0.00025 * np.exp(rng.normal(0, 0.6))
  parts = []
  for _ in range(3):
    path = source.noise(0.02, 3.0, 2.0)
    parts.append(size * (path + _steps(rng, source.time_s, 0.1, 1.0)))
  return np.array(parts)


def _soft_limit(path: np.ndarray, limit: float) -> np.ndarray:
  return limit * np.tanh(path / limit)


def draw_motion(
  rng: np.random.Generator,
  exposure_s: np.ndarray,
  motion: str,
  duration_s: float | None = None,
) -> HeadMotion:
  """Draws one recording's motion.

  Args:
    rng: source of every random choice.
    exposure_s: float64 (num_frames,), when frames are exposed, seconds.
    motion: a key of MOTION_GAINS. 'strong' has twice the motion and change of
      light of 'normal', and talks, nods and shakes; 'still' stands still under
      light that still flickers as in 'normal'.
    duration_s: for how long it is drawn, at least to the last exposure: with
      the same duration and seed, motion at a time is the same whatever the
      exposures. Default: to the last exposure.

  Returns:
    Pose and light at each frame.
  """
  # People differ: some sit like statues, some cannot.
  gain = MOTION_GAINS[motion] * np.exp(rng.normal(0, 0.4))
  if duration_s is None:
    duration_s = float(exposure_s[-1])
  source = _Source(rng, duration_s)
  pose = _pose(source, gain)
  if motion == 'strong':
    _add_talk_and_nods(source, pose)
  for name in ('x', 'y'):
    pose[name] = _soft_limit(pose[name], _MAX_SHIFT)
  for name in ('roll', 'yaw', 'pitch'):
    pose[name] = _soft_limit(pose[name], _MAX_TURN_RAD)
  pose['zoom'] = 1 + _soft_limit(pose['zoom'], 0.06)
  pose['jaw'] = np.maximum(pose['jaw'], -0.004)
  light = max(gain, 1.0)
  for name in ('side_x', 'side_y'):
    pose[name] = light * source.wander(0.002, 0.0010, 0.004, 0.03)
  level = light * source.wander(0.0008, 0.0003, 0.002, 0.03)
  flicker = 0.0003 * rng.standard_normal(source.time_s.size)
  screen = light * _screen(source)
  curves = {
    name: np.interp(exposure_s, source.time_s, path).astype(np.float32)
    for name, path in pose.items()
  }
  common = [
    1 + np.interp(exposure_s, source.time_s, level + flicker + part)
    for part in screen
  ]
  return HeadMotion(**curves, common=np.stack(common, axis=1))
