"""Frames of one rendered recording: a head with a pulse, moving before a room.

A frame is made in this order, as light makes it:
  1. skin of the standing head is multiplied by 1 - amplitude * pulse, per
     channel and place (`_PulsePaint`),
  2. the head is turned and moved: one cv2.remap along a smooth field
     (`_positions`), computed on every 8th pixel,
  3. lit: gain by surface direction and highlights, on every 8th pixel, too,
  4. laid over the room,
  5. all light changes in common, noise is added and the result rounded to
     8 bits.
The pulse is in skin only, never in what light does.

cv2.remap rounds positions to 1/32 px. On an ROI of 50 px between edges of 20
grey levels that is a disturbance of about 0.004 levels rms, a twentieth of the
weakest pulse: left so.

Measured on 20 seeds of 20 s at each level of motion, 30 fps, after MJPG 4:4:4
q95, the Haar box held still at its median, 10 s windows, POS and CHROM by their
papers' formulas (MAE, BPM, on the inner regions and on the mid-face):

    motion   POS inner, median  mid   CHROM inner  mid   face found  drift
    normal   1.5        0.6     1.9   1.6          1.8   100 %       0.41 %
    strong   5.5        1.2     3.1   4.9          3.3   100 %       0.79 %

Drift is the rms of mid-face green in 0.05..0.7 Hz; 3..14 Hz hold 0.07 and
0.13 %. Faces were looked for in every 6th frame, at half size (scale factor
1.15, 5 neighbours).
"""

import collections.abc
import dataclasses
from typing import Any

import cv2
import numpy as np

from rppg_tf.synthesis import head_motion, head_texture
from rppg_tf.synthesis import pulse as synthetic_pulse

FRAME_HEIGHT_PX = 480
FRAME_WIDTH_PX = 640

# Rms of the pulse over the skin's mean green: what real UBFC shows.
MIN_PULSE_RMS = 0.0006
MAX_PULSE_RMS = 0.003

_CELL_PX = 8
_NOISE_MARGIN_PX = 96
# One map holds x and y; OpenCV's types ask for a second all the same.
_NO_MAP: Any = None


@dataclasses.dataclass(frozen=True)
class RecordingParameters:
  """What makes one recording differ from the next; goes into render.json.

  Attributes:
    seed: makes all that is random and not below: texture, room, paths.
    motion: 'still', 'normal' or 'strong'.
    pulse_rms: rms of the pulse band over the skin's mean, green; 0 for none.
    red_ratio, blue_ratio: relative pulse of red and blue, green being 1.
    tone: skin, 0 lightest to 1 darkest.
    face_px: about the width of the Haar box, pixels.
    centre_px: where the face's centre rests, x and y, pixels.
    flip: whether the picture is mirrored.
    blur_px: standard deviation of the lens's blur, pixels.
    light_gain: exposure and colour of the light, gain of blue, green, red.
    side_x, side_y: light from the right and from below, as a part of it.
    shine: height of highlights on the skin, grey levels.
    noise_levels: rms of sensor noise at mid grey, grey levels.
  """

  seed: int
  motion: str
  pulse_rms: float
  red_ratio: float
  blue_ratio: float
  tone: float
  face_px: float
  centre_px: tuple[float, float]
  flip: bool
  blur_px: float
  light_gain: tuple[float, float, float]
  side_x: float
  side_y: float
  shine: float
  noise_levels: float


def draw_parameters(
  seed: int, motion: str, with_pulse: bool = True
) -> RecordingParameters:
  """Draws the parameters of one recording.

  Args:
    seed: of the whole recording, a non-negative int.
    motion: a key of head_motion.MOTION_GAINS.
    with_pulse: False paints no pulse and leaves all else the same.

  Raises:
    ValueError: unknown motion.
  """
  if motion not in head_motion.MOTION_GAINS:
    raise ValueError(
      f'motion: expected one of {sorted(head_motion.MOTION_GAINS)}, got '
      f'{motion!r}; choose one of these'
    )
  rng = _stream(seed, 'parameters')
  pulse_rms = np.exp(rng.uniform(*np.log([MIN_PULSE_RMS, MAX_PULSE_RMS])))
  red_ratio, blue_ratio = rng.uniform(0.35, 0.6), rng.uniform(0.55, 0.85)
  face_px = rng.uniform(108.0, 205.0)
  warmth = rng.normal(0, 0.07)
  exposure = rng.uniform(0.78, 1.02)
  gain = exposure * np.array([1 - warmth, rng.uniform(0.98, 1.02), 1 + warmth])
  centre_x = 320 + rng.uniform(-0.5, 0.5) * (560 - 1.5 * face_px)
  centre_y = rng.uniform(0.72 * face_px, 465 - 0.72 * face_px)
  return RecordingParameters(
    seed=seed,
    motion=motion,
    pulse_rms=float(pulse_rms) if with_pulse else 0.0,
    red_ratio=red_ratio,
    blue_ratio=blue_ratio,
    tone=rng.uniform(),
    face_px=face_px,
    centre_px=(centre_x, centre_y),
    flip=bool(rng.uniform() < 0.5),
    blur_px=rng.uniform(0.3, 1.1),
    light_gain=tuple(gain.tolist()),
    side_x=rng.uniform(-0.16, 0.16),
    side_y=rng.uniform(-0.12, 0.04),
    shine=rng.uniform(5.0, 32.0),
    noise_levels=rng.uniform(0.8, 2.2),
  )


_STREAMS = ('parameters', 'head', 'room', 'skin', 'motion', 'light', 'noise')


def _stream(seed: int, name: str) -> np.random.Generator:
  """One generator per topic: a change in one leaves the others alone."""
  return np.random.default_rng([seed, _STREAMS.index(name)])


def _noise_bank() -> np.ndarray:
  """Unit noise, larger than a frame, of the grain a colour sensor gives."""
  shape = (
    FRAME_HEIGHT_PX + _NOISE_MARGIN_PX,
    FRAME_WIDTH_PX + _NOISE_MARGIN_PX,
    3,
  )
  noise = np.random.default_rng(0).standard_normal(shape, np.float32)
  noise = cv2.GaussianBlur(noise, (0, 0), 0.5)
  return noise / noise.std()


class _PulsePaint:
  """The head's colours with the pulse in its skin.

  A place that is late by d seconds shows pulse(t - d), to first order
  pulse(t) - d * slope(t): two pictures, made once, are enough.
  """

  def __init__(self, parameters: RecordingParameters, head: head_texture.Head):
    rng = _stream(parameters.seed, 'skin')
    strength = _pulse_strength(rng, parameters, head)
    field = head_texture.smooth_field(rng, head.skin.shape, 0.3)
    delay_s = rng.uniform(0.0, 0.012) * field
    ratios = (parameters.blue_ratio, 1.0, parameters.red_ratio)
    ratios = np.array(ratios, np.float32) * parameters.pulse_rms
    swing = head.colour * strength[:, :, None] * ratios
    self._colour = head.colour
    self._swing = np.ascontiguousarray(swing, np.float32)
    self._late = np.ascontiguousarray(swing * delay_s[:, :, None], np.float32)
    self._painted = np.empty_like(self._colour)

  def paint(self, pulse: float, slope: float) -> np.ndarray:
    """Colours at one instant; the array is used again by the next call."""
    cv2.scaleAdd(self._swing, -pulse, self._colour, self._painted)
    cv2.scaleAdd(self._late, slope, self._painted, self._painted)
    return self._painted


def _head_axes(head: head_texture.Head, face_px: float):
  """Head texture's columns and rows in face widths from the face's centre."""
  height, width = head.skin.shape
  x = (np.arange(width, dtype=np.float32) + head.origin_px[0]) / face_px
  y = (np.arange(height, dtype=np.float32) + head.origin_px[1]) / face_px
  return x[None, :], y[:, None]


def _pulse_strength(
  rng: np.random.Generator,
  parameters: RecordingParameters,
  head: head_texture.Head,
) -> np.ndarray:
  """Where how much blood pulses: float32, mean 1 over the face's green."""
  x, y = _head_axes(head, parameters.face_px)
  forehead = np.exp(-((y + 0.28) ** 2) / 0.02 - x**2 / 0.1)
  cheeks = np.exp(-((np.abs(x) - 0.2) ** 2) / 0.012 - (y - 0.12) ** 2 / 0.03)
  uneven = 1 + 0.3 * head_texture.smooth_field(rng, head.skin.shape, 0.2)
  strength = np.clip(uneven, 0.15, 2) * (0.75 + 0.5 * (forehead + cheeks))
  strength = strength * np.clip(1 - 2.5 * (y - 0.55), 0.4, 1) * head.skin
  face = head.skin * head.alpha * head.colour[:, :, 1] * (y < 0.55)
  return (strength * face.sum() / (strength * face).sum()).astype(np.float32)


class _Rest:
  """What of the head's surroundings never changes, on every 8th pixel.

  Attributes:
    rows, columns: slices of the frame in which the head moves.
    x, y: float32 grids over them and one cell beyond, in face widths from the
      face's centre.
    hold: float32 grid, 1 where skin follows the head, 0 at the shoulders.
  """

  def __init__(self, parameters: RecordingParameters, head: head_texture.Head):
    face_px = parameters.face_px
    centre = np.array(parameters.centre_px)
    height, width = head.alpha.shape
    low = np.floor(centre + head.origin_px - 0.16 * face_px)
    high = np.ceil(centre + head.origin_px + (width, height) + 0.16 * face_px)
    high[1] = centre[1] + head.origin_px[1] + height
    low = np.maximum(low, 0).astype(int)
    high = np.minimum(high, (FRAME_WIDTH_PX, FRAME_HEIGHT_PX)).astype(int)
    self.columns = slice(low[0], high[0])
    self.rows = slice(low[1], high[1])
    self.size_px = (high[0] - low[0], high[1] - low[1])
    # Cell 0 lies before the region: resizing never extrapolates inside it.
    cells = [-(-size // _CELL_PX) + 2 for size in self.size_px]
    at = [(np.arange(n) - 0.5) * _CELL_PX - 0.5 for n in cells]
    x = (at[0] + low[0] - centre[0]) / face_px
    y = (at[1] + low[1] - centre[1]) / face_px
    self.x, self.y = (g.astype(np.float32) for g in np.meshgrid(x, y))
    part = np.clip((0.95 - self.y) / 0.33, 0, 1)
    self.hold = part * part * (3 - 2 * part)

  def enlarge(self, grid: np.ndarray) -> np.ndarray:
    """Grid to pixels of the region; a view, (height, width[, channels])."""
    size = (grid.shape[1] * _CELL_PX, grid.shape[0] * _CELL_PX)
    fine = cv2.resize(grid, size, interpolation=cv2.INTER_LINEAR)
    width, height = self.size_px
    return fine[_CELL_PX : _CELL_PX + height, _CELL_PX : _CELL_PX + width]


def _surface(x: np.ndarray, y: np.ndarray):
  """The head as an ellipsoid: height towards the camera, and its normal."""
  across, down = x / 0.72, y / 0.95
  square = np.minimum(across**2 + down**2, 1.0)
  depth = 0.55 * (1 - square)
  facing = np.sqrt(1 - 0.85 * square)
  return depth, np.clip(across, -1, 1), np.clip(down, -1, 1), facing


def _positions(rest: _Rest, motion: head_motion.HeadMotion, index: int):
  """Where on the standing head each grid point's colour comes from.

  Undoes shift, roll and zoom, then the parallax of turning about the neck
  (0.3 face widths behind the surface's rim), then the jaw.

  Returns:
    x, y: grids in face widths.
  """
  yaw, pitch = motion.yaw[index], motion.pitch[index]
  back_x = rest.x - motion.x[index] - 0.3 * np.sin(yaw)
  back_y = rest.y - motion.y[index] - 0.3 * np.sin(pitch)
  cosine = np.cos(motion.roll[index]) / motion.zoom[index]
  sine = np.sin(motion.roll[index]) / motion.zoom[index]
  # Roll is about the neck, 0.6 below the face's centre.
  back_y = back_y - 0.6
  turned_x = cosine * back_x + sine * back_y
  turned_y = cosine * back_y - sine * back_x + 0.6
  x = rest.x + rest.hold * (turned_x - rest.x)
  y = rest.y + rest.hold * (turned_y - rest.y)
  depth, _, _, _ = _surface(x, y)
  x = x - rest.hold * depth * np.sin(yaw)
  y = y - rest.hold * depth * np.sin(pitch)
  open_at = np.clip((y - 0.2) / 0.25, 0, 1) * np.exp(-(x**2) / 0.2)
  return x, y - motion.jaw[index] * open_at * rest.hold


class _Light:
  """Gain and highlights on the head by the direction its surface faces."""

  def __init__(self, parameters: RecordingParameters):
    rng = _stream(parameters.seed, 'light')
    self._side = (parameters.side_x, parameters.side_y)
    # The side light has a colour of its own.
    self._tint = 1 + rng.normal(0, 0.25, 3).astype(np.float32)
    spots = ((0.0, -0.33), (-0.24, 0.08), (0.24, 0.08), (0.02, 0.12))
    self._spots = np.array(spots) + rng.normal(0, 0.04, (4, 2))
    self._widths = rng.uniform(0.05, 0.13, 4)
    self._heights = parameters.shine * rng.uniform(0.1, 1.0, 4)

  def gain(self, x, y, motion: head_motion.HeadMotion, index: int):
    """float32 (rows, columns, 3), about 1."""
    _, across, down, facing = _surface(x, y)
    side_x = self._side[0] + motion.side_x[index]
    side_y = self._side[1] + motion.side_y[index]
    shade = side_x * (across + facing * np.sin(motion.yaw[index]))
    shade += side_y * (down + facing * np.sin(motion.pitch[index]))
    # Nearer to a lamp it is lighter.
    shade += 0.15 * (self._side[0] * motion.x[index])
    shade += 0.15 * (self._side[1] * motion.y[index])
    gain = np.float32(1) + shade[:, :, None].astype(np.float32) * self._tint
    common = motion.common[index]
    return gain * (common / common.mean()).astype(np.float32)

  def highlights(self, x, y, motion: head_motion.HeadMotion, index: int):
    """float32 (rows, columns, 3), grey levels added: white as the lamp."""
    shine = np.zeros_like(x)
    # A mirror turns light by twice its own angle.
    slide_x = 0.8 * motion.yaw[index] - 0.5 * motion.side_x[index]
    slide_y = 0.8 * motion.pitch[index] - 0.5 * motion.side_y[index]
    for spot, width, height in zip(
      self._spots, self._widths, self._heights, strict=True
    ):
      square = (x - spot[0] + slide_x) ** 2 + (y - spot[1] + slide_y) ** 2
      shine += height * np.exp(-square / (2 * width**2))
    return cv2.merge([shine, shine, shine])


class FaceRenderer:
  """One recording. `frames()` may be called again and gives the same.

  Attributes:
    parameters: what was drawn for it.
    pulse: float64 (num_frames,), the PPG at each exposure.
  """

  def __init__(
    self,
    parameters: RecordingParameters,
    pulse: synthetic_pulse.Pulse,
    exposure_s: np.ndarray,
    motion_duration_s: float | None = None,
  ):
    """Prepares all that does not change from frame to frame.

    Args:
      parameters: see draw_parameters.
      pulse: PPG to paint; covers all of `exposure_s`.
      exposure_s: float64 (num_frames,), when frames are exposed, seconds.
      motion_duration_s: see head_motion.draw_motion.
    """
    self.parameters = parameters
    self.pulse = pulse.at(exposure_s)
    self._slope = pulse.slope_at(exposure_s)
    self._motion = head_motion.draw_motion(
      _stream(parameters.seed, 'motion'),
      exposure_s,
      parameters.motion,
      motion_duration_s,
    )
    head = head_texture.build_head(
      _stream(parameters.seed, 'head'),
      parameters.face_px,
      parameters.tone,
      parameters.blur_px,
    )
    light = np.array(parameters.light_gain, np.float32)
    head = dataclasses.replace(head, colour=head.colour * light)
    self._head = head
    self._room = light * head_texture.build_room(
      _stream(parameters.seed, 'room'),
      parameters.centre_px,
      parameters.face_px,
    )
    self._paint = _PulsePaint(parameters, head)
    self._rest = _Rest(parameters, head)
    self._light = _Light(parameters)
    self._bank = _noise_bank()
    self._noise_gain = self._noise_levels()

  def __len__(self) -> int:
    return self.pulse.size

  def frames(self) -> collections.abc.Iterator[np.ndarray]:
    """Yields uint8 (480, 640, 3) BGR, one for each exposure."""
    rng = _stream(self.parameters.seed, 'noise')
    for index in range(len(self)):
      frame = self._expose(self._scene(index), index, rng)
      yield cv2.flip(frame, 1) if self.parameters.flip else frame

  def _scene(self, index: int) -> np.ndarray:
    """Light arriving from the region of the head, float32 BGR."""
    rest, motion = self._rest, self._motion
    x, y = _positions(rest, motion, index)
    at = cv2.merge([x, y]) * np.float32(self.parameters.face_px)
    at = rest.enlarge(at - np.array(self._head.origin_px, np.float32))
    painted = self._paint.paint(self.pulse[index], self._slope[index])
    colour = cv2.remap(
      painted, at, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    alpha = cv2.remap(self._head.alpha, at, _NO_MAP, cv2.INTER_LINEAR)
    gain = rest.enlarge(self._light.gain(x, y, motion, index))
    cv2.multiply(colour, gain, colour)
    shine = rest.enlarge(self._light.highlights(x, y, motion, index))
    cv2.add(colour, shine, colour)
    room = self._room[rest.rows, rest.columns]
    return cv2.blendLinear(colour, room, alpha, 1 - alpha)

  def _expose(
    self, scene: np.ndarray, index: int, rng: np.random.Generator
  ) -> np.ndarray:
    """Sensor: common light, noise, 8 bits."""
    top, left = rng.integers(_NOISE_MARGIN_PX, size=2)
    noise = self._bank[
      top : top + FRAME_HEIGHT_PX, left : left + FRAME_WIDTH_PX
    ]
    level = float(self._motion.common[index].mean())
    # The room's noise is the same everywhere; nobody measures there.
    sigma = self.parameters.noise_levels
    frame = cv2.addWeighted(self._room, level, noise, sigma, 0, dtype=cv2.CV_8U)
    region = (self._rest.rows, self._rest.columns)
    noise = cv2.multiply(noise[region], self._noise_gain)
    frame[region] = cv2.addWeighted(scene, level, noise, 1, 0, dtype=cv2.CV_8U)
    return frame

  def _noise_levels(self) -> np.ndarray:
    """Rms of the noise about the head: photons' share grows with light."""
    part = np.clip(self._scene(0), 0, 255) / 128
    return self.parameters.noise_levels * np.sqrt(0.3 + 0.7 * part)
