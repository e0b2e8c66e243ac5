"""What stands still in a rendered recording: one person's head and a room.

The head comes from one photograph, skimage.data.astronaut() (NASA, public
domain), the only face that ships with the Python packages in use. Everything
that makes people differ is drawn per recording: proportions, skin, hair, brows,
beard, glasses, light, clothes, room.

Two systems of coordinates:
  photo: pixels of the 512x512 photograph. The Haar cascade sees the face at
    x 177..272, y 66..161, i.e. 95 px wide.
  head: photo pixels, turned about FACE_CENTRE so that the eyes are level. All
    shapes below are drawn there. One face width is FACE_WIDTH units.
Images are float32, blue-green-red, 0..255, gamma-encoded as in a video.
"""

import dataclasses
import functools

import cv2
import numpy as np
import skimage.data

FACE_WIDTH = 95.0
FACE_CENTRE = (225.0, 113.5)
_PHOTO_ROLL_DEG = 3.4

# Extent of the head in head coordinates: x from, to; y from, to.
_HEAD_X = (138.0, 312.0)
_HEAD_Y = (4.0, 212.0)
# Below the chin the photo shows a few units of neck; they are stretched.
_NECK_TOP = 177.0
_NECK_STRETCH = 0.14

_FRAME_SHAPE = (480, 640, 3)

# Outlines in photo coordinates.
_HEAD_OUTLINE = (
  (248, 19), (227, 17), (219, 19), (214, 22), (206, 22), (195, 30), (190, 36),
  (175, 44), (158, 59), (155, 69), (156, 97), (159, 103), (168, 114),
  (170, 120), (174, 128), (181, 131), (182, 141), (186, 152), (186, 176),
  (190, 183), (200, 188), (215, 191), (232, 193), (245, 191), (254, 187),
  (254, 172), (257, 160), (264, 149), (266, 137), (274, 134), (288, 118),
  (294, 107), (295, 103), (299, 93), (298, 72), (295, 66), (294, 58),
  (285, 41), (275, 32),
)  # fmt: skip
_SKIN_OUTLINE = (
  (169, 119), (174, 128), (181, 131), (182, 141), (186, 152), (186, 176),
  (190, 183), (200, 188), (215, 191), (232, 193), (245, 191), (254, 187),
  (254, 172), (257, 160), (264, 149), (266, 137), (273, 134), (277, 130),
  (270, 128), (270, 118), (271, 105), (269, 95), (266, 89), (262, 88.5),
  (255, 88), (248, 85), (240, 82.5), (230, 82), (222, 81), (212, 82),
  (207, 82.5), (203, 80.5), (197, 79), (190, 75.5), (186, 75), (185, 80),
  (184, 90), (182, 98), (181, 106), (179, 115), (175, 118),
)  # fmt: skip
_LIPS_OUTLINE = (
  (200, 138.5), (212, 139), (220, 139.5), (230, 139.5), (238, 139),
  (249, 137.5), (241, 147), (233, 155), (225, 158), (216, 156), (208, 149),
)  # fmt: skip
_BEARD_OUTLINE = (
  (181, 128), (186, 152), (192, 168), (205, 177), (225, 181), (243, 177),
  (256, 161), (264, 149), (267, 128), (260, 140), (247, 135), (236, 131),
  (224, 133), (213, 131), (202, 136), (190, 140),
)  # fmt: skip
# Ellipses in photo coordinates: centre x, y, radii x, y.
_EYES = ((202, 101, 13, 7), (248, 104, 13.5, 7.5))
_EYEBALLS = ((202.5, 101.5, 7.5, 3), (247.5, 104, 8, 3.2))
_BROWS = (
  ((189, 91), (197, 89), (205, 89.5), (213, 92.5)),
  ((233, 94.5), (243, 93), (252, 93), (262, 96)),
)

# Ways in which faces differ: points in head coordinates with the direction in
# which they move, how far around it is felt, and the range that is drawn.
_SHAPE_MODES = (
  ('eye_distance', ((202, 103, -1, 0), (248, 103, 1, 0)), 14, -2.5, 3.0),
  ('eye_height', ((202, 103, 0, 1), (248, 103, 0, 1)), 14, -2.0, 2.0),
  ('brow_height', ((200, 92, 0, 1), (250, 92, 0, 1)), 10, -0.5, 2.5),
  ('nose_length', ((225, 128, 0, 1),), 11, -3.0, 3.0),
  ('nose_width', ((214, 128, -1, 0), (236, 128, 1, 0)), 8, -2.0, 3.0),
  ('mouth_width', ((201, 142, -1, 0), (249, 142, 1, 0)), 11, -4.0, 2.5),
  ('mouth_height', ((212, 146, 0, 1), (238, 146, 0, 1)), 12, -2.5, 2.5),
  ('smile', ((200, 142, 0, 1), (250, 142, 0, 1)), 10, -1.0, 4.0),
  ('jaw_width', ((186, 148, -1, 0), (264, 148, 1, 0)), 22, -6.0, 6.0),
  ('cheek_width', ((181, 118, -1, 0), (269, 118, 1, 0)), 20, -4.0, 4.0),
  ('chin', ((225, 176, 0, 1),), 18, -4.0, 6.0),
  (
    'hairline',
    ((195, 80, 0, -1), (212, 81, 0, -1), (232, 81, 0, -1), (252, 81, 0, -1)),
    11,
    -2.0,
    2.0,
  ),
  (
    'hair_volume',
    ((153, 80, 1, 0), (297, 80, -1, 0), (190, 30, 0, 1), (255, 25, 0, 1)),
    26,
    -5.0,
    15.0,
  ),
)

# Mean colours (red, green, blue) under neutral light, from lightest to darkest
# skin (Fitzpatrick I..VI) and of hair.
_SKIN_RGB = (
  (224, 182, 162),
  (216, 170, 145),
  (203, 152, 122),
  (172, 121, 92),
  (132, 89, 66),
  (98, 66, 52),
)
_HAIR_RGB = (
  (34, 29, 27),
  (62, 45, 34),
  (96, 69, 47),
  (168, 136, 92),
  (150, 147, 143),
  (128, 72, 44),
)


@dataclasses.dataclass(frozen=True)
class Head:
  """A person's head at its final size, standing still.

  Attributes:
    colour: float32 (height, width, 3) BGR, 0..255; goes on smoothly beyond the
      head's outline.
    alpha: float32 (height, width), 1 on the head, 0 around it.
    skin: float32 (height, width), 1 where blood shows: no eyes, brows, lips,
      hair, glasses; beards let a little through.
    origin_px: (x, y) of texture pixel (0, 0), relative to the face's centre.
  """

  colour: np.ndarray
  alpha: np.ndarray
  skin: np.ndarray
  origin_px: tuple[float, float]


@functools.cache
def _photo(name: str) -> np.ndarray:
  """One of scikit-image's own pictures, float32 BGR."""
  picture = getattr(skimage.data, name)()
  if picture.ndim == 2:
    picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
  return picture[:, :, 2::-1].astype(np.float32)


_MASK_SCALE = 4


def _soft(mask: np.ndarray, softness: float) -> np.ndarray:
  """Blurs a 0/255 mask by `softness` photo pixels; float32 0..1."""
  sigma = softness * _MASK_SCALE
  return cv2.GaussianBlur(mask.astype(np.float32) / 255.0, (0, 0), sigma)


def _blank() -> np.ndarray:
  return np.zeros((512 * _MASK_SCALE // 2, 512 * _MASK_SCALE), np.uint8)


def _polygon(points, softness: float = 0.8) -> np.ndarray:
  mask = _blank()
  corners = np.round(np.array(points) * _MASK_SCALE).astype(np.int32)
  cv2.fillPoly(mask, [corners], 255)
  return _soft(mask, softness)


def _ellipses(ellipses, softness: float = 0.8) -> np.ndarray:
  mask = _blank()
  for x, y, radius_x, radius_y in ellipses:
    centre = (round(x * _MASK_SCALE), round(y * _MASK_SCALE))
    radii = (round(radius_x * _MASK_SCALE), round(radius_y * _MASK_SCALE))
    cv2.ellipse(mask, centre, radii, 0, 0, 360, 255, -1)
  return _soft(mask, softness)


def _lines(lines, width: float, softness: float = 0.7) -> np.ndarray:
  mask = _blank()
  corners = [np.round(np.array(x) * _MASK_SCALE).astype(int) for x in lines]
  cv2.polylines(mask, corners, False, 255, round(width * _MASK_SCALE))
  return _soft(mask, softness)


@functools.cache
def _photo_masks() -> dict[str, np.ndarray]:
  """Soft masks over the photo's upper half, 4 mask pixels per photo pixel."""
  return {
    'head': _polygon(_HEAD_OUTLINE, 1.0),
    'face': _polygon(_SKIN_OUTLINE, 1.0),
    'lips': _polygon(_LIPS_OUTLINE),
    'beard': _polygon(_BEARD_OUTLINE, 2.5),
    'eyes': _ellipses(_EYES, 1.2),
    'eyeballs': _ellipses(_EYEBALLS),
    'brows': _lines(_BROWS, 3.0, 0.9),
  }


def _shape_shift(rng: np.random.Generator, x, y):
  """How far each head point has come from where it is in the photo.

  A sum of bells around facial points (_SHAPE_MODES), so that it is smooth, and
  a small random field, so that no face is symmetrical.
  """
  shift_x, shift_y = np.zeros_like(x), np.zeros_like(y)
  for _, points, reach, low, high in _SHAPE_MODES:
    size = rng.uniform(low, high)
    for centre_x, centre_y, way_x, way_y in points:
      square = (x - centre_x) ** 2 + (y - centre_y) ** 2
      bell = size * np.exp(-square / (2 * reach**2))
      shift_x += way_x * bell
      shift_y += way_y * bell
  for shift in (shift_x, shift_y):
    shift += 0.8 * smooth_field(rng, x.shape, 0.15)
  return shift_x, shift_y


def smooth_field(
  rng: np.random.Generator, shape: tuple[int, int], grain: float
) -> np.ndarray:
  """Random float32 field of unit deviation; `grain` is in field widths."""
  cells = max(2, round(1 / grain))
  coarse = rng.standard_normal((cells + 3, cells + 3)).astype(np.float32)
  height, width = shape
  fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
  return fine / max(float(fine.std()), 1e-6)


def _raise_hairline(x, y, rise: float):
  """Stretches the forehead: the photo's fringe leaves 9 units of it.

  Hair above is compressed as much; temples keep theirs.

  Args:
    x, y: head coordinates of texture pixels.
    rise: how far the hairline moves up, units; under 60.

  Returns:
    Head coordinates in y that show there.
  """
  brows, hairline, crown = 86.0, 80.0, 10.0
  middle = hairline - rise
  below = (brows - y) / (brows - middle)
  above = (y - crown) / (middle - crown)
  lift = np.clip(np.minimum(below, above), 0, 1)
  side = np.clip((np.abs(x - FACE_CENTRE[0]) - 20) / 26, 0, 1)
  return y + rise * lift * (1 - side * side * (3 - 2 * side))


def _photo_positions(rng: np.random.Generator, face_px: float):
  """For every texture pixel the photo position that shows there."""
  scale = face_px / FACE_WIDTH
  width = round((_HEAD_X[1] - _HEAD_X[0]) * scale)
  height = round((_HEAD_Y[1] - _HEAD_Y[0]) * scale)
  x = (np.arange(width, dtype=np.float32) + 0.5) / scale + _HEAD_X[0]
  y = (np.arange(height, dtype=np.float32) + 0.5) / scale + _HEAD_Y[0]
  below = np.maximum(y - _NECK_TOP, 0)
  y = np.minimum(y, _NECK_TOP) + _NECK_STRETCH * below
  x, y = np.meshgrid(x, y)
  y = _raise_hairline(x, y, rng.uniform(8.0, 25.0))
  shift_x, shift_y = _shape_shift(rng, x, y)
  x = (x - FACE_CENTRE[0]) / rng.uniform(0.94, 1.08) - shift_x
  y = (y - FACE_CENTRE[1]) / rng.uniform(0.95, 1.06) - shift_y
  cosine = np.cos(np.radians(_PHOTO_ROLL_DEG))
  sine = np.sin(np.radians(_PHOTO_ROLL_DEG))
  return (
    (cosine * x - sine * y + FACE_CENTRE[0]).astype(np.float32),
    (sine * x + cosine * y + FACE_CENTRE[1]).astype(np.float32),
  )


def _mean_colour(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
  total = np.sum(image * weight[:, :, None], axis=(0, 1))
  return total / max(float(weight.sum()), 1e-6)


def _skin_target_bgr(rng: np.random.Generator, tone: float) -> np.ndarray:
  place = tone * (len(_SKIN_RGB) - 1)
  levels = np.arange(len(_SKIN_RGB))
  rgb = [np.interp(place, levels, np.array(_SKIN_RGB)[:, c]) for c in range(3)]
  return np.array(rgb[::-1]) * rng.uniform(0.95, 1.05, 3)


def _skin_detail(
  rng: np.random.Generator, shape: tuple[int, int], face_px: float
) -> np.ndarray:
  """Pores, blotches and freckles as gain per channel, float32 (h, w, 3)."""
  height, width = shape
  detail = np.zeros((height, width, 3), np.float32)
  # Grain in pixels, strength, and what is taken of blue, green and red:
  # melanin above all of blue, blood above all of green.
  layers = (
    (0.7, 0.012, (1.2, 1.1, 0.7)),
    (2.0, 0.012, (1.2, 1.1, 0.7)),
    (face_px / 20, 0.018, (1.2, 1.0, 0.6)),
    (face_px / 9, 0.030, (0.8, 1.1, 0.25)),
  )
  for grain_px, strength, taken in layers:
    layer = rng.standard_normal((height, width)).astype(np.float32)
    layer = cv2.GaussianBlur(layer, (0, 0), grain_px)
    layer *= rng.uniform(0.4, 1.4) * strength / max(float(layer.std()), 1e-6)
    detail += layer[:, :, None] * np.array(taken, np.float32)
  spots = rng.standard_normal((height, width)).astype(np.float32)
  spots = cv2.GaussianBlur(spots, (0, 0), face_px / 110)
  spots = np.clip(spots / max(float(spots.std()), 1e-6) - 2.2, 0, 1)
  freckles = rng.uniform(0.0, 0.25) * (rng.uniform() < 0.4)
  detail -= freckles * spots[:, :, None] * np.array([1, 0.9, 0.6], np.float32)
  return 1.0 + detail


def _glasses(shape: tuple[int, int], face_px: float) -> np.ndarray:
  """Frames round both eyes, a bridge and the arms to the ears; 0..1."""
  scale = face_px / FACE_WIDTH
  finer = 8  # cv2 draws in eighths of a pixel
  to_px = scale * finer

  def place(points):
    corner = (_HEAD_X[0], _HEAD_Y[0])
    return np.round((np.array(points) - corner) * to_px).astype(np.int32)

  mask = np.zeros(shape, np.uint8)
  thick_px = max(1, round(1.1 * scale))
  for x in (201.0, 249.0):
    centre = tuple(place((x, 104.0)).tolist())
    radii = (round(17.5 * to_px), round(13 * to_px))
    cv2.ellipse(
      mask, centre, radii, 0, 0, 360, 255, thick_px, cv2.LINE_AA, shift=3
    )
  for line in (
    ((218, 103), (222, 101), (228, 101), (232, 103)),
    ((184, 102), (178, 101)),
    ((266, 102), (273, 101)),
  ):
    points = [place(line)]
    cv2.polylines(mask, points, False, 255, thick_px, cv2.LINE_AA, 3)
  return mask.astype(np.float32) / 255


def _blend(colour, mask, target, strength: float):
  """Moves `colour` towards `target` where `mask` is set, in place."""
  weight = (strength * mask)[:, :, None]
  colour *= 1 - weight
  colour += weight * np.asarray(target, np.float32)


def _paint_person(rng, colour, masks, tone: float, face_px: float):
  """Gives skin, hair, brows, beard and glasses their colours, in place."""
  shape = masks['face'].shape
  inner = masks['face'] * (1 - masks['eyes']) * (1 - masks['lips'])
  skin_gain = _skin_target_bgr(rng, tone) / _mean_colour(colour, inner)
  darkness = rng.integers(len(_HAIR_RGB)) if tone < 0.45 else rng.integers(2)
  hair_bgr = np.array(_HAIR_RGB[darkness][::-1]) * rng.uniform(0.85, 1.15)
  hair = masks['head'] * (1 - masks['face'])
  hair_gain = hair_bgr / _mean_colour(colour, hair)
  detail = _skin_detail(rng, shape, face_px)
  white = masks['eyeballs'][:, :, None]
  gain = masks['face'][:, :, None] * (skin_gain.astype(np.float32) - hair_gain)
  gain = (gain + hair_gain).astype(np.float32)
  gain = gain * (1 - white) + np.sqrt(gain) * white
  colour *= gain
  colour *= 1 + (detail - 1) * masks['face'][:, :, None]
  # Bends what would be over-exposed (fair hair, above all) below 250.
  np.minimum(colour, 200 + 50 * np.tanh((colour - 200) / 50), out=colour)
  brow_bgr = 0.6 * np.minimum(hair_bgr, 0.8 * skin_gain * 120)
  _blend(colour, masks['brows'], brow_bgr, rng.uniform(0.1, 0.85))
  stubble = 0.6 + 0.4 * np.clip(smooth_field(rng, shape, 0.006), -1, 1)
  beard = masks['beard'] * (1 - masks['lips']) * stubble
  beard *= rng.uniform(0.15, 0.75) * (rng.uniform() < 0.3)
  _blend(colour, beard, brow_bgr, 1.0)
  glasses = _glasses(shape, face_px) * (rng.uniform() < 0.25)
  _blend(colour, glasses, rng.uniform(15, 70) * np.ones(3), 0.9)
  blood = masks['head'] * inner
  return blood * (1 - masks['brows']) * (1 - 0.8 * beard) * (1 - glasses)


def _collar(height: int, width: int, scale: float) -> np.ndarray:
  """Where clothes hide the neck: 1 below a round neckline, float32."""
  x = (np.arange(width) + 0.5) / scale + _HEAD_X[0]
  y = (np.arange(height) + 0.5) / scale + _HEAD_Y[0]
  across = np.clip((x - 222.0) / 44.0, -1, 1)
  edge = 192.0 + 13.0 * np.sqrt(1 - across**2)
  depth = (y[:, None] - edge[None, :]) * scale
  return np.clip(depth + 0.5, 0, 1).astype(np.float32)


def build_head(
  rng: np.random.Generator, face_px: float, tone: float, blur_px: float
) -> Head:
  """Makes one person.

  Args:
    rng: source of every random choice.
    face_px: about the width of the Haar cascade's box, pixels.
    tone: skin, 0 lightest to 1 darkest.
    blur_px: standard deviation of the lens's blur, pixels; 0 for none.

  Returns:
    The head under neutral light.
  """
  at_x, at_y = _photo_positions(rng, face_px)
  colour = cv2.remap(_photo('astronaut'), at_x, at_y, cv2.INTER_CUBIC)
  colour = np.clip(colour, 4, 255)
  mask_x = (at_x + 0.5) * _MASK_SCALE - 0.5
  mask_y = (at_y + 0.5) * _MASK_SCALE - 0.5
  masks = {
    name: cv2.remap(mask, mask_x, mask_y, cv2.INTER_LINEAR)
    for name, mask in _photo_masks().items()
  }
  skin = _paint_person(rng, colour, masks, tone, face_px)
  scale = face_px / FACE_WIDTH
  height, width = skin.shape
  alpha = masks['head'] * (1 - _collar(height, width, scale))
  if blur_px > 0:
    colour = cv2.GaussianBlur(colour, (0, 0), blur_px)
    skin = cv2.GaussianBlur(skin, (0, 0), blur_px)
    alpha = cv2.GaussianBlur(alpha, (0, 0), blur_px)
  origin_px = (
    (_HEAD_X[0] - FACE_CENTRE[0]) * scale + 0.5,
    (_HEAD_Y[0] - FACE_CENTRE[1]) * scale + 0.5,
  )
  return Head(colour, alpha, skin, origin_px)


_ROOM_PHOTOS = (
  'coffee',
  'chelsea',
  'rocket',
  'brick',
  'grass',
  'gravel',
  'immunohistochemistry',
  'hubble_deep_field',
)


def _photo_room(rng: np.random.Generator) -> np.ndarray:
  """A stretch of some photograph, out of focus, float32 frame."""
  photo = _photo(_ROOM_PHOTOS[rng.integers(len(_ROOM_PHOTOS))])
  height, width = photo.shape[:2]
  part = rng.uniform(0.5, 1.0)
  size_y, size_x = int(height * part), int(width * part)
  top = rng.integers(height - size_y + 1)
  left = rng.integers(width - size_x + 1)
  crop = photo[top : top + size_y, left : left + size_x]
  room = cv2.resize(crop, (640, 480), interpolation=cv2.INTER_LINEAR)
  room = cv2.GaussianBlur(room, (0, 0), rng.uniform(1.5, 7.0))
  return room * rng.uniform(0.4, 1.0) + rng.uniform(0, 60)


def _plain_room(rng: np.random.Generator) -> np.ndarray:
  """A wall with uneven light, and perhaps boards and frames on it."""
  wall = rng.uniform(60, 210) * rng.uniform(0.85, 1.15, 3)
  light = 1 + 0.12 * smooth_field(rng, _FRAME_SHAPE[:2], 0.4)
  light += 0.01 * smooth_field(rng, _FRAME_SHAPE[:2], 0.005)
  room = light[:, :, None] * wall.astype(np.float32)
  for _ in range(rng.integers(0, 6)):
    left, top = rng.integers(-50, 640), rng.integers(-50, 480)
    size_x, size_y = rng.integers(15, 260, 2)
    colour = rng.uniform(20, 230, 3).tolist()
    corner = (int(left + size_x), int(top + size_y))
    cv2.rectangle(room, (int(left), int(top)), corner, colour, -1)
  return cv2.GaussianBlur(room, (0, 0), rng.uniform(1.0, 4.0))


def _clothes_mask(rng: np.random.Generator, centre_px, face_px: float):
  """Shoulders below the neckline, float32 (480, 640)."""
  scale = face_px / FACE_WIDTH
  slope = rng.uniform(0.75, 1.3)
  half = np.array([(0, 90), (44, 79), (62, 84), (96, 100), (122, 128)])
  half = np.concatenate([half, [(132, 190), (140, 400)]]).astype(float)
  half[2:5, 1] = 79 + (half[2:5, 1] - 79) * slope
  outline = np.concatenate([half, half[:0:-1] * (-1, 1)]) - (3, 0)
  points = np.array(centre_px) + outline * scale
  mask = np.zeros(_FRAME_SHAPE[:2], np.float32)
  cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1.0)
  return cv2.GaussianBlur(mask, (0, 0), 1.2)


def _clothes(rng: np.random.Generator) -> np.ndarray:
  """Cloth over the whole frame: a colour, folds, a weave or stripes."""
  colour = rng.uniform(25, 200, 3)
  folds = 1 + 0.12 * smooth_field(rng, _FRAME_SHAPE[:2], 0.08)
  weave = _photo(('brick', 'grass', 'gravel')[rng.integers(3)])[:480, :, 0]
  weave = cv2.resize(weave, (640, 480), interpolation=cv2.INTER_AREA)
  folds += rng.uniform(0, 0.12) * (weave / weave.mean() - 1)
  if rng.uniform() < 0.35:
    period_px = rng.uniform(12, 60)
    stripes = np.sin(np.arange(480) * 2 * np.pi / period_px)
    folds += rng.uniform(0.05, 0.3) * np.clip(4 * stripes, -1, 1)[:, None]
  return folds[:, :, None] * colour.astype(np.float32)


def build_room(
  rng: np.random.Generator, centre_px: tuple[float, float], face_px: float
) -> np.ndarray:
  """Everything behind and below the head: float32 (480, 640, 3) BGR, 4..250.

  Args:
    rng: source of every random choice.
    centre_px: the face's centre in the frame, x and y.
    face_px: about the width of the Haar cascade's box, pixels.
  """
  room = _photo_room(rng) if rng.uniform() < 0.6 else _plain_room(rng)
  mask = _clothes_mask(rng, centre_px, face_px)[:, :, None]
  room = room * (1 - mask) + _clothes(rng) * mask
  return np.clip(room, 4, 250).astype(np.float32)
