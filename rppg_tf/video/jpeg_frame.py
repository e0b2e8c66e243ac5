"""A frame of Motion-JPEG that is not decoded yet: whole, or its upper rows.

Rows of a JPEG come from top to bottom, so that what lies below the face need
not be decoded: on a 640x480 frame (4:4:4, quality 95) whose face ends at row
288 that saves 40 % of the work, and no byte of the rows above changes.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from rppg_tf.video import jpeg_complaints

# The file, not a camera's tag inside of a JPEG, says which way is up.
_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
_END_MARKER = b'\xff\xd9'
_BASELINE = 0xC0
_EXTENDED = 0xC1
_RESTART_INTERVAL = 0xDD
_SCAN = 0xDA
_CAMERA_DATA = 0xE1
# Heads of a frame of any kind; the three left out are something else.
_FRAME_HEADS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
# Halved colour is brought back from the rows around, and libjpeg reads ahead.
_MARGIN_ROWS = 32


class JpegFrame(NamedTuple):
  """A JPEG as it is in the file.

  Attributes:
    packet: uint8 (1, num_bytes).
  """

  packet: np.ndarray

  def decode(self, num_rows: int | None = None) -> np.ndarray | None:
    """Decodes.

    Args:
      num_rows: rows wanted, from the top; None for all.

    Returns:
      uint8 (height, width, 3) BGR, the whole frame or just its first
      `num_rows`, with the bytes that the whole has there; None for what is no
      JPEG, breaks off, or is damaged so that libjpeg notices.
    """
    if not self.packet.size:
      return None
    if num_rows is not None:
      part = self._upper_rows(max(num_rows, 1))
      if part is not None:
        return part
    return _whole_or_none(self.packet)

  def size_px(self) -> tuple[int, int] | None:
    """Returns (width, height) as the JPEG's head says; None without one."""
    packet = self.packet.ravel().data
    for marker, at in _segments(packet):
      if marker in _FRAME_HEADS and at + 9 <= len(packet):
        height, width = struct.unpack('>HH', packet[at + 5 : at + 9])
        return width, height
    return None

  def without_exif(self) -> bytes:
    """Returns the JPEG without what its camera says of it (APP1)."""
    packet = self.packet.ravel().data
    parts, start = [], 0
    for marker, at in _segments(packet):
      if marker == _CAMERA_DATA:
        parts.append(packet[start:at])
        start = at + 2 + (packet[at + 2] << 8 | packet[at + 3])
    return b''.join([*parts, packet[start:]])

  def _upper_rows(self, num_rows: int) -> np.ndarray | None:
    """The first rows, or None if they cannot be had for less than all."""
    packet = self.packet.ravel()
    at = _height_offset(packet)
    if at is None or packet[-2:].tobytes() != _END_MARKER:
      return None
    (height_px,) = struct.unpack('>H', packet[at : at + 2].tobytes())
    if num_rows + 2 * _MARGIN_ROWS > height_px:
      return None
    # Without the end marker libjpeg does not complain of rows left over.
    shorter = packet[:-2].copy()
    height = struct.pack('>H', num_rows + _MARGIN_ROWS)
    shorter[at : at + 2] = np.frombuffer(height, np.uint8)
    frame_bgr = _whole_or_none(shorter)
    return None if frame_bgr is None else frame_bgr[:num_rows]


# As VideoReader gives it: uint8 (height, width, 3) BGR, or a JPEG of that.
Frame = np.ndarray | JpegFrame

# Stands for a frame of any video that could not be decoded.
LOST = JpegFrame(np.empty((1, 0), np.uint8))


def _whole_or_none(packet: np.ndarray) -> np.ndarray | None:
  with jpeg_complaints.heard() as complaints:
    frame_bgr = cv2.imdecode(packet, _FLAGS)
  if any(map(jpeg_complaints.is_damage, complaints)):
    return None
  return frame_bgr


def decoded(
  frame: np.ndarray | JpegFrame, num_rows: int | None = None
) -> np.ndarray | None:
  """Returns a frame that may be decoded already; see JpegFrame.decode."""
  if isinstance(frame, JpegFrame):
    return frame.decode(num_rows)
  return frame


def _height_offset(packet: np.ndarray) -> int | None:
  """Where a sequential JPEG without restart markers holds its height."""
  found = None
  for marker, at in _segments(packet.data):
    if marker == _SCAN:
      return found
    if marker == _RESTART_INTERVAL:
      return None
    if marker in (_BASELINE, _EXTENDED):
      found = at + 5
  return None


def _segments(head: memoryview) -> Iterator[tuple[int, int]]:
  """Yields the marker and the offset of each segment, up to the scan."""
  at = 2
  while at + 7 <= len(head) and head[at] == 0xFF:
    yield head[at + 1], at
    if head[at + 1] == _SCAN:
      return
    at += 2 + (head[at + 2] << 8 | head[at + 3])
