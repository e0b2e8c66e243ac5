"""Videos for the page: what its camera plays, and files to drop."""

import pathlib

import av
import numpy as np

from tests.support import commands, small_videos

RATE_BPM = 72
FRAMES_PER_S = 20


def render(folder: pathlib.Path, duration_s: float) -> list[np.ndarray]:
  """Renders a face of 72 BPM, 640x480, 20 frames/s; returns BGR frames."""
  commands.run_well(
    'tools.render_recordings',
    f'--output_dir={folder}',
    '--num_recordings=1',
    '--first_subject=7072',
    '--seed=72',
    f'--heart_rate_bpm={RATE_BPM}',
    f'--duration_s={duration_s}',
    f'--fps={FRAMES_PER_S}',
  )
  with av.open(str(folder / 'DATASET_2/subject7072/vid.avi')) as container:
    return [
      frame.to_ndarray(format='bgr24') for frame in container.decode(video=0)
    ]


def write_camera(path: pathlib.Path, frames: list[np.ndarray]) -> pathlib.Path:
  """Writes what Chromium's camera plays in a loop (.y4m).

  Not as JPEGs, which take it so long that on a busy machine it plays slower,
  and with it the pulse.
  """
  small_videos.encode(path, frames, 'rawvideo', rate_hz=FRAMES_PER_S)
  return path


def flat_frames(level: int) -> list[np.ndarray]:
  """Pictures of one grey."""
  return [np.full((480, 640, 3), level, np.uint8)] * 2


def write_file(
  path: pathlib.Path, frames: list[np.ndarray], rate_hz: int = FRAMES_PER_S
) -> pathlib.Path:
  """Writes a video that browsers play, with little loss."""
  small_videos.encode(
    path, frames, rate_hz=rate_hz, crf='12', preset='ultrafast'
  )
  return path
