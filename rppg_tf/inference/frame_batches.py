"""Frames of a video → batches of normalised ROIs, by all cores.

    frames ──▶ where is the face ──▶ decode ──▶ follow, cut, normalise ──▶ Batch
               (in order of time)   (all cores)    (in order of time)

The result is that of one thread, byte for byte. NumPy and OpenCV only.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from rppg_tf.faces import stabiliser, stream
from rppg_tf.parallel import prefetch
from rppg_tf.signals import background, chrominance
from rppg_tf.video import jpeg_frame

# Cut frames that may wait while the CNN runs on those before.
_CUT_FRAMES = 32


class Batch(NamedTuple):
  """Consecutive frames, cut and normalised.

  Attributes:
    codes: int8 [num_frames, 3, 36, 36, 3] (signals/background.py).
    colour: int16 [num_frames, 4] (signals/chrominance.py).
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
  frame: jpeg_frame.Frame
  box: stabiliser.Box | None
  roi_geometry: str


def cut_batches(
  frames: Iterable[tuple[jpeg_frame.Frame, float]],
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
  pairs = stream.cut(frames, roi_geometry, num_threads)
  if num_threads > 1:
    pairs = prefetch.ahead(pairs, _CUT_FRAMES)
  for located, cut in pairs:
    if cut is None:
      continue
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


def _batch(rows: list[tuple], last: stream.Located, roi_geometry: str) -> Batch:
  codes, colour, elapsed_s, found = map(np.array, zip(*rows, strict=True))
  return Batch(
    codes, colour, elapsed_s, found, last.frame, last.box, roi_geometry
  )
