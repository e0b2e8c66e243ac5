"""Frames of a video → batches of normalised ROIs, by all cores.

    frames ──▶ where is the face ──▶ decode ──▶ follow, cut, normalise ──▶ Batch
               (in order of time)   (all cores)    (in order of time)

The result is that of one thread, byte for byte. NumPy and OpenCV only.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from rppg_tf import (
  background,
  background_thread,
  chrominance,
  face_box,
  face_motion,
  face_rois,
)
from rppg_tf.jpeg_frame import JpegFrame, decoded
from rppg_tf.ordered_map import ordered_map

# As VideoReader gives it: uint8 (height, width, 3) BGR, or a JPEG of that.
Frame = np.ndarray | JpegFrame

# Cut frames that may wait while the CNN runs on those before.
_CUT_FRAMES = 32


class Batch(NamedTuple):
  """Consecutive frames, cut and normalised.

  Attributes:
    codes: int8 [num_frames, 3, 36, 36, 3] (background.py).
    colour: int16 [num_frames, 4] (chrominance.py).
    elapsed_s: float64 [num_frames], seconds from the first frame.
    face_found: bool [num_frames].
    frame: the last frame.
    box: face box in it, or None.
    roi_geometry: a key of face_rois.ROI_GEOMETRIES_PERCENT.
  """

  codes: np.ndarray
  colour: np.ndarray
  elapsed_s: np.ndarray
  face_found: np.ndarray
  frame: Frame
  box: face_box.Box | None
  roi_geometry: str


class _Located(NamedTuple):
  """A frame whose face box is known; `whole` once it is decoded."""

  frame: Frame
  whole: np.ndarray | None
  time_s: float
  box: face_box.Box | None
  num_faces: int


def cut_batches(
  frames: Iterable[tuple[Frame, float]],
  roi_geometry: str,
  background_mode: str,
  num_frames: int,
  notify: Callable[[str], None],
  num_threads: int = 1,
) -> Iterator[Batch]:
  """Finds the face and cuts and normalises its ROIs.

  A JPEG that cannot be decoded is left out.

  Args:
    frames: (frame, seconds from the first), times not decreasing.
    roi_geometry: a key of face_rois.ROI_GEOMETRIES_PERCENT.
    background_mode: one of background.MODES.
    num_frames: frames per batch; the last may be shorter.
    notify: is told once if more than one face is in view.
    num_threads: that decode and cut; with more than one, a few frames more
      than are given out are read.
  """
  coder = background.InputCoder(background_mode)
  colour_stream = chrominance.ChrominanceStream()
  told = False
  rows = []
  for located, cut in _cut(frames, roi_geometry, num_threads):
    if located.num_faces > 1 and not told:
      told = True
      notify(f'{located.num_faces} faces seen: the largest is measured')
    seen = (located.time_s, cut.face_found)
    codes = coder.push(cut.rois, *seen)
    rows.append((codes, colour_stream.push(cut.mid_face_rgb, *seen), *seen))
    if len(rows) == num_frames:
      yield _batch(rows, located, roi_geometry)
      rows = []
  if rows:
    yield _batch(rows, located, roi_geometry)


def _batch(rows: list[tuple], last: _Located, roi_geometry: str) -> Batch:
  series = map(np.array, zip(*rows, strict=True))
  return Batch(*series, last.frame, last.box, roi_geometry)


def _cut(
  frames: Iterable[tuple[Frame, float]], roi_geometry: str, num_threads: int
) -> Iterator[tuple[_Located, face_rois.FaceRois]]:
  """Every frame that can be decoded, with what is cut from it."""

  def decode(located: _Located) -> _Located:
    if located.whole is not None:
      return located
    num_rows = face_rois.num_rows(located.box, roi_geometry)
    return located._replace(whole=decoded(located.frame, num_rows))

  def cut() -> Iterator[tuple[_Located, face_rois.FaceRois]]:
    motion = face_motion.FaceMotion()
    for located in ordered_map(decode, _located(frames), num_threads):
      if located.whole is None:
        continue
      shift = motion.push(located.whole, located.box)
      face = face_rois.cut_face(located.whole, located.box, roi_geometry, shift)
      yield located._replace(whole=None, box=face.box), face

  if num_threads > 1:
    return background_thread.ahead(cut(), _CUT_FRAMES)
  return cut()


def _located(frames: Iterable[tuple[Frame, float]]) -> Iterator[_Located]:
  detector = face_rois.FaceDetector()
  tracker = face_rois.FaceTracker(detector)
  for frame, time_s in frames:
    whole = None
    if tracker.is_look_due(time_s):
      whole = decoded(frame)
      if whole is None:
        continue
      tracker.look(whole, time_s)
    box = tracker.box_at(time_s)
    yield _Located(frame, whole, time_s, box, detector.num_faces)
