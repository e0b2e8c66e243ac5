"""Videos of a few small frames, and reading them whole, for the tests."""

import av
import numpy as np

from rppg_tf.video import mjpeg_writer
from rppg_tf.video import reader as video_reader

SIZE_PX = (64, 48)
QUALITY = 95


def read(path):
  pairs = list(video_reader.VideoReader(path))
  return np.array([f for f, _ in pairs]), np.array([t for _, t in pairs])


def scenes(num_frames=10, height_px=SIZE_PX[1]):
  """Smooth colours that change with time, uint8 BGR."""
  y, x = np.mgrid[:height_px, : SIZE_PX[0]]
  return [
    np.stack([60 + x, 80 + y + 3 * t, 200 - x - t], axis=2).astype(np.uint8)
    for t in range(num_frames)
  ]


def write_mjpg(path, frames, rate_hz=25.0):
  with mjpeg_writer.MjpgWriter(path, rate_hz, *SIZE_PX, QUALITY) as writer:
    for frame in frames:
      writer.write(frame)


def encode(path, frames, codec='libx264', rotation=None, rate_hz=25, **options):
  """Writes frames, uint8 BGR, by PyAV."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(codec, rate=rate_hz, options=options)
    stream.height, stream.width = frames[0].shape[:2]
    stream.pix_fmt = 'yuv420p'
    if rotation:
      stream.set_display_rotation(*rotation)
    for frame in frames:
      container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, 'bgr24')))
    container.mux(stream.encode())
