"""How far the head has moved since its box was taken, in 1/16 of a pixel.

A box that stands still while the head moves sees other skin, other shade and
the room behind; one that follows a detector's jitter sees worse. So the box is
moved with the picture inside it: the sums over its columns and over its rows
are held against those of the frame in which the box was taken (Lucas, Kanade
1981, in one dimension each).

Made to be ported: integers up to the sums, then float64 in the order written,
so that C repeats every bit. NumPy and OpenCV only.
"""

from typing import NamedTuple

import cv2
import numpy as np

from rppg_tf.faces.stabiliser import Box

# Positions finer than a pixel are integers, in this many parts of one.
SUBPIXELS = 16
# The part of the box that is looked at (percent: x from, x to, y from, y to).
PROFILE_PERCENT = (0, 100, 5, 95)
# Columns and rows are summed up in at most this many bins of equal width.
MAX_BINS = 64
# Fewer say nothing of where they are.
MIN_BINS = 8
# After a first look, where the head is found farther away than a bin.
NUM_MORE_LOOKS = 2
# The head may leave its box by width / 4.
REACH_DIVISOR = 4
# Of the mean square slope of a profile whose mean is 1: a wall has less.
MIN_SLOPE = 1e-9


class Shift(NamedTuple):
  """How far the head has moved, to the right and down.

  Attributes:
    x, y: in 1/16 of a pixel.
  """

  x: int
  y: int

  def whole(self) -> tuple[int, int]:
    """Returns x and y in whole pixels, to the nearest, half up."""
    half = SUBPIXELS // 2
    return (self.x + half) // SUBPIXELS, (self.y + half) // SUBPIXELS


STILL = Shift(0, 0)


class FaceMotion:
  """Follows the head inside a box, one frame at a time."""

  def __init__(self):
    self._box = None
    self._shift = STILL
    self._templates: tuple[np.ndarray, np.ndarray] | None = None

  def push(self, frame_bgr: np.ndarray, box: Box | None) -> Shift:
    """Looks at the next frame.

    Args:
      frame_bgr: uint8 (height, width, 3), any order of colours.
      box: the face's, of face_box.FaceBoxStabiliser, or None.

    Returns:
      Where the head is in this frame as seen from where it was in the first
      frame with this very box. Where the box so moved reaches out of the
      image, or nothing in it tells places apart, the last frame's.
    """
    if box != self._box:
      self._box, self._shift, self._templates = box, STILL, None
    if box is None:
      return STILL
    if self._templates is None:
      profiles = _profiles(frame_bgr, box, (0, 0))
      if profiles is not None:
        columns, rows = profiles
        self._templates = columns.astype(np.float32), rows.astype(np.float32)
      return STILL
    self._shift = self._found(frame_bgr, box, self._templates)
    return self._shift

  def _found(self, frame_bgr, box, templates) -> Shift:
    shift = self._shift
    for _ in range(1 + NUM_MORE_LOOKS):
      place = shift.whole()
      profiles = _profiles(frame_bgr, box, place)
      if profiles is None:
        return shift
      bins = [_bin_px(side) for side in _sides(box)]
      moved = [
        _displacement(template, profile, bin_px * SUBPIXELS)
        for template, profile, bin_px in zip(
          templates, profiles, bins, strict=True
        )
      ]
      shift = Shift(
        *(
          _limited(SUBPIXELS * at + by, box[2] * SUBPIXELS // REACH_DIVISOR)
          for at, by in zip(place, moved, strict=True)
        )
      )
      if all(
        abs(by) <= bin_px * SUBPIXELS
        for by, bin_px in zip(moved, bins, strict=True)
      ):
        break
    return shift


def _limited(value: int, limit: int) -> int:
  return max(-limit, min(limit, value))


def region_px(
  box: Box, percent: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
  """Returns x0, x1, y0, y1 of a region of a box, in or outside of the image.

  A bound lies at `x + (width * percent + 50) // 100`: rounded to the nearest
  pixel, half up, in integers.

  Args:
    box: the face's.
    percent: x from, x to, y from, y to, in percent of the box.
  """
  x, y, width, height = box
  x_from, x_to, y_from, y_to = percent
  return (
    x + (width * x_from + 50) // 100,
    x + (width * x_to + 50) // 100,
    y + (height * y_from + 50) // 100,
    y + (height * y_to + 50) // 100,
  )


def _sides(box) -> tuple[int, int]:
  x0, x1, y0, y1 = region_px(box, PROFILE_PERCENT)
  return x1 - x0, y1 - y0


def _bin_px(side_px: int) -> int:
  return -(-side_px // MAX_BINS)


def _profiles(
  frame: np.ndarray, box, place: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray] | None:
  """Sums of a region's columns and of its rows, by bins, over their mean.

  Args:
    frame: uint8 (height, width, 3).
    box: as taken.
    place: whole pixels that it is moved by.

  Returns:
    float64 [bins] each, mean 1; None if the region reaches out of the image,
    is too small or black.
  """
  x0, x1, y0, y1 = region_px(box, PROFILE_PERCENT)
  x0, x1, y0, y1 = x0 + place[0], x1 + place[0], y0 + place[1], y1 + place[1]
  height_px, width_px = frame.shape[:2]
  if x0 < 0 or y0 < 0 or x1 > width_px or y1 > height_px:
    return None
  if min(x1 - x0, y1 - y0) < MIN_BINS:
    return None
  crop = _channels_side_by_side(frame)[y0:y1, 3 * x0 : 3 * x1]
  columns = cv2.reduce(crop, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
  rows = cv2.reduce(crop, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
  profiles = (_binned(columns.reshape(-1, 3).sum(axis=1)), _binned(rows[:, 0]))
  if not all(np.any(profile) for profile in profiles):
    return None
  return tuple(p / (p.sum() / len(p)) for p in profiles)


def _channels_side_by_side(frame: np.ndarray) -> np.ndarray:
  """View (height, 3 * width): OpenCV sums one channel up 60 times as fast."""
  return frame.reshape(len(frame), -1)


def _binned(sums: np.ndarray) -> np.ndarray:
  """Adds neighbours up; those left over at the end are left out."""
  bin_px = _bin_px(len(sums))
  num_bins = len(sums) // bin_px
  parts = sums[: num_bins * bin_px].reshape(num_bins, bin_px)
  return parts.sum(axis=1, dtype=np.int64)


def _displacement(template: np.ndarray, profile: np.ndarray, scale: int) -> int:
  """How far a profile lies behind its template, in bins times `scale`.

  To first order profile = template - displacement * slope; the displacement
  is that of least squares, free of a common offset. The slope is the mean of
  both profiles', so that it is right to second order.

  Args:
    template: float32 [bins].
    profile: float64 [bins].
    scale: what a bin is in units of the result.

  Returns:
    The displacement to the nearest, half up; 1.5 bins at most.
  """
  template = template.astype(np.float64)
  slope = ((template[2:] - template[:-2]) + (profile[2:] - profile[:-2])) * 0.25
  change = (profile - template)[1:-1]
  num = float(len(slope))
  slopes, changes = _sum(slope), _sum(change)
  square = _sum(slope * slope) - slopes * slopes / num
  product = _sum(slope * change) - slopes * changes / num
  if square < MIN_SLOPE * num:
    return 0
  bins = max(-1.5, min(1.5, -product / square))
  return int(np.floor(bins * scale + 0.5))


def _sum(values: np.ndarray) -> float:
  """Adds up from the first to the last, as C does; np.sum does not."""
  return float(np.add.accumulate(values)[-1])


def mean_rgb(
  frame_bgr: np.ndarray, bounds_px: tuple[int, int, int, int], shift: Shift
) -> np.ndarray:
  """Mean colour of a rectangle whose edges may lie between pixels.

  Args:
    frame_bgr: uint8 (height, width, 3).
    bounds_px: x0, x1, y0, y1 before it is moved; what then lies outside of
      the image is left out.
    shift: how far it is moved.

  Returns:
    float32 (3,) R, G, B in [0, 255]: pixels weighted by the area, in 1/256,
    that lies inside; exact integer sum / area. Zero where nothing does.
  """
  height_px, width_px = frame_bgr.shape[:2]
  x, x_weights = _weights(bounds_px[:2], shift.x, width_px)
  y, y_weights = _weights(bounds_px[2:], shift.y, height_px)
  if not len(x_weights) or not len(y_weights):
    return np.zeros(3, np.float32)
  crop = _channels_side_by_side(frame_bgr)[
    y : y + len(y_weights), 3 * x : 3 * (x + len(x_weights))
  ]
  sums = cv2.reduce(crop, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[0]
  # All rows count whole but the first and the last.
  columns = SUBPIXELS * sums.astype(np.int64)
  for row in {0, len(crop) - 1}:
    columns -= (SUBPIXELS - y_weights[row]) * crop[row].astype(np.int64)
  total = x_weights @ columns.reshape(-1, 3)
  area = int(x_weights.sum()) * int(y_weights.sum())
  return (total[::-1].astype(np.float64) * (1.0 / area)).astype(np.float32)


def _weights(
  bounds_px: tuple[int, int], shift: int, length_px: int
) -> tuple[int, np.ndarray]:
  """First pixel, and how much of each pixel, in 1/16, lies between bounds."""
  start = max(0, SUBPIXELS * bounds_px[0] + shift)
  end = min(SUBPIXELS * length_px, SUBPIXELS * bounds_px[1] + shift)
  if end <= start:
    return 0, np.zeros(0, np.int64)
  first, last = start // SUBPIXELS, -(-end // SUBPIXELS)
  weights = np.full(last - first, SUBPIXELS, np.int64)
  weights[0] -= start - SUBPIXELS * first
  weights[-1] -= SUBPIXELS * last - end
  return first, weights
