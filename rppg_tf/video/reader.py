"""Frames of a video file or a camera, one at a time; OpenCV.

Motion-JPEG is taken apart here: FFmpeg hands out the packets, each of them a
JPEG, and libjpeg-turbo decodes them in half of the CPU time of FFmpeg's own
decoder (640x480, 4:4:4, quality 95: 2.9 ms instead of 5.3 on one core). What
trains and what predicts both read by this reader: the same bytes.
"""

import os
import time
from collections.abc import Iterator

import cv2
import numpy as np

from rppg_tf.errors import InputError
from rppg_tf.video.jpeg_frame import JpegFrame, decoded

_MJPG = cv2.VideoWriter.fourcc(*'MJPG')
_AS_STORED = -1  # of CAP_PROP_FORMAT: packets instead of frames


class VideoError(InputError):
  """A video or camera cannot be used; one line says what to do."""


class VideoReader:
  """Frames of a video file or a camera, one at a time.

  Args:
    source: path of a video, or number of a camera.
    num_threads: decoder threads; 0 leaves the choice to FFmpeg. JPEGs are
      decoded by one.

  Attributes:
    header_frames: number of frames that the file's header claims; 0 if it
      says nothing, and for a camera. Not to be trusted: count what you read.
    header_rate_hz: frames/s that the header claims; 0 if it says nothing.

  Raises:
    VideoError: missing or unreadable.
  """

  def __init__(self, source: str | os.PathLike | int, num_threads: int = 0):
    self._is_camera = isinstance(source, int)
    self._holds_jpegs = False
    if self._is_camera:
      self._capture = _open_camera(source)
    else:
      path = os.fspath(source)
      self._capture = _open_file(path, num_threads)
      if _holds_whole_jpegs(path, self._capture):
        self._holds_jpegs = self._capture.set(cv2.CAP_PROP_FORMAT, _AS_STORED)
    self.header_frames = max(
      0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
    )
    self.header_rate_hz = max(0.0, self._capture.get(cv2.CAP_PROP_FPS))

  def __iter__(self) -> Iterator[tuple[np.ndarray, float]]:
    """Yields (frame, time): uint8 (height, width, 3) BGR, and seconds.

    Time is the file's presentation time, or a monotonic clock's for a camera.
    A JPEG that cannot be decoded is left out. Iterate once; the video is
    closed at the end.
    """
    for frame, time_s in self.stored():
      frame_bgr = decoded(frame)
      if frame_bgr is not None:
        yield frame_bgr, time_s

  def stored(self) -> Iterator[tuple[np.ndarray | JpegFrame, float]]:
    """Yields the same, but of Motion-JPEG each frame as a JpegFrame."""
    try:
      while True:
        ok, frame = self._capture.read()
        if not ok:
          return
        yield JpegFrame(frame) if self._holds_jpegs else frame, self._time_s()
    finally:
      self._capture.release()

  def _time_s(self) -> float:
    if self._is_camera:
      return time.monotonic()
    return self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3


def _open_camera(number: int) -> cv2.VideoCapture:
  capture = cv2.VideoCapture(number)
  if not capture.isOpened():
    raise VideoError(
      f'camera {number}: cannot be opened; check its number, and that no other '
      'program uses it'
    )
  return capture


def _open_file(path: str, num_threads: int) -> cv2.VideoCapture:
  if not os.path.isfile(path):
    raise VideoError(f'{path}: no such video; check the path')
  capture = cv2.VideoCapture(
    path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, num_threads]
  )
  if not capture.isOpened():
    raise VideoError(
      f'{path}: not a video that OpenCV can open; copy it again, or convert it '
      'with ffmpeg'
    )
  return capture


def _holds_whole_jpegs(path: str, capture: cv2.VideoCapture) -> bool:
  """Whether a packet is a JPEG of the whole, upright frame.

  Of interlaced Motion-JPEG it is a field, of other codecs no JPEG.
  """
  if int(capture.get(cv2.CAP_PROP_FOURCC)) != _MJPG:
    return False
  if capture.get(cv2.CAP_PROP_ORIENTATION_META):
    return False
  packets = _open_file(path, 1)
  if not packets.set(cv2.CAP_PROP_FORMAT, _AS_STORED):
    return False
  ok, packet = packets.read()
  packets.release()
  frame_bgr = JpegFrame(packet).decode() if ok else None
  size_px = (
    int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
    int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
  )
  return frame_bgr is not None and frame_bgr.shape[:2] == size_px
