"""Writes videos of every kind for tools.fuzz_readers; PyAV."""

import dataclasses
import fractions
import pathlib
from collections.abc import Callable, Sequence

import av
import av.error
import av.filter
import av.stream
import numpy as np

RATE_HZ = 30
# Encoders that know a quantiser: nearly lossless, as the pulse is weak.
_BY_QUANTISER = (
  *('mjpeg', 'mpeg4', 'mpeg1video', 'mpeg2video', 'msmpeg4', 'msmpeg4v2'),
  *('wmv1', 'wmv2', 'flv', 'h263', 'h263p', 'h261', 'rv10', 'rv20', 'svq1'),
  *('amv', 'snow', 'asv1', 'speedhq'),
)
_FINE_QUANTISER = {'qmin': '1', 'qmax': '2', 'flags': '+qscale'}
_FINE = {
  'libx264': {'crf': '8', 'preset': 'veryfast'},
  'libx265': {
    'crf': '8',
    'preset': 'ultrafast',
    'x265-params': 'log-level=none:pools=1',
  },
  'libvpx': {'crf': '4', 'deadline': 'realtime', 'cpu-used': '8'},
  'libvpx-vp9': {'crf': '4', 'deadline': 'realtime', 'cpu-used': '8'},
  'libsvtav1': {'crf': '8', 'preset': '12'},
}


@dataclasses.dataclass(frozen=True)
class Track:
  """How one video stream is written.

  Attributes:
    codec: name of an encoder.
    pix_fmt: that it is given.
    options: of the encoder, in place of those for near losslessness.
    rate_hz: that the header claims, and of `ticks` by default.
    ticks: presentation time of each frame in 1/clock_hz s; None: the frame's
      number, in frames.
    clock_hz: of `ticks`.
    size_px: (width, height); None: the frames'.
    matrix: nine numbers of the display matrix, as MP4 has them.
    aspect: sample aspect ratio.
    filters: (name, arguments) that each frame goes through.
    has_b_frames: keeps the encoder's B frames.
  """

  codec: str = 'libx264'
  pix_fmt: str = 'yuv420p'
  options: dict = dataclasses.field(default_factory=dict)
  rate_hz: fractions.Fraction | int = RATE_HZ
  ticks: Sequence[int] | np.ndarray | None = None
  clock_hz: int | None = None
  size_px: tuple[int, int] | None = None
  matrix: tuple | None = None
  aspect: fractions.Fraction | None = None
  filters: tuple[tuple[str, str], ...] = ()
  has_b_frames: bool = False


def write(
  path: pathlib.Path,
  frames: Sequence[np.ndarray],
  track: Track,
  container: str | None = None,
  container_options: dict | None = None,
  before: Sequence[Callable] = (),
  after: Sequence[Callable] = (),
  change: Callable | None = None,
) -> None:
  """Writes one video.

  Args:
    path: file to make or replace.
    frames: uint8 (height, width, 3) BGR.
    track: how they are written.
    container: name of a muxer; None: by the path's suffix.
    container_options: of the muxer.
    before: each makes a stream before the video's, (output) → packets.
    after: each makes a stream after the video's.
    change: (packet) → packet or None, of each before it is muxed.

  Raises:
    av.error.FFmpegError, ValueError: that cannot be written.
  """
  with av.open(
    str(path), 'w', format=container, options=container_options or {}
  ) as output:
    others = [make(output) for make in before]
    stream = _add(output, frames, track)
    others += [make(output) for make in after]
    output.start_encoding()
    for packets in others:
      for packet in packets:
        output.mux(packet)
    for packet in _encoded(stream, frames, track):
      packet = packet if change is None else change(packet)
      if packet is not None:
        output.mux(packet)


def _add(output, frames: Sequence[np.ndarray], track: Track):
  height_px, width_px = frames[0].shape[:2]
  stream = output.add_stream(
    track.codec, rate=track.rate_hz, options=_options(track)
  )
  stream.width, stream.height = track.size_px or (width_px, height_px)
  stream.pix_fmt = track.pix_fmt
  context = stream.codec_context
  if track.clock_hz:
    context.time_base = fractions.Fraction(1, track.clock_hz)
  if track.codec in ('libx264', 'libx265'):
    context.thread_count = 1
  if track.aspect:
    context.sample_aspect_ratio = track.aspect
  if track.matrix:
    stream.set_display_matrix(track.matrix)
  return stream


def _options(track: Track) -> dict[str, str]:
  fine = dict(_FINE.get(track.codec, {}))
  if track.codec in _BY_QUANTISER:
    fine = dict(_FINE_QUANTISER, global_quality='118')
  if not track.has_b_frames and track.codec in ('libx264', 'libx265'):
    fine['bf'] = '0'
  return {**fine, 'strict': '-2', **track.options}


def _encoded(stream, frames, track: Track):
  size = {}
  if track.size_px:
    size = dict(width=track.size_px[0], height=track.size_px[1])
  graph = None
  clock_hz = track.clock_hz or track.rate_hz
  for number, image in enumerate(frames):
    frame = av.VideoFrame.from_ndarray(image, format='bgr24')
    frame = frame.reformat(format=track.pix_fmt, **size)
    frame.pts = number if track.ticks is None else int(track.ticks[number])
    frame.time_base = 1 / fractions.Fraction(clock_hz)
    if not track.filters:
      yield from stream.encode(frame)
      continue
    graph = graph or _graph(frame, track.filters)
    graph.push(frame)
    yield from _pulled(graph, stream)
  if graph:
    graph.push(None)
    yield from _pulled(graph, stream)
  yield from stream.encode(None)


def _graph(frame, filters):
  graph = av.filter.Graph()
  nodes = [
    graph.add_buffer(
      width=frame.width,
      height=frame.height,
      format=frame.format.name,
      time_base=frame.time_base,
    )
  ]
  nodes += [graph.add(name, arguments) for name, arguments in filters]
  graph.link_nodes(*nodes, graph.add('buffersink')).configure()
  return graph


def _pulled(graph, stream):
  while True:
    try:
      frame = graph.pull()
    except (BlockingIOError, EOFError):
      return
    yield from stream.encode(frame)


def audio(codec: str, duration_s: float = 12.0) -> Callable:
  """Returns what adds a stream of a 440 Hz tone to an output."""

  def make(output):
    stream = output.add_stream(codec, rate=48000)
    stream.layout = 'mono'
    return _tone(stream, duration_s)

  return make


def _tone(stream, duration_s: float):
  length = 960
  for start in range(0, int(duration_s * 48000), length):
    phase = 2 * np.pi * 440 * (start + np.arange(length)) / 48000
    samples = (8000 * np.sin(phase)).astype(np.int16)[None]
    frame = av.AudioFrame.from_ndarray(samples, format='s16', layout='mono')
    frame.sample_rate, frame.pts = 48000, start
    frame.time_base = fractions.Fraction(1, 48000)
    yield from stream.encode(frame)
  yield from stream.encode(None)


def attachment(name: str, mimetype: str, data: bytes) -> Callable:
  """Returns what adds an attached file to an output."""

  def make(output):
    output.add_attachment(name, mimetype, data)
    return ()

  return make


def write_streams(path: pathlib.Path, makers: Sequence[Callable]) -> None:
  """Writes a file of streams that `audio` and `second_video` make."""
  with av.open(str(path), 'w') as output:
    streams = [make(output) for make in makers]
    output.start_encoding()
    for packets in streams:
      for packet in packets:
        output.mux(packet)


def second_video(
  frames: Sequence[np.ndarray], track: Track, is_cover: bool = False
) -> Callable:
  """Returns what adds one more video stream; a cover is one picture."""

  def make(output):
    stream = _add(output, frames, track)
    if is_cover:
      stream.disposition = av.stream.Disposition.attached_pic
    return _encoded(stream, frames, track)

  return make


def read_bgr(
  path: pathlib.Path, size_px: tuple[int, int] | None, num_frames: int
) -> list[np.ndarray]:
  """Returns the first frames of a progressive video, scaled by area."""
  size = dict(zip(('width', 'height'), size_px or (), strict=False))
  frames = []
  with av.open(str(path)) as container:
    for frame in container.decode(video=0):
      frames.append(
        frame.reformat(
          format='bgr24', interpolation='AREA', **size
        ).to_ndarray()
      )
      if len(frames) == num_frames:
        break
  return frames


def period_s(path: pathlib.Path) -> float | None:
  """Returns the distance of a file's frames by its own times, seconds.

  Of packets as they are stored, the middle one over a second or so; None if
  these carry no times, or times that stand still.
  """
  try:
    with av.open(str(path)) as container:
      stream = container.streams.video[0]
      base_s = stream.time_base
      ticks = [
        packet.pts
        for packet in container.demux(stream)
        if packet.pts is not None
      ]
  except (av.error.FFmpegError, IndexError, OSError):
    return None
  ticks = np.sort(np.array(ticks, float))
  spans = ticks[RATE_HZ:] - ticks[:-RATE_HZ]
  if not len(spans) or base_s is None:
    return None
  middle_s = float(np.median(spans) * base_s) / RATE_HZ
  return middle_s if middle_s > 0 else None
