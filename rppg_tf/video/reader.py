"""Frames of a video file or a camera, one at a time; PyAV and OpenCV.

FFmpeg takes a file apart. Of Motion-JPEG each packet is a JPEG, and
libjpeg-turbo decodes them in half of the CPU time of FFmpeg's own decoder
(640x480, 4:4:4, quality 95: 2.9 ms instead of 5.3 on one core); other codecs
are left to FFmpeg (ffmpeg_frames.py). What trains and what predicts both read
by this reader: the same bytes.
"""

import itertools
import math
import os
import time
from collections.abc import Iterable, Iterator

import av
import av.error
import cv2
import numpy as np

from rppg_tf.errors import InputError
from rppg_tf.video import ffmpeg_frames
from rppg_tf.video import file as video_file
from rppg_tf.video.jpeg_frame import LOST, JpegFrame, decoded

# So many packets are tried until one tells how the video is to be decoded.
_MAX_TRIED_PACKETS = 8
# So many frames of another size are damage; more are another video.
_MAX_OTHER_SIZES = 8


class VideoError(InputError):
  """A video or camera cannot be used; one line says what to do."""


class VideoReader:
  """Frames of a video file or a camera, one at a time.

  Args:
    source: path of a video, or number of a camera.
    num_threads: decoder threads; 0 leaves the choice to FFmpeg. JPEGs are
      decoded by one.
    rate_hz: frames/s, in place of the times in the file.

  Attributes:
    header_frames: number of frames that the file's header claims; 0 if it
      says nothing, and for a camera. Not to be trusted: count what you read.
    header_rate_hz: frames/s that the header claims; 0 if it says nothing.
    num_stored: frames yielded so far by `stored`.
    num_missing: frames that the header claims beyond the end of the file;
      known after the last frame.

  Raises:
    VideoError: missing or unreadable, or a stream without times and no
      rate_hz given.
  """

  def __init__(
    self,
    source: str | os.PathLike | int,
    num_threads: int = 0,
    rate_hz: float | None = None,
  ):
    self.header_frames = self.num_stored = self.num_missing = 0
    self.header_rate_hz = 0.0
    self._camera = None
    if isinstance(source, int):
      self._camera = _open_camera(source)
      return
    try:
      self._file = video_file.VideoFile(source, num_threads)
    except video_file.UnreadableError as error:
      raise VideoError(str(error)) from None
    self._rate_hz = rate_hz
    self._name = video_file.printable(source)
    self.header_frames = self._file.header_frames
    self.header_rate_hz = self._file.header_rate_hz
    if rate_hz is None and not self._file.has_times:
      self._file.close()
      raise VideoError(
        f'{self._name}: a stream without times; give its frame rate by --fps, '
        'or record it as .mp4 or .avi'
      )

  def __iter__(self) -> Iterator[tuple[np.ndarray, float]]:
    """Yields (frame, time): uint8 (height, width, 3) BGR, and seconds.

    Time is the file's presentation time, or a monotonic clock's for a camera;
    NaN where the file has none. What cannot be decoded is left out. Iterate
    once; the video is closed at the end.
    """
    for frame, time_s in self.stored():
      frame_bgr = decoded(frame)
      if frame_bgr is not None:
        yield frame_bgr, time_s

  def stored(self) -> Iterator[tuple[np.ndarray | JpegFrame, float]]:
    """Yields the same, but of Motion-JPEG each frame as a JpegFrame.

    A frame that cannot be decoded is there, as jpeg_frame.LOST or a JpegFrame
    that cannot either: the frames after it keep their numbers.

    Raises:
      VideoError: the frames change size, or are of a kind that FFmpeg cannot
        turn into BGR.
    """
    camera = self._camera
    frames = self._of_file() if camera is None else self._of_camera(camera)
    for frame, time_s in frames:
      self.num_stored += 1
      yield frame, time_s

  def _of_camera(
    self, camera: cv2.VideoCapture
  ) -> Iterator[tuple[np.ndarray, float]]:
    try:
      while True:
        ok, frame = camera.read()
        if not ok:
          return
        yield frame, time.monotonic()
    finally:
      camera.release()

  def _of_file(self) -> Iterator[tuple[np.ndarray | JpegFrame, float]]:
    try:
      packets = self._file.packets()
      first = list(itertools.islice(packets, _MAX_TRIED_PACKETS))
      packets = itertools.chain(first, packets)
      size_px = next(filter(None, map(self._whole_jpeg_px, first)), None)
      if size_px:
        frames = self._jpegs(packets)
      else:
        holds_fields = any(map(self._is_field, first))
        frames = ffmpeg_frames.decode(self._file.stream, packets, holds_fields)
      for index, (frame, time_s) in enumerate(
        self._of_one_size(frames, size_px)
      ):
        if self._rate_hz is not None:
          time_s = index / self._rate_hz
        yield LOST if frame is None else frame, time_s
      self.num_missing = self._file.num_missing()
    except av.error.FFmpegError as error:
      raise VideoError(
        f'{self._name}: cannot be decoded ({error.strerror}); convert it to '
        'H.264 with ffmpeg'
      ) from error
    finally:
      self._file.close()

  def _whole_jpeg_px(self, packet: av.Packet | None) -> tuple[int, int] | None:
    """The size of a packet that is a JPEG of the whole, upright frame."""
    stream = self._file.stream
    if packet is None or stream.codec_context.name != 'mjpeg':
      return None
    jpeg = JpegFrame(video_file.content(packet))
    frame_bgr = jpeg.decode()
    if frame_bgr is None:
      return None
    size_px = frame_bgr.shape[1::-1]
    # The file, not the camera's Exif, says which way is up.
    bare = av.Packet(jpeg.without_exif())
    return size_px if ffmpeg_frames.is_plain(stream, bare, size_px) else None

  def _is_field(self, packet: av.Packet | None) -> bool:
    """Whether a packet begins with a JPEG of every other row."""
    codec = self._file.stream.codec_context
    if packet is None or codec.name != 'mjpeg':
      return False
    size_px = JpegFrame(video_file.content(packet)).size_px()
    return size_px == (codec.width, codec.height // 2)

  def _jpegs(
    self, packets: Iterable[av.Packet | None]
  ) -> Iterator[tuple[JpegFrame | None, float]]:
    for packet in packets:
      if packet is None:
        yield None, math.nan
        continue
      yield (
        JpegFrame(video_file.content(packet)),
        video_file.time_s(packet, self._file.stream),
      )

  def _of_one_size(self, frames, first_px: tuple[int, int] | None):
    """Makes frames of another size than the first None, up to eight."""
    num_others = 0
    for frame, time_s in frames:
      size_px = _size_px(frame)
      first_px = first_px or size_px
      if size_px and first_px and size_px != first_px:
        num_others += 1
        if num_others > _MAX_OTHER_SIZES:
          raise VideoError(
            f'{self._name}: its frames change size, from {first_px[0]}x'
            f'{first_px[1]} to {size_px[0]}x{size_px[1]} pixels; convert it '
            'with ffmpeg -s WxH'
          )
        frame = None
      yield frame, time_s


def _size_px(frame: np.ndarray | JpegFrame | None) -> tuple[int, int] | None:
  if isinstance(frame, JpegFrame):
    return frame.size_px()
  return None if frame is None else frame.shape[1::-1]


def _open_camera(number: int) -> cv2.VideoCapture:
  capture = cv2.VideoCapture(number)
  if not capture.isOpened():
    raise VideoError(
      f'camera {number}: cannot be opened; check its number, and that no other '
      'program uses it'
    )
  return capture
