"""Packets of a video → upright BGR frames by FFmpeg's own decoders (PyAV).

    packet ──▶ decode ──▶ deinterlace ──▶ BGR ──▶ transpose, flip

Interlaced frames are made whole by FFmpeg's `bwdif`, one of each two fields.
All others have the bytes that cv2.VideoCapture gives: swscale, bicubic.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import av
import av.error
import av.filter
import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import Interpolation, VideoReformatter

from rppg_tf.video.file import time_s

# Of AVFieldOrder, behind which come the orders of two fields.
_PROGRESSIVE = 1
# cv2.flip's codes.
_FLIP_VERTICALLY, _FLIP_HORIZONTALLY = 0, 1


class Orientation(NamedTuple):
  """How a stored frame is to be shown; in this order."""

  transpose: bool = False
  flip_horizontally: bool = False
  flip_vertically: bool = False


# By quarter turns counterclockwise.
_TURNS = (
  Orientation(),
  Orientation(transpose=True, flip_vertically=True),
  Orientation(flip_horizontally=True, flip_vertically=True),
  Orientation(transpose=True, flip_horizontally=True),
)


def decode(
  stream: av.VideoStream,
  packets: Iterable[av.Packet | None],
  holds_fields: bool = False,
) -> Iterator[tuple[np.ndarray | None, float]]:
  """Yields (frame, time): uint8 (height, width, 3) BGR, and seconds.

  The frame is None where one could not be decoded, or not without damage.

  Args:
    stream: of the packets; decoded by its codec context.
    packets: none of them empty; None for one that is not to be had.
    holds_fields: every frame is interlaced, whether its decoder says so or not.
  """
  convert = VideoReformatter().reformat
  codec = stream.codec_context
  holds_fields |= codec.field_order > _PROGRESSIVE
  for frame in _deinterlaced(_decoded(codec, packets), holds_fields):
    if frame is None or frame.is_corrupt:
      yield None, math.nan if frame is None else time_s(frame, stream)
      continue
    converted = convert(
      frame, format='bgr24', interpolation=Interpolation.BICUBIC, threads=1
    )
    frame_bgr = _shown(converted.to_ndarray(), orientation(frame))
    yield frame_bgr, time_s(frame, stream)


def is_plain(
  stream: av.VideoStream, packet: av.Packet, size_px: tuple[int, int]
) -> bool:
  """Whether a packet is one upright, progressive frame of this size.

  Args:
    stream: its decoder is as new afterwards.
    packet: of a codec whose frames stand alone.
    size_px: (width, height).
  """
  codec = stream.codec_context
  try:
    frames = codec.decode(packet) + codec.decode(None)
  except av.error.FFmpegError:
    return False
  finally:
    codec.flush_buffers()
  return len(frames) == 1 and (
    not frames[0].interlaced_frame
    and (frames[0].width, frames[0].height) == size_px
    and orientation(frames[0]) == Orientation()
  )


def orientation(frame: av.VideoFrame) -> Orientation:
  """Reads the display matrix that the file has for a frame.

  Eight orientations are told apart, quarter turns and mirrored ones; others
  are rounded to one of these. Of a frame with Exif only turns are known.
  """
  try:
    side_data: Any = frame.side_data  # PyAV's types take it for a mapping
    data = {item.type: item for item in side_data}
  except ValueError:  # PyAV does not know of Exif, and gives nothing then.
    return _TURNS[round(frame.rotation / 90) % 4]
  if Type.DISPLAYMATRIX not in data:
    return Orientation()
  # A stored pixel (x, y) is shown at (a x + c y, b x + d y).
  matrix = np.frombuffer(data[Type.DISPLAYMATRIX], np.int32)
  a, b, c, d = (int(matrix[at]) for at in (0, 1, 3, 4))
  if abs(a) + abs(d) >= abs(b) + abs(c):
    return Orientation(False, a < 0, d < 0)
  return Orientation(True, c < 0, b < 0)


def _shown(frame_bgr: np.ndarray, how: Orientation) -> np.ndarray:
  if how.transpose:
    frame_bgr = cv2.transpose(frame_bgr)
  if how.flip_horizontally:
    frame_bgr = cv2.flip(frame_bgr, _FLIP_HORIZONTALLY)
  if how.flip_vertically:
    frame_bgr = cv2.flip(frame_bgr, _FLIP_VERTICALLY)
  return np.ascontiguousarray(frame_bgr)


def _decoded(
  codec: av.VideoCodecContext, packets: Iterable[av.Packet | None]
) -> Iterator[av.VideoFrame | None]:
  for packet in packets:
    try:
      yield from [None] if packet is None else codec.decode(packet)
    except av.error.FFmpegError:
      yield None
  # Of these too: the decoder has held frames back.
  with contextlib.suppress(av.error.FFmpegError):
    yield from codec.decode(None)


def _deinterlaced(
  frames: Iterable[av.VideoFrame | None], holds_fields: bool
) -> Iterator[av.VideoFrame | None]:
  """From the first interlaced frame on all go through the filter."""
  graph, kind = None, None
  for frame in frames:
    if frame is None:
      yield None
      continue
    if graph and kind != _kind(frame):
      yield from _filtered(graph, None)
      graph = None
    if (holds_fields or frame.interlaced_frame) and not graph:
      graph, kind = _deinterlacer(frame, holds_fields), _kind(frame)
    yield from _filtered(graph, frame) if graph else [frame]
  if graph:
    yield from _filtered(graph, None)


def _kind(frame: av.VideoFrame) -> tuple[int, int, str]:
  return frame.width, frame.height, frame.format.name


def _deinterlacer(frame: av.VideoFrame, holds_fields: bool) -> av.filter.Graph:
  graph = av.filter.Graph()
  source = graph.add_buffer(
    width=frame.width,
    height=frame.height,
    format=frame.format,
    time_base=frame.time_base,
  )
  # One frame for two fields; progressive frames between pass as they are.
  which = 'all' if holds_fields else 'interlaced'
  bwdif = graph.add('bwdif', f'mode=send_frame:deint={which}')
  graph.link_nodes(source, bwdif, graph.add('buffersink')).configure()
  return graph


def _filtered(
  graph: av.filter.Graph, frame: av.VideoFrame | None
) -> Iterator[av.VideoFrame]:
  graph.push(frame)
  while True:
    try:
      yield graph.vpull()
    except (av.error.BlockingIOError, EOFError):
      return
