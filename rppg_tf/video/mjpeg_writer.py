"""Motion-JPEG in AVI: JPEGs by cv2.imencode, the container by PyAV.

cv2.VideoWriter and FFmpeg's own encoder halve the resolution of colour or are
slower; imencode is libjpeg-turbo and can keep colour whole.
"""

import os
import pathlib
from fractions import Fraction

import av
import cv2
import numpy as np


class MjpgWriter:
  """Writes one video; use it in a `with` statement."""

  def __init__(
    self,
    path: pathlib.Path,
    fps: float,
    width_px: int,
    height_px: int,
    quality: int,
  ):
    """Opens the file.

    Args:
      path: file to make or replace.
      fps: nominal frame rate, kept to 1/1000.
      width_px: of every frame.
      height_px: of every frame.
      quality: JPEG quality 1..100. Colour keeps its full resolution (4:4:4).

    Raises:
      OSError: the file cannot be made.
    """
    self._path = path
    self._size = (height_px, width_px, 3)
    self._options = (
      cv2.IMWRITE_JPEG_QUALITY,
      quality,
      cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
      cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    )
    self._num_frames = 0
    self._container = av.open(
      os.fspath(path),
      'w',
      format='avi',
      # FFmpeg's version is not written: the same frames, the same bytes.
      container_options={'fflags': '+bitexact'},
    )
    rate = Fraction(round(fps * 1000), 1000)
    self._stream = self._container.add_mux_stream(
      'mjpeg', rate=rate, width=width_px, height=height_px
    )
    self._period_s = 1 / rate
    self._stream.time_base = self._period_s
    self._container.start_encoding()

  def __enter__(self):
    return self

  def __exit__(self, kind, value, traceback):
    self._container.close()

  def write(self, frame: np.ndarray):
    """Adds a frame, uint8 (height, width, 3) BGR.

    Raises:
      ValueError: another shape or type.
      OSError: the file cannot be written.
    """
    if frame.shape != self._size or frame.dtype != np.uint8:
      raise ValueError(
        f'{self._path}: expected a uint8 frame {self._size}, got '
        f'{frame.dtype} {frame.shape}; convert it first'
      )
    _, jpeg = cv2.imencode('.jpg', frame, self._options)
    packet = av.Packet(jpeg.tobytes())
    packet.stream = self._stream
    packet.time_base = self._period_s
    packet.pts = packet.dts = self._num_frames
    packet.is_keyframe = True
    self._container.mux(packet)
    self._num_frames += 1
