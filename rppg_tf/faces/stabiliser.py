"""The detector's boxes jitter; the box to cut with must stand still.

Integers only, so that C repeats it exactly (firmware/src/face_box.c). A box is
(x, y, width, height) in whole pixels of the full frame.
"""

import statistics
from collections import deque

from rppg_tf import contract

Box = tuple[int, int, int, int]

NUM_RECENT_DETECTIONS = 5
# Time, not a count of frames: 23 and 60 frames/s then behave alike.
DETECTION_INTERVAL_US = 500_000
# While recent detections are few or disagree with the box.
UNSETTLED_INTERVAL_US = 100_000
# The box moves when the median has moved by more than width / 10 ...
MOVE_DIVISOR = 10
# ... or has grown or shrunk by more than width / 8.
RESIZE_DIVISOR = 8
MAX_FACE_HOLD_US = round(contract.MAX_FACE_HOLD_S * 1e6)


class FaceBoxStabiliser:
  """Makes a box that stands still out of detections that jitter.

  The box is the median of the last five detections, taken over only when it
  has moved by more than a tenth or changed size by more than an eighth of the
  width; else the box does not move by a pixel. One false detection therefore
  changes nothing, and a real move is followed at the third detection: 0.3 s,
  since detections come faster as soon as one disagrees with the box.

  Integers only, so that C can repeat it exactly. For each frame:

      if stabiliser.is_detection_due(time_us):
        stabiliser.update(detector.find(frame), time_us)
      box = stabiliser.box_at(time_us)
  """

  def __init__(self):
    self._recent: deque[Box] = deque(maxlen=NUM_RECENT_DETECTIONS)
    self._box: Box | None = None
    self._settled = False
    self._missed = True  # the last detection found nothing, or none was made
    self._last_try_us = 0
    self._last_seen_us = 0

  def is_detection_due(self, time_us: int) -> bool:
    """Whether to run the detector on the frame of this time.

    Args:
      time_us: time of the frame, in microseconds, not decreasing.

    Returns:
      True at the first frame, at every frame while the face is lost, and
      after 0.5 s (0.1 s while unsettled) otherwise.
    """
    interval_us = (
      DETECTION_INTERVAL_US if self._settled else UNSETTLED_INTERVAL_US
    )
    return self._missed or time_us - self._last_try_us >= interval_us

  def update(self, detection: Box | None, time_us: int) -> None:
    """Takes the detector's answer on the frame of this time.

    Args:
      detection: box of positive width and height, or None.
      time_us: time of the frame, in microseconds, not decreasing.
    """
    self._last_try_us = time_us
    self._missed = detection is None
    if detection is None:
      return
    if time_us - self._last_seen_us > MAX_FACE_HOLD_US:
      self._recent.clear()  # too old to be of use
    self._last_seen_us = time_us
    self._recent.append(detection)
    # The lower median: of an even number no two values are averaged.
    median = tuple(map(statistics.median_low, zip(*self._recent, strict=True)))
    if self._box is None or _has_moved(self._box, median):
      self._box = median
    self._settled = len(
      self._recent
    ) == NUM_RECENT_DETECTIONS and not _has_moved(self._box, detection)

  def box_at(self, time_us: int) -> Box | None:
    """The box to cut with: the last one is held for 1 s, then None."""
    if time_us - self._last_seen_us > MAX_FACE_HOLD_US:
      return None
    return self._box


def _has_moved(box: Box, other: Box) -> bool:
  """Whether `other` is more than jitter away from `box`."""
  for start in (0, 1):  # x and width, y and height
    side = box[2 + start]
    other_side = other[2 + start]
    # Twice the shift of the centre, so that it is an integer.
    double_shift = abs(
      (2 * other[start] + other_side) - (2 * box[start] + side)
    )
    if double_shift * MOVE_DIVISOR > 2 * side:
      return True
    if abs(other_side - side) * RESIZE_DIVISOR > side:
      return True
  return False
