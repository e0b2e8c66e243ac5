"""Images that a face detector may stumble over."""

import cv2
import numpy as np
from skimage import data

_KINDS = ('noise', 'blobs', 'gradients', 'flat', 'column', 'row')
_FACES = ('faces', 'faces', 'faces', 'wide')


def face() -> np.ndarray:
  """A real face with its surroundings, uint8 (320, 320, 3) BGR."""
  return np.ascontiguousarray(data.astronaut()[:320, 80:400, ::-1])


def make(random: np.random.Generator, index: int) -> np.ndarray:
  """Returns uint8 (height, width, 3): one kind after the other.

  Args:
    random: of the image's size and content; sides of 1 to 1,400 pixels.
    index: chooses the kind.
  """
  kind = (_KINDS + _FACES)[index % 10]
  shortest = 80 if kind == 'faces' else 1
  sides = np.exp(random.uniform(np.log(shortest), np.log(1400), 2))
  height, width = sides.astype(int).tolist()
  height = min(height, max(1, 700_000 // width))
  if kind == 'wide':
    width, height = random.integers((641, 24), (1920, 500)).tolist()
  if kind in ('column', 'row'):
    height, width = (height, 1) if kind == 'column' else (1, width)
  if kind in ('faces', 'wide'):
    return _with_faces(random, height, width)
  return _plain(random, kind, height, width)


def _plain(random, kind: str, height: int, width: int) -> np.ndarray:
  shape = height, width, 3
  if kind == 'blobs':
    size = -(-height // 9), -(-width // 9), 3
    blobs = random.integers(0, 256, size, np.uint8)
    return cv2.resize(blobs, (width, height), interpolation=cv2.INTER_CUBIC)
  if kind == 'gradients':
    y, x = np.mgrid[:height, :width]
    slopes = x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), x + y
    return np.stack(slopes, 2).astype(np.uint8)
  if kind == 'flat':
    return np.full(shape, random.integers(0, 256, 3), np.uint8)
  return random.integers(0, 256, shape, np.uint8)


def _with_faces(random, height: int, width: int) -> np.ndarray:
  """Faces in part, dark, bright or mirrored, and one whole if it fits."""
  image = random.integers(90, 130, (height, width, 3), np.uint8)
  largest = max(21, 1.2 * min(height, width))
  for _ in range(random.integers(0, 9)):
    side = int(np.exp(random.uniform(np.log(20), np.log(largest))))
    patch = cv2.resize(face(), (side, side), interpolation=cv2.INTER_AREA)
    patch = patch * random.uniform(0.3, 1.3) + random.uniform(-20, 20)
    patch = np.clip(patch, 0, 255)[:, :: random.choice([1, -1])]
    y, x = random.integers(-side // 3, (height, width)).tolist()
    _paste(image, patch, y, x)
  side = int(random.uniform(0.5, 1) * min(height, width))
  if side > 60:
    patch = face()[10:230, 50:270]  # little besides
    patch = cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA)
    y, x = random.integers(0, (height - side + 1, width - side + 1)).tolist()
    _paste(image, patch, y, x)
  return image


def _paste(image: np.ndarray, patch: np.ndarray, y: int, x: int) -> None:
  top, left = max(0, y), max(0, x)
  side = len(patch)
  place = image[top : max(0, y + side), left : max(0, x + side)]
  rows, columns = place.shape[:2]
  place[:] = patch[top - y :, left - x :][:rows, :columns]


def track(
  random: np.random.Generator, image: np.ndarray, found
) -> tuple[int, int, int, int] | None:
  """Returns a box to look near: the one found, any, or None."""
  kind = random.random()
  if kind < 0.5:
    return found
  if kind < 0.7:
    return None
  side = int(np.exp(random.uniform(0, np.log(1000))))
  y, x = random.integers(-side, np.array(image.shape[:2]) + 1).tolist()
  height = int(side * random.choice([1, 1, 1.2, 0.3, 5])) + 1
  return x, y, side, height
