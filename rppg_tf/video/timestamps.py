"""Times of the frames of a video: what is believed of them."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from rppg_tf.errors import InputError
from rppg_tf.video.jpeg_frame import LOST, Frame

# From these first frames it is judged whether a file's times are of use.
_NUM_JUDGED_FRAMES = 8

# A longer pause is an error in the file's times.
_MAX_PAUSE_S = 60.0

# Someone to tell one line of text.
Notify = Callable[[str], None]

# Frames go through as they are, decoded or not.
AnyFrame = TypeVar('AnyFrame', bound=Frame)

# A rate outside of this says that the stamps are not in seconds; fewer frames
# could not show a pulse either.
MIN_FRAME_RATE_HZ = 5.0
MAX_FRAME_RATE_HZ = 500.0


def elapsed_times(
  frames: Iterable[tuple[AnyFrame, float]], name: str, notify: Notify
) -> Iterator[tuple[AnyFrame, float]]:
  """Replaces a file's presentation times by seconds from the first frame.

  Where times go back or pause for more than 60 s in the middle, the rest is
  joined at one frame's distance. A frame without a time (NaN) gets that of
  the frame before.

  Args:
    frames: (frame, seconds) as VideoReader.stored yields them.
    name: of the video, for errors.
    notify: is told once of a jump.

  Raises:
    InputError: from the start on, times are missing, stand still, go back or
      are too far apart.
  """
  frames = iter(frames)
  judged = _first_frames(frames)
  times_s = np.array([at_s for frame, at_s in judged if frame is not LOST])
  known_s = times_s[np.isfinite(times_s)]
  steps_s = np.diff(known_s)
  period_s = float(np.median(steps_s)) if len(steps_s) else 0.0
  if not _are_usable(known_s, len(times_s)):
    raise InputError(
      f'{name}: no usable time stamps; give its frame rate by --fps'
    )
  if period_s * MIN_FRAME_RATE_HZ > 1:
    raise InputError(
      f'{name}: {1 / period_s:.1f} frames/s by its time stamps, a heart rate '
      f'needs {MIN_FRAME_RATE_HZ:g}; if they are wrong, give the rate by --fps'
    )
  origin_s = last_s = float(known_s[0]) if len(known_s) else 0.0
  joined = False
  for frame, time_s in itertools.chain(judged, frames):
    if not math.isfinite(time_s):
      time_s = last_s
    if not last_s <= time_s <= last_s + _MAX_PAUSE_S:
      origin_s += time_s - last_s - period_s
      if not joined:
        notify(f'time stamps jump after {last_s:.1f} s: joined there')
      joined = True
    last_s = time_s
    yield frame, time_s - origin_s


def _are_usable(known_s: np.ndarray, num_frames: int) -> bool:
  steps_s = np.diff(known_s)
  # Single times that are there twice do occur.
  return bool(
    2 * len(known_s) >= num_frames
    and np.all(steps_s >= 0)
    and np.count_nonzero(steps_s) * 2 >= len(steps_s)
  )


def _first_frames(frames: Iterator[tuple[Frame, float]]) -> list:
  """Takes what comes up to the eighth frame that is not lost."""
  taken, num_frames = [], 0
  while num_frames < _NUM_JUDGED_FRAMES:
    try:
      taken.append(next(frames))
    except StopIteration:
      break
    num_frames += taken[-1][0] is not LOST
  return taken
