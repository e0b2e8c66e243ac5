"""Videos through Python and through the firmware, for several tests."""

import itertools
import pathlib

import numpy as np

from rppg_tf import run_directory
from rppg_tf.video import timestamps
from rppg_tf.video.reader import VideoReader
from tools.firmware_runner import stream

REAL_VIDEO = (
  pathlib.Path(__file__).parents[3]
  / 'shared/real_video/talking_face_640x360_24fps.mp4'
)


def expect(video: pathlib.Path, max_frames: int | None = None):
  """Frames of a video for the firmware, and what Python makes of them."""
  pipeline = stream.PythonPipeline(
    run_directory.PRETRAINED, stream.FIRMWARE / 'generated'
  )
  reader = VideoReader(video)
  timed = timestamps.elapsed_times(reader, str(video), print)
  both = [
    pipeline.step(frame_bgr, round(time_s * 1e6))
    for frame_bgr, time_s in itertools.islice(timed, max_frames)
  ]
  frames, expected = zip(*both, strict=True)
  return list(frames), np.stack(expected)


def replay(
  target: str, frames: list[stream.Frame], own_detector: bool = False
) -> np.ndarray:
  """What the firmware makes of them: FRAME_OUT [num_frames]."""
  return np.stack(list(stream.replay(target, frames, own_detector)))
