"""Where a face is, by OpenCV's Haar cascade: seldom everywhere, else near it.

The frame is looked at in full size up to 640 pixels' width, so that a first
look finds the very box that the cascade finds in the whole frame.
"""

from typing import Protocol

import cv2
import cv2.data
import numpy as np

from rppg_tf.faces.stabiliser import Box

DETECTION_WIDTH_PX = 640  # a wider frame is reduced to this width
CASCADE_FILE = 'haarcascade_frontalface_default.xml'
CASCADE_SCALE_STEP = 1.1
CASCADE_MIN_NEIGHBOURS = 5
# Smallest face, as a share of the frame's shorter side.
MIN_FACE_SHARE = 0.15
# With a face in view, faces below this share of its width are not looked for:
# they could not be the largest, and they are most of the cascade's work.
MIN_TRACKED_SHARE = 0.7
# Every so often they are counted all the same: one is told of them.
LOOKS_PER_COUNT = 3
# A face in view is looked for within width / 4 around its box: the head may
# have moved out of it by as much (motion.py). Sizes are tried in steps
# twice as wide, of which half as many see a face.
NEAR_DIVISOR = 4
NEAR_SCALE_STEP = 1.2
NEAR_MIN_NEIGHBOURS = 3
# Then, 5 s after, everywhere again: a larger face may have come.
MAX_NEAR_LOOKS = 9


class Detector(Protocol):
  """Knows where a face is in a frame."""

  def find(self, frame: np.ndarray, tracked: Box | None = None) -> Box | None:
    """Returns what FaceDetector.find does."""
    ...


class FaceDetector:
  """Finds the largest frontal face with OpenCV's Haar cascade.

  Loads the cascade once. One for each video, and not to be used from two
  threads at a time: it counts how long it has looked near the face alone.

  Attributes:
    num_faces: faces seen when it last looked everywhere.
  """

  def __init__(self):
    self._cascade = cv2.CascadeClassifier(cv2.data.haarcascades + CASCADE_FILE)
    if self._cascade.empty():
      raise ValueError(
        f'{cv2.data.haarcascades}{CASCADE_FILE}: expected a Haar cascade, got '
        'none: install opencv-python as pinned in requirements.txt'
      )
    self.num_faces = 0
    self._near_looks_left = 0
    self._looks_left_to_count = 1

  def find(self, frame: np.ndarray, tracked: Box | None = None) -> Box | None:
    """Looks for the largest face.

    Everywhere without a tracked face, after nine looks near it, and where the
    last answer lay elsewhere.

    Args:
      frame: uint8 (height, width, 3), BGR or RGB (grey values differ a little).
      tracked: box of the face in view. Faces below 0.7 of its width are
        looked for only when there is none above.

    Returns:
      The largest face's box in pixels of `frame`, or None.
    """
    near = tracked and _surroundings_px(tracked, frame.shape)
    if tracked and near and self._near_looks_left:
      self._near_looks_left -= 1
      box = self._find_near(frame, near, tracked[2])
      if box is not None:
        return box
    box = self._find_everywhere(frame, tracked[2] if tracked else 0)
    is_other = near and box and not _is_within(box, near)
    self._near_looks_left = 0 if is_other or box is None else MAX_NEAR_LOOKS
    return box

  def _find_near(
    self, frame: np.ndarray, near: tuple[int, int, int, int], width_px: int
  ) -> Box | None:
    x0, x1, y0, y1 = near
    scale = _detection_scale(frame)
    min_px = int(MIN_TRACKED_SHARE * width_px / scale)
    boxes = self._cascade.detectMultiScale(
      _grey(frame[y0:y1, x0:x1], scale),
      NEAR_SCALE_STEP,
      NEAR_MIN_NEIGHBOURS,
      minSize=(min_px, min_px),
    )
    return _largest(boxes, scale, (x0, y0))

  def _find_everywhere(self, frame: np.ndarray, width_px: int) -> Box | None:
    scale = _detection_scale(frame)
    grey = _grey(frame, scale)
    least_px = int(MIN_FACE_SHARE * min(grey.shape))
    tracked_px = int(MIN_TRACKED_SHARE * width_px / scale)
    for min_px in sorted({max(least_px, tracked_px), least_px}, reverse=True):
      boxes = self._cascade.detectMultiScale(
        grey,
        CASCADE_SCALE_STEP,
        CASCADE_MIN_NEIGHBOURS,
        minSize=(min_px, min_px),
      )
      self.num_faces = len(boxes)
      if len(boxes) == 1 and min_px > least_px:
        self.num_faces = self._count(grey, least_px)
      if len(boxes):
        return _largest(boxes, scale)
    return None

  def _count(self, grey: np.ndarray, min_px: int) -> int:
    """Counts the small ones too, at every third call; else 1."""
    self._looks_left_to_count -= 1
    if self._looks_left_to_count:
      return 1
    self._looks_left_to_count = LOOKS_PER_COUNT
    boxes = self._cascade.detectMultiScale(
      grey, CASCADE_SCALE_STEP, CASCADE_MIN_NEIGHBOURS, minSize=(min_px, min_px)
    )
    return max(1, len(boxes))


def _detection_scale(frame: np.ndarray) -> float:
  return max(1.0, frame.shape[1] / DETECTION_WIDTH_PX)


def _grey(image: np.ndarray, scale: float) -> np.ndarray:
  """What the cascade sees: never enlarged."""
  if scale > 1:
    size_px = [max(1, round(side / scale)) for side in image.shape[1::-1]]
    image = cv2.resize(image, size_px, interpolation=cv2.INTER_AREA)
  return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def _largest(
  boxes, scale: float, origin_px: tuple[int, int] = (0, 0)
) -> Box | None:
  """The largest of the cascade's answer, in pixels of the frame."""
  if not len(boxes):
    return None
  # Of equals the upper left one: the order of OpenCV's list is not defined.
  box = min(map(tuple, boxes.tolist()), key=lambda b: (-b[2] * b[3], b[:2]))
  x, y, width, height = (round(side * scale) for side in box)
  return x + origin_px[0], y + origin_px[1], width, height


def _surroundings_px(
  box: Box, frame_shape: tuple[int, ...]
) -> tuple[int, int, int, int] | None:
  """x0, x1, y0, y1 of where a face in view is looked for; None if nowhere."""
  x, y, width, height = box
  margin_px = width // NEAR_DIVISOR
  x0, x1 = max(0, x - margin_px), min(frame_shape[1], x + width + margin_px)
  y0, y1 = max(0, y - margin_px), min(frame_shape[0], y + height + margin_px)
  return (x0, x1, y0, y1) if x0 < x1 and y0 < y1 else None


def _is_within(box: Box, bounds_px: tuple[int, int, int, int]) -> bool:
  """Whether the middle of a box is."""
  x0, x1, y0, y1 = bounds_px
  x, y, width, height = box
  return x0 <= x + width // 2 < x1 and y0 <= y + height // 2 < y1
