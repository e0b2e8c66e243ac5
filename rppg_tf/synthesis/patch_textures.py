"""Skin of the patch renderer: any photograph, tinted, with places that no
blood reaches.

What a network learns from smooth, skin-like textures does not carry over to
faces that it has never seen; textures of arbitrary photographs do. The
photographs are scikit-image's own (public domain or CC0, see its data/README);
its one face is left out: rppg_tf/synthesis/head_texture draws every rendered
person from it, and patches are to be tested on those.
"""

import dataclasses
import functools
import pathlib

import cv2
import numpy as np
import skimage

from rppg_tf.errors import InputError

# Of scikit-image 0.26: photographs of things, in data/.
_PHOTOGRAPHS = (
  'brick.png',
  'cell.png',
  'chelsea.png',
  'coffee.png',
  'coins.png',
  'color.png',
  'grass.png',
  'gravel.png',
  'ihc.png',
  'moon.png',
  'motorcycle_left.png',
  'retina.jpg',
  'rocket.jpg',
)
_SUFFIXES = ('.bmp', '.jpg', '.jpeg', '.png', '.tif', '.tiff', '.webp')

# R, G, B of skin in diffuse light from the lightest to the darkest, 0-255
# (about the range of the Monk skin tone scale, https://skintone.google).
_SKIN_RGB = np.array(
  [
    (236, 204, 186),
    (214, 170, 146),
    (180, 130, 104),
    (128, 84, 62),
    (72, 48, 38),
  ]
)


@dataclasses.dataclass(frozen=True)
class Skin:
  """A piece of skin that stands still, larger than what is seen of it.

  Attributes:
    colour: float32 (height, width, 3), R, G, B in light of 1, 0-255.
    blood: float32 (height, width), how strongly each place pulses; 0 where
      there is no skin, mean about 1 over the skin.
    delay_s: float32 (height, width), how late the pulse comes there.
  """

  colour: np.ndarray
  blood: np.ndarray
  delay_s: np.ndarray


def photograph_paths(texture_dir: str | None) -> list[pathlib.Path]:
  """Returns the photographs to cut textures from, sorted.

  Args:
    texture_dir: folder of photographs, at any depth; None: scikit-image's.

  Raises:
    InputError: there is none.
  """
  if texture_dir is None:
    return [pathlib.Path(skimage.data_dir) / name for name in _PHOTOGRAPHS]
  paths = sorted(
    path
    for path in pathlib.Path(texture_dir).rglob('*')
    if path.suffix.lower() in _SUFFIXES
  )
  if not paths:
    raise InputError(
      f'{texture_dir}: no photograph ({", ".join(_SUFFIXES)}) here; give '
      'another --texture_dir, or none for the built-in ones'
    )
  return paths


def smooth_field(
  rng: np.random.Generator, shape: tuple[int, int], cells: int
) -> np.ndarray:
  """Random float32 field of unit deviation with about `cells` hills a side."""
  coarse = rng.standard_normal((cells + 3, cells + 3)).astype(np.float32)
  field = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
  return field / max(float(field.std()), 1e-6)


def make_skin(
  rng: np.random.Generator,
  paths: list[pathlib.Path],
  size_px: int,
  from_photographs: bool = True,
  with_regions: bool = True,
  uneven: bool = True,
) -> Skin:
  """Draws one piece of skin.

  Args:
    rng: source of every random choice.
    paths: photographs to cut from.
    size_px: side of the square.
    from_photographs: False: smooth hills instead.
    with_regions: hair, brows, glasses, beard: places without pulse.
    uneven: whether the pulse is stronger and later in some places.

  Raises:
    InputError: a photograph that cannot be read.
  """
  shape = (size_px, size_px)
  tone = rng.uniform(0, len(_SKIN_RGB) - 1)
  levels = np.arange(len(_SKIN_RGB))
  tint = [np.interp(tone, levels, _SKIN_RGB[:, c]) for c in range(3)]
  tint = np.array(tint) * rng.uniform(0.9, 1.1, 3)
  if from_photographs:
    detail = _photograph_detail(rng, paths, size_px)
  else:
    detail = _smooth_detail(rng, shape)
  contrast = np.exp(rng.uniform(*np.log([0.03, 0.35])))
  colour = tint * np.clip(1 + contrast * detail, 0.15, 1.9)
  blood, delay_s = np.ones(shape), np.zeros(shape)
  if uneven:
    spread = rng.uniform(0.1, 0.45)
    blood = np.clip(1 + spread * smooth_field(rng, shape, 4), 0.1, 2.5)
    delay_s = rng.uniform(0.0, 0.02) * smooth_field(rng, shape, 2)
  if with_regions:
    colour, blood = _paint_regions(rng, colour, blood)
  return Skin(
    np.clip(colour, 2, 250).astype(np.float32),
    (blood / max(float(blood.mean()), 0.3)).astype(np.float32),
    delay_s.astype(np.float32),
  )


@functools.lru_cache(maxsize=64)
def _read_photograph(path: pathlib.Path) -> np.ndarray:
  image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
  if image is None:
    raise InputError(f'{path}: not a picture that OpenCV reads; remove it')
  return image


def _photograph_detail(rng, paths, size_px: int) -> np.ndarray:
  """A piece of a photograph, turned and scaled, of unit deviation."""
  image = _read_photograph(paths[rng.integers(len(paths))])
  height, width = image.shape[:2]
  scale = np.exp(rng.uniform(*np.log([0.25, 3.0])))
  scale = max(scale, 1.1 * size_px / min(height, width))
  place = (rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height)
  warp = cv2.getRotationMatrix2D(place, rng.uniform(0, 360), scale)
  warp[:, 2] += size_px / 2 - np.array(place)
  piece = cv2.warpAffine(
    image,
    warp,
    (size_px, size_px),
    flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
    borderMode=cv2.BORDER_REFLECT,
  ).astype(np.float32)
  grey = piece.mean(axis=2, keepdims=True)
  # Skin has little colour of its own; a photograph keeps some of its own.
  piece = grey + rng.uniform(0.0, 0.5) * (piece - grey)
  blur_px = rng.uniform(0.3, 1.5)
  piece = cv2.GaussianBlur(piece, (0, 0), blur_px)
  piece -= piece.mean(axis=(0, 1))
  return piece / max(float(piece.std()), 1.0)


def _smooth_detail(rng, shape) -> np.ndarray:
  hills = [smooth_field(rng, shape, cells) for cells in (2, 5, 12)]
  return np.mean(hills, axis=0)[:, :, np.newaxis]


def _paint_regions(rng, colour, blood):
  """Lays 0-6 soft shapes without pulse over the skin."""
  size_px = len(colour)
  for _ in range(rng.poisson(2.0)):
    mask = _region_mask(rng, size_px)[:, :, np.newaxis]
    if rng.uniform() < 0.75:  # hair, brows, frames, nostrils
      paint = rng.uniform(8, 90) * rng.uniform(0.8, 1.2, 3)
    else:  # the gloss of glasses, a plaster, the wall behind
      paint = rng.uniform(90, 235) * rng.uniform(0.8, 1.05, 3)
    opacity = rng.uniform(0.4, 1.0) * mask
    grain = 1 + 0.15 * smooth_field(rng, colour.shape[:2], 24)
    paint = paint * grain[:, :, np.newaxis]
    colour = colour + opacity * (paint - colour)
    blood = blood * (1 - opacity[:, :, 0])
  return colour, blood


def _region_mask(rng, size_px: int) -> np.ndarray:
  """One soft shape: an ellipse, a stroke, or one side of a wavy line."""
  mask = np.zeros((size_px, size_px), np.float32)
  centre = rng.uniform(0, size_px, 2)
  kind = rng.integers(3)
  if kind == 0:
    axes = rng.uniform(0.03, 0.2, 2) * size_px
    cv2.ellipse(mask, (centre, 2 * axes, rng.uniform(0, 180)), 1.0, cv2.FILLED)
  elif kind == 1:
    reach = rng.normal(0, 0.25 * size_px, 2)
    start, end = (
      (centre + sign * reach).astype(int).tolist() for sign in (-1, 1)
    )
    thickness = max(1, int(rng.uniform(0.01, 0.06) * size_px))
    cv2.line(mask, start, end, 1.0, thickness)
  else:
    turn = rng.uniform(0, 2 * np.pi)
    place = (np.arange(size_px) + 0.5) / size_px - 0.5
    distance = np.cos(turn) * place + np.sin(turn) * place[:, np.newaxis]
    wave = 0.03 * smooth_field(rng, mask.shape, 4)
    mask = (distance + wave > rng.uniform(0.22, 0.5)).astype(np.float32)
  return cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 4.0))
