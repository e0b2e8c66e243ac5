"""Movement and light of the patch renderer, as curves times coarse fields.

What moves is a sum of a few fields over the face (shift, turn, zoom, parallax,
skin that gives way), each times a curve over time; so is the light. Sizes are
in face widths and of the order of rendered heads
(rppg_tf/synthesis/head_motion), spread widely: what a network is to ignore must
be larger in training than in life.
"""

import dataclasses

import numpy as np

from rppg_tf.synthesis import patch_textures
from rppg_tf.synthesis.pulse import band_noise

# Points a side of the coarse fields.
GRID_SIZE = 9
_CURVE_RATE_HZ = 120.0


@dataclasses.dataclass(frozen=True)
class Scene:
  """What moves and how it is lit, frame by frame.

  Attributes:
    shift: float32 (num_frames, 9, 9, 2), how far each place has moved to the
      right and down, face widths.
    light: float32 (num_frames, 9, 9, 3), gain of R, G, B; about 1.
    gloss: float32 (num_frames, 9, 9), light that skin mirrors, of full scale.
    head: float64 (num_frames, 2), how far the head as a whole has moved.
  """

  shift: np.ndarray
  light: np.ndarray
  gloss: np.ndarray
  head: np.ndarray


class Curves:
  """Random curves over the time of one recording, at its exposures."""

  def __init__(self, rng: np.random.Generator, exposure_s: np.ndarray):
    self.rng = rng
    self._exposure_s = exposure_s
    num = int((exposure_s[-1] + 1) * _CURVE_RATE_HZ) + 2
    self.time_s = np.arange(num) / _CURVE_RATE_HZ

  def at_frames(self, path: np.ndarray) -> np.ndarray:
    """Reads curves (..., num_times) at the exposures."""
    return np.interp(self._exposure_s, self.time_s, path)

  def noise(self, low_hz: float, high_hz: float, slope: float = 1.0):
    """Unit noise of that band."""
    num = self.time_s.size
    return band_noise(self.rng, num, _CURVE_RATE_HZ, low_hz, high_hz, slope)

  def steps(self, per_s: float) -> np.ndarray:
    """Unit moves to another place, each within 0.1-1.5 s."""
    path, place = np.zeros_like(self.time_s), 0.0
    for _ in range(self.rng.poisson(per_s * self.time_s[-1])):
      start_s = self.rng.uniform(0, self.time_s[-1])
      takes_s = self.rng.uniform(0.1, 1.5)
      step = self.rng.normal() - 0.7 * place
      place += step
      part = np.clip((self.time_s - start_s) / takes_s, 0, 1)
      path += step * part * part * (3 - 2 * part)
    return path

  def bursts(self, share: float) -> np.ndarray:
    """Soft on/off curve, on for about `share` of the time."""
    wave = self.noise(0.0, 0.3) + np.log(share / (1 - share))
    return 1 / (1 + np.exp(-8 * wave))

  def wander(self, slow: float, quick: float, steps: float) -> np.ndarray:
    """Drift, tremor and moves of these sizes."""
    path = slow * self.noise(0.02, 0.4, 1.5)
    path += quick * self.noise(0.4, 6.0, self.rng.uniform(0.5, 2.0))
    return path + steps * self.steps(self.rng.uniform(0.0, 0.15))

  def periodic(self) -> np.ndarray:
    """Walking, nodding, chewing: unit swing of 0.6-3 Hz, maybe in bursts."""
    rng = self.rng
    rate_hz = np.exp(rng.uniform(*np.log([0.6, 3.0])))
    phase = rate_hz * self.time_s + rng.uniform(0.0, 0.3) * self.noise(0, 0.3)
    swing = np.sin(2 * np.pi * phase) + 0.4 * np.sin(4 * np.pi * phase + 1)
    share = rng.uniform(0.1, 0.98)
    return swing * self.bursts(share)


def draw_scene(
  rng: np.random.Generator,
  exposure_s: np.ndarray,
  without: frozenset[str] = frozenset(),
) -> Scene:
  """Draws movement and light of one recording.

  Args:
    rng: source of every random choice.
    exposure_s: float64 (num_frames,), seconds.
    without: of patch_renderer.INGREDIENTS, what to leave out.
  """
  curves = Curves(rng, exposure_s)
  gain = np.exp(rng.normal(-0.1, 0.8))
  pose = _pose(curves, gain, without)
  paths = np.stack([curves.at_frames(path) for path in pose.values()], axis=1)
  shift = np.tensordot(paths, _shift_fields(rng, pose), 1)
  middle = GRID_SIZE // 2
  return Scene(
    shift.astype(np.float32),
    _light(curves, pose, gain, without),
    _gloss(curves, pose),
    shift[:, middle, middle],
  )


def _grid():
  """x and y of the coarse fields in face widths from the middle."""
  place = (np.arange(GRID_SIZE) + 0.5) / GRID_SIZE - 0.5
  return np.meshgrid(place, place)


def _pose(curves: Curves, gain: float, without) -> dict[str, np.ndarray]:
  """Curves of all that moves, by the name of its field."""
  if 'motion' in without:
    return {'x': np.zeros_like(curves.time_s)}
  rng = curves.rng
  pose = {
    'x': gain * curves.wander(0.004, 0.0015, 0.02),
    'y': gain * curves.wander(0.004, 0.0015, 0.02),
  }
  if 'turning' not in without:
    pose |= {
      'roll': gain * curves.wander(0.006, 0.002, 0.01),
      'zoom': gain * curves.wander(0.003, 0.001, 0.006),
      'yaw': gain * curves.wander(0.012, 0.004, 0.03),
      'pitch': gain * curves.wander(0.010, 0.004, 0.02),
      'jaw': gain * curves.wander(0.002, 0.001, 0.002),
      'give1': gain * curves.wander(0.0015, 0.0006, 0.001),
      'give2': gain * curves.wander(0.0015, 0.0006, 0.001),
    }
    talking = curves.bursts(rng.uniform(0.1, 0.7)) * (rng.uniform() < 0.4)
    speech = talking * curves.noise(0.5, 6.0, 0.5)
    for name, size in (('jaw', 0.01), ('pitch', 0.008), ('give1', 0.002)):
      pose[name] += rng.uniform(0.3, 1.5) * size * speech
  if 'periodic_motion' not in without and rng.uniform() < 0.3:
    swing = curves.periodic()
    for name, size in (('y', 0.008), ('x', 0.006), ('pitch', 0.02)):
      if name in pose and rng.uniform() < 0.7:
        pose[name] += size * np.exp(rng.normal(0, 0.7)) * swing
  return {name: 0.2 * np.tanh(path / 0.2) for name, path in pose.items()}


def _shift_fields(rng, pose) -> np.ndarray:
  """How each place moves with each curve: (curves, 9, 9, 2)."""
  x, y = _grid()
  none, all_over = np.zeros_like(x), np.ones_like(x)
  depth = 0.3 + 0.55 * (1 - np.minimum((x / 0.6) ** 2 + (y / 0.75) ** 2, 1))
  fields = {
    'x': (all_over, none),
    'y': (none, all_over),
    'roll': (-y, x),
    'zoom': (x, y),
    'yaw': (depth, none),
    'pitch': (none, depth),
    'jaw': (none, np.clip(2 * y, 0, 1) ** 1.5),
  }
  for name in ('give1', 'give2'):
    fields[name] = [
      patch_textures.smooth_field(rng, x.shape, 3) for _ in range(2)
    ]
  return np.stack([np.stack(fields[name], axis=-1) for name in pose])


def _light(curves: Curves, pose, gain: float, without) -> np.ndarray:
  """Gain of all light, as Scene.light.

  Lamps to the side and above light a face that turns differently; what they
  do follows the pose. On top: drift, flicker, a screen, exposure steps.
  """
  rng = curves.rng
  x, y = _grid()
  all_over = np.ones_like(x)
  side_x, side_y = rng.uniform(-0.35, 0.35, 2)
  slope = side_x * x + side_y * y
  num_frames = curves.at_frames(curves.time_s).size
  light = np.ones((num_frames, *x.shape, 3)) + slope[:, :, np.newaxis]
  if 'light' in without:
    return light.astype(np.float32)
  strength = np.exp(rng.normal(0, 0.6)) * max(gain, 0.7)
  still = np.zeros_like(curves.time_s)
  turned = side_x * pose.get('yaw', still) + side_y * pose.get('pitch', still)
  level = strength * curves.wander(0.0015, 0.0005, 0.004)
  exposure = curves.steps(0.15) * rng.uniform(0, 0.02) * (rng.uniform() < 0.3)
  parts = [
    (rng.uniform(0.5, 2.0) * turned + exposure, all_over, 0.03),
    (level, all_over, 0.05),
    (rng.uniform(1, 6) * turned, slope, 0.05),
    (strength * curves.wander(0.002, 0.001, 0.004), x, 0.1),
    (strength * curves.wander(0.002, 0.001, 0.004), y, 0.1),
    (curves.noise(0.3, 20.0, 0.0) * rng.uniform(0, 0.0006), all_over, 0.0),
    (strength * curves.wander(2e-4, 1e-4, 5e-4), all_over, 1.0),
  ]
  for path, field, tint in parts:
    colour = 1 + tint * rng.standard_normal(3)
    grid = curves.at_frames(path)[:, np.newaxis, np.newaxis] * field
    light += grid[..., np.newaxis] * colour
  return np.clip(light, 0.05, 3).astype(np.float32)


def _gloss(curves: Curves, pose) -> np.ndarray:
  """What skin mirrors: it has no pulse and the colour of the lamp."""
  rng = curves.rng
  x, _ = _grid()
  height = rng.uniform(0.0, 0.12)
  still = np.clip(patch_textures.smooth_field(rng, x.shape, 3), 0, 2)
  moving = patch_textures.smooth_field(rng, x.shape, 3)
  path = rng.normal(0, 2) * (pose['x'] + pose.get('yaw', 0))
  path = curves.at_frames(path)[:, np.newaxis, np.newaxis]
  return np.clip(height * (still + path * moving), 0, 0.5).astype(np.float32)
