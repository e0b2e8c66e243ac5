"""What is no video, or has a name of its own, for tools.fuzz_readers."""

import functools
import os
import pathlib
import shutil

import numpy as np

from tools.fuzzing.variants import Variant

_SUFFIXES = (
  *('avi', 'mp4', 'mov', 'mkv', 'webm', 'ts', 'm2ts', 'flv', 'mpg', 'vob'),
  *('3gp', 'ogv', 'asf', 'wmv', 'nut', 'yuv', 'h264', 'hevc', 'mjpeg', 'm2v'),
  *('y4m', 'gif', 'apng', 'webp', 'jpg', 'png', 'dv', 'mxf', 'rm', 'obu'),
  *('m4a', 'mp3', 'wav', 'm3u8', 'sdp', 'txt', 'csv', 'bin', 'concat', 'mpd'),
)
_TEXTS = {
  'text.csv': 'time,bpm\n0,72\n1,72\n',
  'text.mp4': 'This is no video.\n' * 200,
  'text.avi': 'RIFF\0\0\0\0AVI nothing',
  'page.html': '<html><body>404: not found</body></html>',
  'notes.json': '{"video": "a.mp4"}',
  'subtitles.srt': '1\n00:00:00,000 --> 00:00:12,000\nhello\n',
  'missing.m3u8': '#EXTM3U\n#EXTINF:10,\nmissing.ts\n#EXT-X-ENDLIST\n',
  'missing.concat': "ffconcat version 1.0\nfile 'missing.avi'\n",
  'itself.m3u8': '#EXTM3U\n#EXTINF:10,\nitself.m3u8\n#EXT-X-ENDLIST\n',
  'itself.concat': "ffconcat version 1.0\nfile 'itself.concat'\n",
  'session.sdp': 'v=0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n',
  'head.y4m': 'YUV4MPEG2 W320 H240 F30:1 Ip C420jpeg\n',
  'art.txt': '\x1b[31mansi\x1b[0m\n' * 100,
}
# Of files that are whole, and must be read under any name.
_NAMES = (
  *('caf\udce9.avi', '10:22:33.avi', '%d.avi', '%03d.avi', '100%.avi'),
  *('two\nlines.avi', 'tab\there.avi', ' spaces  .avi', '-dash.avi'),
  *('file:x.avi', 'http:x.avi', 'concat:a|b.avi', 'pipe:0', 'no_suffix'),
  *('"quoted\'.avi', 'é漢😀.avi', '[0-9]*.avi', '$HOME.avi', '~.avi'),
  *('back\\slash.avi', 'comma,0.avi', 'a' * 250 + '.avi', '.avi', 'x.MP4'),
  *('x.txt', 'x.yuv', 'x.m3u8', 'x.mjpeg', 'x.h264'),
)
# No files, or not in this place.
_ARGUMENTS = (
  *('', ' ', '.', '/', '-', 'missing.avi', '\udce9.avi', 'a\nb.avi', '%d'),
  *('pipe:0', 'http://127.0.0.1:9/x.avi', 'x' * 5000, 'testsrc', '0'),
  *('lavfi:testsrc', '/dev/video77', 'concat:a|b'),
)


def no_videos(seed: int) -> list[Variant]:
  """Random bytes under every suffix, and texts."""
  variants = []
  for number, suffix in enumerate(_SUFFIXES):
    rng = np.random.default_rng([seed, number])
    make = functools.partial(_write, data=rng.bytes(200_000))
    variants.append(Variant(f'random.{suffix}', 'no video', make, ()))
  for suffix in ('avi', 'mp4', 'mkv', 'ts', 'mjpeg', 'h264', 'yuv'):
    for label, data in (('empty', b''), ('zeros', bytes(200_000))):
      make = functools.partial(_write, data=data)
      variants.append(Variant(f'{label}.{suffix}', 'no video', make, ()))
  for name, text in _TEXTS.items():
    make = functools.partial(_write, data=text.encode())
    variants.append(Variant(name, 'no video', make, ()))
  return variants


def _write(path: pathlib.Path, data: bytes) -> None:
  path.write_bytes(data)


def names(whole: pathlib.Path, rate_bpm: float) -> list[Variant]:
  """Names of files as people type them; what a path may lead to instead.

  Args:
    whole: a video that can be read.
    rate_bpm: its heart rate.
  """
  copy = functools.partial(_copy, source=whole)
  variants = [
    Variant(name, 'name', copy, (rate_bpm,), is_readable=True)
    for name in _NAMES
  ]
  link = functools.partial(_link, target=whole)
  variants.append(Variant('link.avi', 'name', link, (rate_bpm,), True))
  for name, make in (
    ('loop.avi', functools.partial(_link, target='loop.avi')),
    ('nowhere.avi', functools.partial(_link, target='nothing-here')),
    ('folder.avi', pathlib.Path.mkdir),
    ('pipe.avi', os.mkfifo),
    ('null.avi', functools.partial(_link, target='/dev/null')),
    ('endless.avi', functools.partial(_link, target='/dev/zero')),
    ('process.avi', functools.partial(_link, target='/proc/self/mem')),
    ('forbidden.avi', _forbid),
  ):
    variants.append(Variant(name, 'path', make, ()))
  for number, argument in enumerate([*_ARGUMENTS, f'{whole}/']):
    name = f'argument-{number}'
    variants.append(Variant(name, 'path', _make_nothing, (), argument=argument))
  return variants


def _copy(path: pathlib.Path, source: pathlib.Path) -> None:
  shutil.copyfile(source, path)


def _link(path: pathlib.Path, target) -> None:
  path.symlink_to(target)


def _forbid(path: pathlib.Path) -> None:
  path.write_bytes(b'RIFF')
  path.chmod(0)


def _make_nothing(path: pathlib.Path) -> None:
  pass
