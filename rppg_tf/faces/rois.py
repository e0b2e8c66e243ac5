"""Video frame -> face box -> three 36x36 RGB patches. OpenCV and numpy only.

Made to be ported: everything that decides which pixels are cut
(`stabiliser.py`, `motion.py`, `roi_bounds_px`) is causal and made of
integers, or of sums in a given order, so that C can repeat it exactly; so does
firmware/src/face_detector.c what `detector.py` has OpenCV do.

    frame --(every 0.5 s)--> FaceDetector --> raw box
    raw box, time --> FaceBoxStabiliser --> box that stands still
    frame, box --> FaceMotion --> how far the head has moved in it
    frame, box, shift --> cut_rois --> uint8 [3, 36, 36, 3] RGB, mid-face mean
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

from rppg_tf import contract
from rppg_tf.faces import motion
from rppg_tf.faces.detector import Detector, FaceDetector
from rppg_tf.faces.stabiliser import Box, FaceBoxStabiliser

# Regions as percent of the face box (x from, x to, y from, y to), in the order
# of contract.ROI_NAMES. `inner` keeps hair and background out; `original` is
# UltraLightRPPG's, for those who hold data made so.
ROI_GEOMETRIES_PERCENT = {
  'inner': ((25, 75, 10, 30), (20, 45, 45, 80), (55, 80, 45, 80)),
  'original': ((20, 80, 5, 25), (5, 30, 35, 65), (70, 95, 35, 65)),
}
DEFAULT_ROI_GEOMETRY = 'inner'
MID_FACE_PERCENT = (20, 80, 10, 90)


class FaceRois(NamedTuple):
  """What is cut from one frame.

  Attributes:
    rois: uint8 (3, 36, 36, 3), RGB, order of contract.ROI_NAMES; zero without
      a face.
    mid_face_rgb: float32 (3,), mean R, G, B in [0, 255]; zero without a face.
    face_found: whether a face was seen within the last second.
    box: where it was cut, or None.
  """

  rois: np.ndarray
  mid_face_rgb: np.ndarray
  face_found: bool
  box: Box | None


class FaceTracker:
  """Knows the box of every frame, and looks at few of them.

  Args:
    detector: trackers in different threads must not share one.
  """

  def __init__(self, detector: Detector):
    self._detector = detector
    self._stabiliser = FaceBoxStabiliser()
    self._last_time_us: int | None = None

  def is_look_due(self, time_s: float) -> bool:
    """Whether `look` is to be called with the next frame.

    Args:
      time_s: its measured time in seconds, any origin, not decreasing.

    Raises:
      ValueError: the time is not finite, or decreases.
    """
    return self._stabiliser.is_detection_due(self._checked_time_us(time_s))

  def look(self, frame_bgr: np.ndarray, time_s: float) -> None:
    """Looks for the face.

    Args:
      frame_bgr: uint8 (height, width, 3), BGR as OpenCV reads it.
      time_s: its time, as given to is_look_due.

    Raises:
      ValueError: not such a frame.
    """
    _check_frame(frame_bgr)
    detection = self._detector.find(frame_bgr, self.box_at(time_s))
    self._stabiliser.update(detection, _microseconds(time_s))

  def box_at(self, time_s: float) -> Box | None:
    """The box in the frame of this time; None 1 s after the face was lost."""
    return self._stabiliser.box_at(_microseconds(time_s))

  def _checked_time_us(self, time_s: float) -> int:
    if not math.isfinite(time_s):
      raise ValueError(
        f'time_s must be finite, got {time_s}: pass the measured frame time'
      )
    time_us = _microseconds(time_s)
    if self._last_time_us is not None and time_us < self._last_time_us:
      raise ValueError(
        f'time_s must not decrease, got {time_s:.6f} after '
        f'{self._last_time_us / 1e6:.6f}: pass frames in order of time, and '
        'use a FaceRoiExtractor for each video'
      )
    self._last_time_us = time_us
    return time_us


class FaceRoiExtractor:
  """Frames in order of time -> ROI patches.

  Args:
    geometry: a key of ROI_GEOMETRIES_PERCENT.
    detector: a FaceDetector of its own by default. Extractors in different
      threads must not share one.
  """

  def __init__(
    self,
    geometry: str = DEFAULT_ROI_GEOMETRY,
    detector: Detector | None = None,
  ):
    _roi_percent(geometry)
    self._geometry = geometry
    self._tracker = FaceTracker(detector or FaceDetector())
    self._motion = motion.FaceMotion()

  def process(self, frame_bgr: np.ndarray, time_s: float) -> FaceRois:
    """Cuts the ROIs of the next frame.

    Args:
      frame_bgr: uint8 (height, width, 3), BGR as OpenCV reads it.
      time_s: its measured time in seconds, any origin, not decreasing.

    Returns:
      The patches, or zeros if no face was seen for more than 1 s.

    Raises:
      ValueError: not such a frame, or the time is not finite or decreases.
    """
    _check_frame(frame_bgr)
    if self._tracker.is_look_due(time_s):
      self._tracker.look(frame_bgr, time_s)
    box = self._tracker.box_at(time_s)
    shift = self._motion.push(frame_bgr, box)
    return cut_face(frame_bgr, box, self._geometry, shift)


def cut_face(
  frame_bgr: np.ndarray,
  box: Box | None,
  geometry: str = DEFAULT_ROI_GEOMETRY,
  shift: motion.Shift = motion.STILL,
) -> FaceRois:
  """Cuts a face out of one frame, or zeros without a box; see cut_rois."""
  if box is not None:
    cut = cut_rois(frame_bgr, box, geometry, shift)
    return FaceRois(*cut, True, moved_box(box, shift))
  rois = np.zeros((contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE), np.uint8)
  return FaceRois(
    rois, np.zeros(contract.NUM_CHANNELS, np.float32), False, None
  )


def num_rows(box: Box | None, geometry: str = DEFAULT_ROI_GEOMETRY) -> int:
  """How many rows of a frame, from the top, are read at most.

  By FaceMotion and `cut_face`, however far the head has moved in its box.
  """
  if box is None:
    return 0
  percents = (
    *_roi_percent(geometry),
    MID_FACE_PERCENT,
    motion.PROFILE_PERCENT,
  )
  end = box[1] + box[3]
  lowest = max(roi_bounds_px(box, percent, 0, end)[3] for percent in percents)
  # One more: a rectangle between pixels takes part of the next.
  return max(0, lowest + box[2] // motion.REACH_DIVISOR + 1)


def _microseconds(time_s: float) -> int:
  return round(time_s * 1e6)


def roi_bounds_px(
  box: Box,
  percent: tuple[int, int, int, int],
  width_px: int,
  height_px: int,
) -> tuple[int, int, int, int]:
  """Pixel bounds of a region of a face box, clipped to the image.

  Args:
    box: face box; may reach out of the image.
    percent: x from, x to, y from, y to, in percent of the box.
    width_px: width of the image.
    height_px: height of the image.

  Returns:
    x0, x1, y0, y1: the region is image[y0:y1, x0:x1]. Empty (x1 <= x0 or
    y1 <= y0) where nothing of it is in the image.
  """
  x0, x1, y0, y1 = motion.region_px(box, percent)
  return max(0, x0), min(width_px, x1), max(0, y0), min(height_px, y1)


def cut_rois(
  frame_bgr: np.ndarray,
  box: Box,
  geometry: str = DEFAULT_ROI_GEOMETRY,
  shift: motion.Shift = motion.STILL,
) -> tuple[np.ndarray, np.ndarray]:
  """Cuts the three ROIs and the mid-face mean out of one frame.

  Each pixel of a 36x36 patch is the mean of the region over its area, with
  fractions of source pixels weighted (`resize_by_area`). Patches move with the
  head by whole pixels, the mid face by sixteenths (`face_motion.mean_rgb`).

  Args:
    frame_bgr: uint8 (height, width, 3).
    box: face box.
    geometry: a key of ROI_GEOMETRIES_PERCENT.
    shift: how far the head has moved in the box.

  Returns:
    uint8 (3, 36, 36, 3) RGB patches and float32 (3,) mean R, G, B of the mid
    face in [0, 255]. A region of which nothing is in the image is zero.

  Raises:
    ValueError: not such a frame, or an unknown geometry.
  """
  _check_frame(frame_bgr)
  regions = _roi_percent(geometry)
  rois = np.zeros((contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE), np.uint8)
  moved = moved_box(box, shift)
  for roi, percent in zip(rois, regions, strict=True):
    patch = _crop(frame_bgr, moved, percent)
    if patch.size:
      # The colour order is turned after resizing: 1,296 pixels at most.
      cv2.cvtColor(resize_by_area(patch), cv2.COLOR_BGR2RGB, dst=roi)
  mid_face = motion.region_px(box, MID_FACE_PERCENT)
  return rois, motion.mean_rgb(frame_bgr, mid_face, shift)


def moved_box(box: Box, shift: motion.Shift) -> Box:
  """The box where the head is, to the nearest pixel."""
  x, y, width, height = box
  right_px, down_px = shift.whole()
  return x + right_px, y + down_px, width, height


def resize_by_area(patch: np.ndarray) -> np.ndarray:
  """Brings a region to 36x36 by cv2.INTER_AREA, at any size of the region.

  Target pixel d of a side of n source pixels is their mean over
  [d * n / 36, (d + 1) * n / 36), rounded to nearest: in integers, source
  pixel i has the overlap of [36 * i, 36 * i + 36) and [d * n, d * n + n) as
  weight, and n is the sum of the weights.

  OpenCV does this only where both sides have at least 36 pixels; with one
  side shorter it takes two pixels in *both* directions, which throws light
  away and depends on the last bit of a double. So a short side is repeated a
  whole number of times first, which does not change any mean.

  Args:
    patch: uint8 (height, width, 3), neither side 0.

  Returns:
    uint8 (36, 36, 3).
  """
  size_px = contract.ROI_SIZE_PX
  height_px, width_px = patch.shape[:2]
  if height_px < size_px or width_px < size_px:
    enlarged = (
      width_px * math.ceil(size_px / width_px),
      height_px * math.ceil(size_px / height_px),
    )
    patch = cv2.resize(patch, enlarged, interpolation=cv2.INTER_NEAREST)
  return cv2.resize(patch, (size_px, size_px), interpolation=cv2.INTER_AREA)


def _crop(
  frame: np.ndarray, box: Box, percent: tuple[int, int, int, int]
) -> np.ndarray:
  """View of a region of the face box in the frame; may be empty."""
  height_px, width_px = frame.shape[:2]
  x0, x1, y0, y1 = roi_bounds_px(box, percent, width_px, height_px)
  return frame[y0 : max(y0, y1), x0 : max(x0, x1)]


def _roi_percent(geometry: str) -> tuple[tuple[int, int, int, int], ...]:
  if geometry not in ROI_GEOMETRIES_PERCENT:
    raise ValueError(
      f'roi_geometry must be one of {sorted(ROI_GEOMETRIES_PERCENT)}, got '
      f'{geometry!r}'
    )
  return ROI_GEOMETRIES_PERCENT[geometry]


def _check_frame(frame: np.ndarray) -> None:
  if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
    raise ValueError(
      'frame must be uint8 (height, width, 3), got '
      f'{frame.dtype} {frame.shape}: decode it to 8-bit BGR'
    )
