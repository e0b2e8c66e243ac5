"""A video file opened by FFmpeg (PyAV): its video stream and its packets."""

import itertools
import math
import os
import re
from collections.abc import Iterator

import av
import av.container
import av.error
import av.format
import av.stream
import numpy as np

# What FFmpeg makes pictures of: 8192x8192 takes 200 MB.
_MAX_PIXELS = 2**26
# Where a file is damaged FFmpeg reads on; it has to get somewhere.
_MAX_READ_ERRORS = 1000
_CHUNK_HEAD_BYTES = 8  # of AVI
_Y4M_HEAD_BYTES = 256
# A count that asks for so many times the file's bytes is damaged itself.
_MAX_CLAIM = 20
# A header may claim as much more than there is: sound is longer than pictures.
_MAX_MISSING_S = 1.0


class UnreadableError(ValueError):
  """The file is no video, or cannot be read; one line says what to do."""


class VideoFile:
  """One video stream of a file.

  Attributes:
    stream: the av.VideoStream.
    header_frames: number of frames that the header claims; 0 if it says
      nothing.
    header_rate_hz: frames/s that the header claims; 0 if it says nothing.
    has_times: whether there are times in the file: not in bare .mjpeg, .h264
      and their like.

  Raises:
    UnreadableError: missing, or nothing that can be decoded.
  """

  def __init__(self, path: str | os.PathLike, num_threads: int = 0):
    name = printable(path)
    path = _existing(path)
    self._container = _open(path, name)
    try:
      self.stream = _video_stream(self._container, name)
    except UnreadableError:
      self._container.close()
      raise
    codec = self.stream.codec_context
    codec.thread_count = num_threads
    codec.thread_type = 'AUTO'
    codec.options = {'max_pixels': str(_MAX_PIXELS)}
    self.header_rate_hz = max(0.0, float(self.stream.guessed_rate or 0))
    self.header_frames = self.stream.frames or self._frames_by_duration()
    self.has_times = not (
      self._container.format.flags & av.format.Flags.no_timestamps.value
      or _is_y4m_without_rate(self._container, path)
    )
    self._num_packets = self._num_bytes = 0
    self._end_s = 0.0

  def packets(self) -> Iterator[av.Packet | None]:
    """Yields the stream's packets; where the file is damaged it reads on.

    None stands for one that the index of an AVI has and FFmpeg skips.
    """
    is_avi = self._container.format.name == 'avi'
    index = _AviIndex(self.stream) if is_avi else None
    num_errors = 0
    while num_errors < _MAX_READ_ERRORS:
      try:
        for packet in self._container.demux(self.stream):
          # Empty ones say: the same frame again; or that there are no more.
          if not packet.size:
            continue
          num_skipped = index.correct(packet) if index else 0
          yield from itertools.repeat(None, num_skipped)
          self._note(packet, num_skipped)
          yield packet
        return
      # PyAV 18 does not know a stream that begins in the middle.
      except (av.error.FFmpegError, IndexError):
        num_errors += 1

  def num_missing(self) -> int:
    """Frames that the header claims beyond what `packets` has yielded.

    0 if it claims more than a file of which a twentieth is left could hold.
    """
    claimed_bytes = self.stream.frames * self._num_bytes
    if claimed_bytes > _MAX_CLAIM * self._container.size * self._num_packets:
      return 0
    if self.stream.frames:
      return max(0, self.stream.frames - self._num_packets)
    missing_s = self._duration_s() - self._end_s
    if not self._num_packets or missing_s < _MAX_MISSING_S:
      return 0
    return round(missing_s * self._num_packets / max(self._end_s, 1e-9))

  def close(self) -> None:
    """Closes the file."""
    self._container.close()

  def _note(self, packet: av.Packet, num_skipped: int) -> None:
    self._num_packets += 1 + num_skipped
    self._num_bytes += packet.size
    end_s = time_s(packet, self.stream)
    if packet.duration:
      end_s += float(packet.duration * packet.time_base)
    # Not with a time that is NaN.
    if end_s > self._end_s:
      self._end_s = end_s

  def _frames_by_duration(self) -> int:
    duration_s = max(self._container.duration or 0, 0) / av.time_base
    return round(duration_s * self.header_rate_hz)

  def _duration_s(self) -> float:
    """That of the stream as the header claims it; 0 if it says nothing."""
    if self.stream.duration and self.stream.time_base:
      return float(self.stream.duration * self.stream.time_base)
    # That of the longest stream.
    if len(self._container.streams) == 1 and self._container.duration:
      return self._container.duration / av.time_base
    return 0.0


class _AviIndex:
  """Where each frame of an AVI is, and so which were skipped.

  In an AVI a frame's number is its time. FFmpeg goes on counting behind what
  it skips, as if nothing were missing.
  """

  def __init__(self, stream: av.VideoStream):
    self._entries = stream.index_entries
    self._next = 0

  def correct(self, packet: av.Packet) -> int:
    """Gives a packet its time; returns how many before it were skipped."""
    start = (packet.pos or 0) - _CHUNK_HEAD_BYTES
    num_skipped = 0
    while self._next < len(self._entries):
      entry = self._entries[self._next]
      if entry.pos > start:
        return 0
      self._next += 1
      if entry.pos == start:
        self._shift(packet, entry.timestamp)
        return num_skipped
      num_skipped += entry.size > 0
    return 0

  def _shift(self, packet: av.Packet, ticks: int) -> None:
    if packet.dts in (None, ticks):
      return
    if packet.pts is not None:
      packet.pts += ticks - packet.dts
    packet.dts = ticks


def time_s(item: av.Packet | av.VideoFrame, stream: av.VideoStream) -> float:
  """Presentation time of a packet or frame, in s from the stream's start.

  NaN if the file has none.
  """
  ticks = item.dts if item.pts is None else item.pts
  if ticks is None or not stream.time_base:
    return math.nan
  start = (stream.start_time or 0) * stream.time_base
  # A filter counts in a unit of its own.
  return float(ticks * (item.time_base or stream.time_base) - start)


def content(packet: av.Packet) -> np.ndarray:
  """Returns a packet's bytes, uint8 (1, num_bytes), not copied."""
  return np.frombuffer(memoryview(packet), np.uint8).reshape(1, -1)


def printable(path: str | os.PathLike) -> str:
  """Returns a path as it can be printed in one line, whatever its bytes."""
  text = os.fsencode(path).decode('utf-8', 'backslashreplace')
  return ''.join(
    letter if letter.isprintable() else letter.encode('unicode_escape').decode()
    for letter in text
  )


def _open(path: str, name: str) -> av.container.InputContainer:
  container = _opened_as(None, path, name)
  # A stream of bare JPEGs begins as a picture does.
  if container.format.name == 'jpeg_pipe':
    container.close()
    container = _opened_as('mjpeg', path, name)
    first = itertools.islice(container.demux(video=0), 2)
    is_picture = sum(1 for packet in first if packet.size) < 2
    container.close()
    container = _opened_as('jpeg_pipe' if is_picture else 'mjpeg', path, name)
  return container


def _opened_as(
  format_name: str | None, path: str, name: str
) -> av.container.InputContainer:
  try:
    return av.open(
      # Else FFmpeg takes what stands before a colon for a protocol.
      f'file:{path}',
      format=format_name,
      options={'protocol_whitelist': 'file', 'max_pixels': str(_MAX_PIXELS)},
      metadata_errors='replace',
    )
  except (av.error.FFmpegError, OSError, ValueError) as error:
    raise UnreadableError(_reason(name, error)) from None


def _existing(path: str | os.PathLike) -> str:
  """A path that is there, `~` replaced if need be."""
  for candidate in (os.fspath(path), os.path.expanduser(path)):
    if os.path.isfile(candidate):
      return candidate
    if os.path.isdir(candidate):
      raise UnreadableError(
        f'{printable(path)}: a folder, not a video; give the path of one video'
      )
  raise UnreadableError(f'{printable(path)}: no such video; check the path')


def _is_y4m_without_rate(
  container: av.container.InputContainer, path: str
) -> bool:
  """Whether FFmpeg has taken 25 frames/s for a rate that is not there."""
  if container.format.name != 'yuv4mpegpipe':
    return False
  with open(path, 'rb') as file:
    rate = re.search(rb' F(\d+):(\d+)', file.readline(_Y4M_HEAD_BYTES))
  return rate is None or 0 in map(int, rate.groups())


def _reason(name: str, error: Exception) -> str:
  if isinstance(error, PermissionError):
    return f'{name}: may not be read; change its permissions'
  return (
    f'{name}: not a video that FFmpeg can open; copy it again, or convert it '
    'with ffmpeg'
  )


def _video_stream(
  container: av.container.InputContainer, name: str
) -> av.VideoStream:
  """The video stream of the largest pictures, no cover picture."""
  if container.format.name.endswith('_pipe') or 'image2' in (
    container.format.name
  ):
    raise UnreadableError(f'{name}: a picture, not a video; give a video')
  streams = [
    stream
    for stream in container.streams.video
    if av.stream.Disposition.attached_pic not in stream.disposition
  ]
  if not streams:
    raise UnreadableError(
      f'{name}: no pictures in it, only '
      f'{", ".join(sorted({s.type for s in container.streams})) or "nothing"}; '
      'give a video'
    )
  readable = [stream for stream in streams if stream.codec_context is not None]
  if not readable:
    raise UnreadableError(
      f'{name}: its codec is not known; convert it to H.264 with ffmpeg'
    )
  return max(readable, key=lambda stream: stream.width * stream.height)
