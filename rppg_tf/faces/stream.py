"""Frames of a video → what is cut from each, by several threads.

    frames ──▶ where is the face ──▶ decode ──▶ follow the head, cut
               (in order of time)   (threads)   (in order of time)

The result is that of one thread, byte for byte. NumPy and OpenCV only.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np

from rppg_tf.faces import detector as face_detector
from rppg_tf.faces import motion as face_motion
from rppg_tf.faces import rois as face_rois
from rppg_tf.faces import stabiliser
from rppg_tf.parallel.ordered_map import ordered_map
from rppg_tf.video import jpeg_frame
from rppg_tf.video.jpeg_frame import decoded


class Located(NamedTuple):
  """A frame whose face box is known.

  Attributes:
    frame: as it was read.
    image: uint8 (height, width, 3), whole or the rows that are needed, once it
      is decoded.
    time_s: its time.
    box: face box, or None.
    num_faces: seen when last looked for.
  """

  frame: jpeg_frame.Frame
  image: np.ndarray | None
  time_s: float
  box: stabiliser.Box | None
  num_faces: int


def cut(
  frames: Iterable[tuple[jpeg_frame.Frame, float]],
  roi_geometry: str,
  num_threads: int = 1,
  pool: Executor | None = None,
) -> Iterator[tuple[Located, face_rois.FaceRois | None]]:
  """Yields each frame with what is cut from it: None if it does not decode.

  Args:
    frames: (frame, seconds), times not decreasing.
    roi_geometry: a key of face_rois.ROI_GEOMETRIES_PERCENT.
    num_threads: that decode, as for ordered_map.
    pool: theirs, as for ordered_map.
  """

  def decode(located: Located) -> Located:
    if located.image is not None:
      return located
    num_rows = face_rois.num_rows(located.box, roi_geometry)
    return located._replace(image=decoded(located.frame, num_rows))

  motion = face_motion.FaceMotion()
  for located in ordered_map(decode, _located(frames), num_threads, pool):
    rois = None
    if located.image is not None:
      shift = motion.push(located.image, located.box)
      rois = face_rois.cut_face(located.image, located.box, roi_geometry, shift)
      located = located._replace(image=None, box=rois.box)
    yield located, rois


def _located(
  frames: Iterable[tuple[jpeg_frame.Frame, float]],
) -> Iterator[Located]:
  detector = face_detector.FaceDetector()
  tracker = face_rois.FaceTracker(detector)
  for frame, time_s in frames:
    whole = None
    if tracker.is_look_due(time_s):
      whole = decoded(frame)
      if whole is not None:
        tracker.look(whole, time_s)
    box = tracker.box_at(time_s)
    yield Located(frame, whole, time_s, box, detector.num_faces)
