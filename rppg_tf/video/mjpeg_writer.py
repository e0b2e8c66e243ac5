"""Motion-JPEG in AVI, with JPEGs by cv2.imencode.

cv2.VideoWriter encodes MJPG three times as slowly, halves the resolution of
colour, and its quality setting does little; imencode is libjpeg-turbo and can
keep colour whole. The container is that of Microsoft's "AVI RIFF File
Reference": one video stream and an index.
"""

import pathlib
import struct

import cv2
import numpy as np

# Readers take sizes as signed.
_MAX_FILE_BYTES = 2**31 - 1
_KEY_FRAME = 0x10


def _chunk(name: bytes, payload: bytes) -> bytes:
  return name + struct.pack('<I', len(payload)) + payload


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
    self._fps = fps
    self._size = (height_px, width_px, 3)
    self._options = (
      cv2.IMWRITE_JPEG_QUALITY,
      quality,
      cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
      cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    )
    self._index = []
    self._largest = 0
    self._file = open(path, 'wb')
    self._file.write(self._head())
    self._first = self._file.tell()
    self._end = self._first

  def __enter__(self):
    return self

  def __exit__(self, kind, value, traceback):
    if kind is None:
      self._finish()
    self._file.close()

  def write(self, frame: np.ndarray):
    """Adds a frame, uint8 (height, width, 3) BGR.

    Raises:
      ValueError: another shape or type; the file would pass 2 GB.
    """
    if frame.shape != self._size or frame.dtype != np.uint8:
      raise ValueError(
        f'{self._path}: expected a uint8 frame {self._size}, got '
        f'{frame.dtype} {frame.shape}; convert it first'
      )
    _, jpeg = cv2.imencode('.jpg', frame, self._options)
    jpeg = jpeg.tobytes()
    padded = jpeg + b'\0' * (len(jpeg) % 2)
    if self._end + len(padded) + 24 * len(self._index) > _MAX_FILE_BYTES:
      raise ValueError(
        f'{self._path}: expected at most 2 GB of video, got more; record less'
      )
    offset = self._end - self._first + 4
    self._index.append(
      struct.pack('<4sIII', b'00dc', _KEY_FRAME, offset, len(jpeg))
    )
    self._file.write(b'00dc' + struct.pack('<I', len(jpeg)) + padded)
    self._end += 8 + len(padded)
    self._largest = max(self._largest, len(jpeg))

  def _head(self, file_bytes: int = 0, movie_bytes: int = 4) -> bytes:
    """Everything before the first frame."""
    height, width, _ = self._size
    count, image_bytes = len(self._index), width * height * 3
    rate = round(self._fps * 1000)
    main = struct.pack(
      '<14I', round(1e6 / self._fps), 0, 0, _KEY_FRAME, count, 0, 1,
      self._largest,
      width, height, 0, 0, 0, 0,
    )  # fmt: skip
    stream = struct.pack(
      '<4s4sIHHIIIIIIiI4H', b'vids', b'MJPG', 0, 0, 0, 0, 1000, rate, 0,
      count, self._largest, -1, 0, 0, 0, width, height,
    )  # fmt: skip
    image = struct.pack(
      '<IiiHH4sIiiII', 40, width, height, 1, 24, b'MJPG', image_bytes,
      0, 0, 0, 0,
    )  # fmt: skip
    stream_list = b'strl' + _chunk(b'strh', stream) + _chunk(b'strf', image)
    header = b'hdrl' + _chunk(b'avih', main) + _chunk(b'LIST', stream_list)
    head = b'RIFF' + struct.pack('<I', file_bytes) + b'AVI '
    head += _chunk(b'LIST', header)
    return head + b'LIST' + struct.pack('<I', movie_bytes) + b'movi'

  def _finish(self):
    """Adds the index and fills in the sizes."""
    self._file.write(_chunk(b'idx1', b''.join(self._index)))
    file_bytes = self._file.tell() - 8
    self._file.seek(0)
    self._file.write(self._head(file_bytes, self._end - self._first + 4))
