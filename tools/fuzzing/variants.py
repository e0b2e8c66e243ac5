"""Odd but whole videos for tools.fuzz_readers: what a camera or a tool writes.

Every function returns Variants; see there. The files are written by
fuzz_media.
"""

import dataclasses
import functools
import os
import pathlib
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction

import av
import cv2
import numpy as np

from tools.fuzzing import media
from tools.fuzzing.media import Track


@dataclasses.dataclass(frozen=True)
class Variant:
  """One file, or what stands in the place of a file.

  Attributes:
    name: of the file, unique.
    kind: the group that it is counted with.
    make: (path) → None, writes it.
    truth_bpm: rates that may be reported, to 3 BPM; none: no rate may be.
    is_readable: whether its frames must be read, and a face found.
    may_change_times: by damage; the truth is then taken from the file's own
      times.
    argument: what predict is given in place of the path.
  """

  name: str
  kind: str
  make: Callable[[pathlib.Path], None]
  truth_bpm: tuple[float, ...]
  is_readable: bool = False
  may_change_times: bool = False
  argument: str | None = None


@dataclasses.dataclass(frozen=True)
class Clip:
  """A clip of a known rate, decoded.

  Attributes:
    name: starts the name of each variant of it.
    path: of the clip itself.
    frames: uint8 (height, width, 3) BGR, 30 a second.
    rate_bpm: its heart rate.
  """

  name: str
  path: pathlib.Path
  frames: Sequence[np.ndarray]
  rate_bpm: float


# Container, codec and pixel formats. Each is read right, or refused.
_FORMATS = """
avi mjpeg yuvj420p yuvj422p yuvj444p
avi rawvideo yuv420p bgr24 yuyv422 gray rgb555le
avi ffv1 yuv420p bgr0 yuv420p10le
avi huffyuv rgb24 yuv422p
avi utvideo gbrp yuv422p
avi jpeg2000 yuv420p
avi png rgb24
avi ffvhuff|magicyuv|cinepak|msvideo1 yuv420p|yuv444p|rgb24|rgb555le
avi zmbv|ljpeg|jpegls|asv1|snow bgr0|bgr24|bgr24|yuv420p|yuv420p
avi mpeg4|libx264|mpeg2video|h263p|wmv2 yuv420p
avi msmpeg4|msmpeg4v2|speedhq yuv420p
avi amv|v210|flashsv|targa yuvj420p|yuv422p10le|bgr24|bgr24
mp4 libx264 yuv420p yuv422p yuv444p yuv420p10le yuvj420p nv12 gray
mp4 libx265 yuv420p yuv420p10le yuv444p gbrp
mp4 mpeg2video yuv420p yuv422p
mp4 libsvtav1 yuv420p yuv420p10le
mp4 mpeg4|mpeg1video|mjpeg|libvpx-vp9|png yuv420p|yuv420p|yuvj420p|yuv420p|rgb24
mov prores_ks yuv422p10le yuva444p10le
mov qtrle rgb24 argb gray
mov rawvideo uyvy422 rgb24
mov dnxhd|svq1|mjpeg|v210 yuv422p|yuv410p|yuvj422p|yuv422p10le
mov r210|cfhd|tiff|png gbrp10le|yuv422p10le|rgb24|rgba
mov targa|jpeg2000|magicyuv bgra|rgb24|gbrp
mkv ffv1 yuv420p10le gray16le gray bgra rgb48le
mkv libx264|libx265|libvpx|mpeg2video|rawvideo|libsvtav1 yuv420p
mkv libvpx-vp9|mjpeg|prores_ks yuv422p|yuvj420p|yuv422p10le
webm libvpx-vp9 yuv420p yuv444p yuva420p
webm libvpx|libsvtav1 yuv420p
ts libx264|libx265|mpeg2video|mpeg1video|mpeg4 yuv420p
mpg mpeg1video|mpeg2video yuv420p
flv flv|libx264|libx265|flashsv yuv420p|yuv420p|yuv420p|bgr24
asf wmv2|msmpeg4|mjpeg yuv420p|yuv420p|yuvj420p
nut rawvideo rgb24 rgba nv12 yuv444p16le gray monow
nut mpeg4|ffv1 yuv420p|yuv444p
mxf mpeg2video|libx264 yuv422p|yuv420p
rm rv10|rv20 yuv420p
swf flv|mjpeg yuv420p|yuvj420p
ivf libvpx|libsvtav1 yuv420p
y4m wrapped_avframe yuv420p yuv444p gray
gif gif rgb8
apng apng rgb24
webp libwebp_anim yuv420p
avif libsvtav1 yuv420p
m2ts|vob|3gp|ogv|wmv libx264|mpeg2video|mpeg4|libvpx|wmv1 yuv420p
wtv|ismv|f4v|3g2 mpeg2video|libx264|libx264|libx264 yuv420p
m2v|m1v mpeg2video|mpeg1video yuv420p
h264|m4v libx264|mpeg4 yuv420p
hevc|mjpeg|obu|yuv libx265|mjpeg|libsvtav1|rawvideo yuv420p|yuvj420p|yuv420p
"""
# Elementary streams without a rate of frames: none may be invented.
_WITHOUT_TIMES = ('hevc', 'mjpeg', 'obu', 'yuv')
# Coarse by design, or of another programme's kind: read or not.
_COARSE = ('gray', 'monow', 'rgb8', 'rgb555le')
_UNSURE = (
  *(
    'h264',
    'm2v',
    'm1v',
    'm4v',
    'gif',
    'apng',
    'webp',
    'avif',
    'swf',
    'rm',
    'wtv',
    'obu',
  ),
  *('cinepak', 'msvideo1', 'svq1', 'amv', 'snow', 'hevc', 'mjpeg', 'yuv'),
)
_CODEC_OPTIONS = {
  'dnxhd': {'profile': 'dnxhr_hq'},
}
_OF_REAL_CLIP = (
  *('avi-mjpeg-yuvj420p', 'avi-rawvideo-yuv420p', 'avi-ffv1-bgr0'),
  *('mp4-libx264-yuv420p', 'mp4-libx265-yuv420p10le', 'mov-prores_ks'),
  *('mkv-libvpx-yuv420p', 'webm-libvpx-vp9', 'ts-mpeg2video', 'flv-flv'),
  *('mpg-mpeg1video', 'asf-wmv2', 'nut-rawvideo', 'mjpeg-mjpeg'),
  *('h264-libx264', 'y4m-wrapped', 'gif-gif', 'mp4-libsvtav1-yuv420p'),
)


def formats(clip: Clip, only: Sequence[str] = ()) -> list[Variant]:
  """Containers x codecs x pixel formats.

  Args:
    clip: what is written.
    only: starts of container-codec-pixels, of those wanted; empty: all.
  """
  variants = []
  for suffix, codec, pix_fmt in _format_rows():
    label = f'{suffix}-{codec}-{pix_fmt}'
    if only and not label.startswith(tuple(only)):
      continue
    track = Track(codec, pix_fmt, options=_CODEC_OPTIONS.get(codec, {}))
    is_readable = not (
      pix_fmt in _COARSE or suffix in _UNSURE or codec in _UNSURE
    )
    variants.append(
      Variant(
        f'{clip.name}-{codec}-{pix_fmt}.{suffix}',
        'format',
        _writer(clip.frames, track),
        () if suffix in _WITHOUT_TIMES else (clip.rate_bpm,),
        is_readable,
      )
    )
  return variants


def real_formats(clip: Clip) -> list[Variant]:
  """Those of `formats` that a real clip is written in."""
  return formats(clip, _OF_REAL_CLIP)


def _format_rows() -> list[tuple[str, str, str]]:
  rows = []
  for line in _FORMATS.split('\n'):
    if not line:
      continue
    suffixes, codecs, *pix_fmts = line.split()
    for pix_fmt in pix_fmts:
      columns = [suffixes.split('|'), codecs.split('|'), pix_fmt.split('|')]
      count = max(map(len, columns))
      columns = [c + c[-1:] * (count - len(c)) for c in columns]
      rows += zip(*columns, strict=True)
  return rows


def _writer(frames, track: Track, **options) -> Callable:
  def make(path: pathlib.Path) -> None:
    media.write(path, frames, track, **options)

  return make


# Display matrices (a, b, u, c, d, v, x, y, w) of ISO 14496-12: a pixel (x, y)
# is shown at (a x + c y, b x + d y); and what makes the stored frame of the
# upright one.
_MATRICES = {
  'turned90': ((0, 1, -1, 0), lambda image: np.rot90(image, 1)),
  'turned180': ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
  'turned270': ((0, -1, 1, 0), lambda image: np.rot90(image, -1)),
  'mirrored': ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
  'upside-down': ((1, 0, 0, -1), lambda image: image[::-1]),
  'transposed': ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
  'antitransposed': (
    (0, -1, -1, 0),
    lambda image: image[::-1, ::-1].swapaxes(0, 1),
  ),
}
_ODD_MATRICES = {
  'turned45': (0.7071, 0.7071, -0.7071, 0.7071),
  'turned1': (0.99985, 0.01745, -0.01745, 0.99985),
  'zero': (0, 0, 0, 0),
  'stretched': (2, 0, 0, 1),
  'sheared': (1, 0.5, 0, 1),
  'huge': (32767, 0, 0, 32767),
}


def matrices(clip: Clip) -> list[Variant]:
  """Turned and mirrored by the display matrix, upright as shown."""
  variants = []
  for name, (abcd, stored) in _MATRICES.items():
    for suffix, codec in (('mp4', 'libx264'), ('mov', 'mjpeg')):
      pix_fmt = 'yuvj444p' if codec == 'mjpeg' else 'yuv420p'
      track = Track(codec, pix_fmt, matrix=_matrix(abcd))
      variants.append(
        Variant(
          f'{clip.name}-{name}.{suffix}',
          'display matrix',
          functools.partial(_write_stored, clip, stored, track),
          (clip.rate_bpm,),
          is_readable=True,
        )
      )
  for name, abcd in _ODD_MATRICES.items():
    track = Track(matrix=_matrix(abcd))
    variants.append(
      Variant(
        f'{clip.name}-{name}.mp4',
        'display matrix',
        _writer(clip.frames, track),
        (clip.rate_bpm,),
      )
    )
  return variants


def _write_stored(clip: Clip, stored: Callable, track: Track, path) -> None:
  frames = [np.ascontiguousarray(stored(image)) for image in clip.frames]
  media.write(path, frames, track)


def _matrix(abcd) -> tuple[int, ...]:
  a, b, c, d = (min(round(value * 65536), 2**31 - 1) for value in abcd)
  return a, b, 0, c, d, 0, 0, 0, 1 << 30


def interlaced(clip: Clip) -> list[Variant]:
  """Marked as interlaced, or woven of fields of different times."""
  flags = {'flags': '+ilme+ildct+qscale'}
  x264 = {'x264-params': 'tff=1:bframes=0'}
  tracks = {
    'm2.mpg': ('mpeg2video', 'yuv420p', flags),
    'm2.ts': ('mpeg2video', 'yuv420p', flags),
    'm2.avi': ('mpeg2video', 'yuv420p', flags),
    'm2-422.mp4': ('mpeg2video', 'yuv422p', flags),
    'm4.avi': ('mpeg4', 'yuv420p', flags),
    'x264.mp4': ('libx264', 'yuv420p', x264),
    'x264.ts': ('libx264', 'yuv420p', x264),
    'x264-fake.mkv': ('libx264', 'yuv420p', {'x264-params': 'fake-interlaced'}),
    'prores.mov': ('prores_ks', 'yuv422p10le', {'flags': '+ildct'}),
    'ffv1.mkv': ('ffv1', 'yuv420p', {}),
    'raw.nut': ('rawvideo', 'yuv420p', {}),
    'huffyuv.avi': ('huffyuv', 'yuv422p', {'flags': '+ildct'}),
  }
  variants = []
  for order, name in (('tff', 'top'), ('bff', 'bottom')):
    for label, (codec, pix_fmt, options) in tracks.items():
      options = {
        key: value.replace('tff', order) for key, value in options.items()
      }
      filters = (('setfield', order),)
      track = Track(codec, pix_fmt, options=options, filters=filters)
      variants.append(_interlaced(clip, f'{name}-{label}', track))
  # Each frame woven of two of the clip: 15 a second.
  for label in ('m2.mpg', 'x264.mp4'):
    codec, pix_fmt, options = tracks[label]
    filters = (('interlace', 'scan=tff:lowpass=off'),)
    track = Track(codec, pix_fmt, options=options, filters=filters)
    variants.append(_interlaced(clip, f'woven-{label}', track))
  return variants


def _interlaced(clip: Clip, label: str, track: Track) -> Variant:
  return Variant(
    f'{clip.name}-{label}',
    'interlaced',
    _writer(clip.frames, track),
    (clip.rate_bpm,),
  )


def times(clip: Clip, rng: np.random.Generator) -> list[Variant]:
  """Frame rates and time stamps of all kinds, written by FFmpeg."""
  num = len(clip.frames)
  variants = []

  def add(name, truth_bpm, frames=clip.frames, track=None, **options):
    variants.append(
      Variant(
        f'{clip.name}-{name}',
        'times',
        _writer(frames, track or Track(), **options),
        truth_bpm,
      )
    )

  same = (clip.rate_bpm,)
  clock = functools.partial(Track, clock_hz=90000)
  kept = np.flatnonzero(rng.random(num) < 0.8)
  ticks = 3000 * np.arange(num)
  for suffix in ('mp4', 'mkv', 'ts', 'nut', 'mov'):
    frames = [clip.frames[index] for index in kept]
    add(f'dropped.{suffix}', same, frames, clock(ticks=ticks[kept]))
  for suffix in ('flv', 'asf'):
    codec = {'flv': 'flv', 'asf': 'wmv2'}[suffix]
    track = Track(codec, ticks=ticks[kept] // 90, clock_hz=1000)
    add(f'dropped.{suffix}', same, frames, track)
  jittered = ticks + rng.integers(-700, 700, num)
  jittered[0] = 0
  for suffix in ('mp4', 'mkv', 'ts'):
    add(f'jittered.{suffix}', same, track=clock(ticks=jittered))
  for step in (2, 3, 4):
    add(
      f'each-{step}.mp4', same, clip.frames[::step], Track(rate_hz=30 // step)
    )
  for rate_hz in (25, 24, 20, Fraction(30000, 1001)):
    truth = (clip.rate_bpm * float(rate_hz) / 30,)
    label = f'{float(rate_hz):.3f}Hz'
    add(f'{label}.mp4', truth, track=Track(rate_hz=rate_hz))
    mjpeg = Track('mjpeg', 'yuvj444p', rate_hz=rate_hz)
    add(f'{label}.avi', truth, track=mjpeg)
  for rate_hz in (1, 5, 60, 240, 1000, 90000):
    add(
      f'{rate_hz}Hz.avi', (), track=Track('mjpeg', 'yuvj420p', rate_hz=rate_hz)
    )
  _add_offsets(add, same, clock, ticks)
  _add_jumps(add, same, clock, ticks)
  _add_b_frames(add, same)
  return variants


def _add_offsets(add, same, clock, ticks) -> None:
  kept_as_is = {'avoid_negative_ts': 'disabled'}
  late = 90000 * 1_000_000
  add('late.mp4', same, track=clock(ticks=ticks + late))
  add('late.mkv', same, track=clock(ticks=ticks + 90000 * 100_000))
  add('wraps.ts', same, track=clock(ticks=ticks + 2**33 - 5 * 90000))
  for suffix in ('mp4', 'mkv', 'ts'):
    add(
      f'negative.{suffix}',
      same,
      track=clock(ticks=ticks - 2 * 90000),
      container_options=kept_as_is,
    )


def _add_jumps(add, same, clock, ticks) -> None:
  half = len(ticks) // 2
  for name, pause_s in (('3s', 3), ('70s', 70), ('10h', 36000)):
    later = ticks.copy()
    later[half:] += pause_s * 90000
    add(f'pause-{name}.mkv', same, track=clock(ticks=later))
  for suffix, codec in (('mkv', 'libx264'), ('flv', 'flv'), ('asf', 'wmv2')):
    track = Track(codec)
    add(f'standing.{suffix}', (), track=track, change=_at_zero)


def _at_zero(packet):
  packet.pts = packet.dts = 0
  return packet


def _add_b_frames(add, same) -> None:
  pyramid = {'bf': '3', 'x264-params': 'b-pyramid=normal:scenecut=0'}
  for suffix in ('mp4', 'mkv', 'ts', 'avi', 'flv', 'h264'):
    track = Track(options=pyramid, has_b_frames=True)
    add(f'b-frames.{suffix}', same, track=track)
  two = {'bf': '2'}
  for suffix, codec in (('avi', 'mpeg4'), ('mpg', 'mpeg2video')):
    add(f'b-frames-{codec}.{suffix}', same, track=Track(codec, options=two))
  add('b-frames-hevc.mkv', same, track=Track('libx265', has_b_frames=True))


def streams(clip: Clip) -> list[Variant]:
  """Sound before the picture, covers, many pictures, none."""
  same = (clip.rate_bpm,)
  variants = []

  def add(name, truth_bpm, make, is_readable=False):
    label = f'{clip.name}-{name}'
    variants.append(Variant(label, 'streams', make, truth_bpm, is_readable))

  sounds = {'mp4': 'aac', 'mkv': 'flac', 'ts': 'mp2', 'mov': 'pcm_s16le'}
  sounds['avi'] = 'libmp3lame'
  for suffix, codec in sounds.items():
    sound = media.audio(codec)
    make = _writer(clip.frames, Track(), before=[sound])
    add(f'sound-first.{suffix}', same, make, is_readable=True)
    make = _writer(clip.frames, Track(), after=[sound])
    add(f'sound-after.{suffix}', same, make, is_readable=True)
  cover = np.full((200, 200, 3), 90, np.uint8)
  picture = media.second_video(
    [cover], Track('mjpeg', 'yuvj420p'), is_cover=True
  )
  for suffix in ('mp4', 'mov'):
    make = _writer(clip.frames, Track(), before=[picture])
    add(f'cover-first.{suffix}', same, make, is_readable=True)
    make = _writer(clip.frames, Track(), after=[picture])
    add(f'cover-after.{suffix}', same, make, is_readable=True)
  jpeg = cv2.imencode('.jpg', cover)[1].tobytes()
  attached = media.attachment('cover.jpg', 'image/jpeg', jpeg)
  make = _writer(clip.frames, Track(), before=[attached])
  add('attached-cover.mkv', same, make, is_readable=True)
  mjpeg = Track('mjpeg', 'yuvj420p')
  for suffix in ('avi', 'mp4', 'mkv'):
    make = _writer(clip.frames, mjpeg, change=_with_exif)
    add(f'exif.{suffix}', same, make, is_readable=True)
  small = media.second_video([cover[:96, :96]] * 300, Track())
  large = media.second_video([cover.repeat(4, 0)] * 30, Track())
  # Which of two videos is meant is open; a wrong rate is not.
  for name, other in (('small', small), ('large', large), ('one', picture)):
    for suffix in ('mp4', 'mkv', 'ts'):
      make = _writer(clip.frames, Track(), before=[other])
      add(f'{name}-first.{suffix}', same, make)
      make = _writer(clip.frames, Track(), after=[other])
      add(f'{name}-after.{suffix}', same, make)
  only = {'m4a': 'aac', 'mp3': 'libmp3lame', 'wav': 'pcm_s16le'}
  for suffix, codec in only.items():
    add(f'sound-only.{suffix}', (), _sound_writer(codec))
  add('sound-and-cover.m4a', (), _sound_writer('aac', [picture]))
  return variants


def _with_exif(packet: av.Packet) -> av.Packet:
  """Puts into a JPEG what a camera adds."""
  # Of TIFF: one entry, orientation (0x112), one short (3), upright (1).
  tiff = struct.pack('<2sHIHHHIHHI', b'II', 42, 8, 1, 0x112, 3, 1, 1, 0, 0)
  exif = b'Exif\0\0' + tiff
  segment = b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif
  jpeg = bytes(packet)
  changed = av.Packet(jpeg[:2] + segment + jpeg[2:])
  changed.pts, changed.dts = packet.pts, packet.dts
  changed.time_base, changed.duration = packet.time_base, packet.duration
  changed.stream, changed.is_keyframe = packet.stream, True
  return changed


def _sound_writer(codec: str, others: Sequence[Callable] = ()) -> Callable:
  def make(path: pathlib.Path) -> None:
    media.write_streams(path, [media.audio(codec), *others])

  return make


def sizes(clip: Clip) -> list[Variant]:
  """Frames small, large, odd, few; faces that do not pulse."""
  first, num = clip.frames[0], len(clip.frames)
  same = (clip.rate_bpm,)
  variants = []

  def add(name, frames, track, truth_bpm=(), is_readable=False):
    label = f'{clip.name}-{name}'
    make = _writer(frames, track)
    variants.append(Variant(label, 'sizes', make, truth_bpm, is_readable))

  lossless = Track('ffv1', 'bgr0')
  odd = [image[:239, :319] for image in clip.frames]
  add('odd.mkv', odd, lossless, same, is_readable=True)
  add('odd-h264.mp4', odd, Track(pix_fmt='yuv444p'), same, is_readable=True)
  mjpeg = Track('mjpeg', 'yuvj420p')
  add('odd-mjpeg.avi', odd, mjpeg, same, is_readable=True)
  for side_px in (1, 2, 16):
    tiny = [image[:side_px, :side_px] for image in clip.frames]
    add(f'{side_px}px.mkv', tiny, lossless)
    add(f'{side_px}px.avi', tiny, mjpeg)
  add('one-row.mkv', [image[:1] for image in clip.frames], lossless)
  wide = [np.zeros((16, 8000, 3), np.uint8)] * 30
  add('wide.avi', wide, mjpeg)
  add('8000px.avi', [np.full((8000, 8000, 3), 90, np.uint8)], mjpeg)
  squeezed = Track(aspect=Fraction(2, 1), size_px=(160, 240))
  add('squeezed.mp4', clip.frames, squeezed, same)
  for count in (1, 2, 9, 30, 270):
    add(f'{count}-frames.mp4', clip.frames[:count], Track())
    add(f'{count}-frames.avi', clip.frames[:count], mjpeg)
  for count in (299, 300, 301):
    add(f'{count}-frames.mp4', clip.frames[:count], Track(), same)
    add(f'{count}-frames.avi', clip.frames[:count], mjpeg, same)
  add('still.mp4', [first] * num, Track())
  add('black.mp4', [np.zeros_like(first)] * num, Track())
  add('black.avi', [np.zeros_like(first)] * num, mjpeg)
  return variants


def joined(clip: Clip, folder: pathlib.Path) -> list[Variant]:
  """Two files one after the other, as `cat` joins them.

  Args:
    clip: whose first half and second half are joined.
    folder: for the halves.
  """
  half = len(clip.frames) // 2
  variants = []
  for suffix, codec in (
    *(('ts', 'libx264'), ('mpg', 'mpeg2video'), ('h264', 'libx264')),
    *(('flv', 'flv'), ('m2v', 'mpeg2video'), ('avi', 'mpeg4')),
    *(('mp4', 'libx264'), ('mkv', 'libx264'), ('mjpeg', 'mjpeg')),
  ):
    pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
    for name, size_px in (('same', None), ('smaller', (160, 120))):
      parts = (
        (clip.frames[:half], Track(codec, pix_fmt)),
        (clip.frames[half:], Track(codec, pix_fmt, size_px=size_px)),
      )
      truth_bpm = () if suffix == 'mjpeg' else (clip.rate_bpm,)
      label = f'{clip.name}-joined-{name}.{suffix}'
      make = functools.partial(_join, parts=parts, folder=folder)
      variants.append(Variant(label, 'joined', make, truth_bpm))
  return variants


def _join(path: pathlib.Path, parts, folder: pathlib.Path) -> None:
  pieces = []
  for frames, track in parts:
    part = folder / f'part-{os.getpid()}{path.suffix}'
    media.write(part, frames, track)
    pieces.append(part.read_bytes())
    part.unlink()
  path.write_bytes(b''.join(pieces))
