"""Odd but whole videos for tools.fuzz_readers: what a camera or a tool writes.

Every function returns Variants; see there. The files are written by
media.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence

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
        writer(clip.frames, track),
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


def writer(frames, track: Track, **options) -> Callable:
  """Returns what writes frames to a path; options as media.write."""

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
        writer(clip.frames, track),
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
    'x264-fake.mkv': (
      'libx264',
      'yuv420p',
      {'x264-params': 'fake-interlaced=1'},
    ),
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
  woven = dataclasses.replace(clip, frames=_Woven(clip.frames))
  for label in ('m2.mpg', 'x264.mp4', 'raw.nut'):
    codec, pix_fmt, options = tracks[label]
    track = Track(
      codec,
      pix_fmt,
      options=options,
      filters=(('setfield', 'tff'),),
      rate_hz=media.RATE_HZ // 2,
    )
    variants.append(_interlaced(woven, f'woven-{label}', track))
  return variants


class _Woven(Sequence):
  """Frames at half the rate, each of the rows of two: upper rows first."""

  def __init__(self, frames: Sequence[np.ndarray]):
    self._frames = frames

  def __len__(self) -> int:
    return len(self._frames) // 2

  def __getitem__(self, index: int) -> np.ndarray:
    if not 0 <= index < len(self):
      raise IndexError(index)
    frame = self._frames[2 * index].copy()
    frame[1::2] = self._frames[2 * index + 1][1::2]
    return frame


def _interlaced(clip: Clip, label: str, track: Track) -> Variant:
  return Variant(
    f'{clip.name}-{label}',
    'interlaced',
    writer(clip.frames, track),
    (clip.rate_bpm,),
  )
