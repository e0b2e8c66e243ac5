"""Damaged files, and what is no video at all, for tools.fuzz_readers."""

import functools
import pathlib
import re
import struct
from collections.abc import Callable

import numpy as np

from rppg_tf.video import mjpeg_writer
from tools.fuzzing import media
from tools.fuzzing.media import Track
from tools.fuzzing.variants import Clip, Variant

# Sound files that are damaged: suffix, name and how they are written.
_CARRIERS = {
  'mjpeg.avi': None,
  'raw.avi': Track('rawvideo', 'yuv420p'),
  'mpeg4.avi': Track('mpeg4'),
  'h264.mp4': Track(has_b_frames=True),
  'prores.mov': Track('prores_ks', 'yuv422p10le'),
  'h264.mkv': Track(has_b_frames=True),
  'vp8.webm': Track('libvpx'),
  'vp9.webm': Track('libvpx-vp9'),
  'hevc.ts': Track('libx265'),
  'mpeg2.ts': Track('mpeg2video'),
  'mpeg2.mpg': Track('mpeg2video'),
  'flv1.flv': Track('flv'),
  'wmv2.asf': Track('wmv2'),
  'ffv1.nut': Track('ffv1', 'bgr0'),
  'av1.ivf': Track('libsvtav1'),
  'raw.y4m': Track('wrapped_avframe'),
  'jpegs.mjpeg': Track('mjpeg', 'yuvj420p'),
  'gif.gif': Track('gif', 'rgb8'),
}
_WITHOUT_TIMES = ('jpegs.mjpeg',)
_HEAD_BYTES = 2000

Change = Callable[[bytes], bytes]


def carriers(clip: Clip, folder: pathlib.Path) -> dict[str, pathlib.Path]:
  """Writes the files that are damaged; keeps those that are there."""
  paths = {}
  for name, track in _CARRIERS.items():
    paths[name] = path = folder / f'{clip.name}-{name}'
    if path.exists():
      continue
    half_made = path.with_name(f'half-made-{path.name}')
    if track is None:
      _write_mjpg(half_made, clip.frames)
    else:
      media.write(half_made, clip.frames, track)
    half_made.rename(path)
  return paths


def _write_mjpg(path: pathlib.Path, frames) -> None:
  height_px, width_px = frames[0].shape[:2]
  with mjpeg_writer.MjpgWriter(path, 30, width_px, height_px, 95) as writer:
    for frame in frames:
      writer.write(frame)


def damaged(
  clip: Clip, paths: dict[str, pathlib.Path], seed: int
) -> list[Variant]:
  """Cuts, flipped bytes, holes and the like of every carrier.

  Args:
    clip: what is in the carriers.
    paths: as `carriers` returns them.
    seed: of where the damage is.
  """
  variants = []
  for number, (name, path) in enumerate(paths.items()):
    for label, change in _damages().items():
      rng = np.random.default_rng([seed, number, len(variants)])
      stem, suffix = name.rsplit('.', 1)
      make = functools.partial(_change, source=path, change=change, rng=rng)
      variants.append(
        Variant(
          f'{clip.name}-{stem}-{label}.{suffix}',
          'damage',
          make,
          () if name in _WITHOUT_TIMES else (clip.rate_bpm,),
          may_change_times=True,
        )
      )
  return variants


def _change(path: pathlib.Path, source, change, rng) -> None:
  path.write_bytes(change(source.read_bytes(), rng))


def _damages() -> dict[str, Callable]:
  return {
    'cut-10-bytes': lambda data, rng: data[:10],
    'cut-head': lambda data, rng: data[: rng.integers(20, _HEAD_BYTES)],
    'cut-half': lambda data, rng: data[: len(data) // 2],
    'cut-end': lambda data, rng: data[: int(len(data) * 0.95)],
    'cut-start': lambda data, rng: data[len(data) // 3 :],
    'flips-few': lambda data, rng: _flip(data, rng, 3),
    'flips-many': lambda data, rng: _flip(data, rng, len(data) // 2000),
    'flips-most': lambda data, rng: _flip(data, rng, len(data) // 50),
    'flips-head': lambda data, rng: _flip(data, rng, 8, (0, _HEAD_BYTES)),
    'flips-tail': lambda data, rng: _flip(data, rng, 8, (-_HEAD_BYTES, None)),
    'zeros': lambda data, rng: _replace(data, rng, lambda old: bytes(len(old))),
    'ones': lambda data, rng: _replace(
      data, rng, lambda old: b'\xff' * len(old)
    ),
    'hole': lambda data, rng: _replace(data, rng, lambda old: b''),
    'twice': lambda data, rng: _replace(data, rng, lambda old: old + old),
    'strange': lambda data, rng: _replace(
      data, rng, lambda old: rng.bytes(len(old))
    ),
  }


def _flip(data: bytes, rng, count: int, span=(0, None)) -> bytes:
  """Changes a bit of so many bytes."""
  changed = np.frombuffer(data, np.uint8).copy()
  part = changed[slice(*span)]
  where = rng.integers(0, len(part), max(count, 1))
  part[where] ^= (1 << rng.integers(0, 8, len(where))).astype(np.uint8)
  return changed.tobytes()


def _replace(data: bytes, rng, change: Change) -> bytes:
  """Changes 2 % of the bytes, all in one place."""
  size = len(data) // 50
  start = int(rng.integers(_HEAD_BYTES, len(data) - size))
  return (
    data[:start] + change(data[start : start + size]) + data[start + size :]
  )


def headers(clip: Clip, paths: dict[str, pathlib.Path]) -> list[Variant]:
  """Sizes, counts and times of headers, huge, zero and negative.

  Args:
    clip: what is in the carriers.
    paths: as `carriers` returns them, all or some.
  """
  variants = []
  for name, label, change, truth in _header_changes():
    if name not in paths:
      continue
    stem, suffix = name.rsplit('.', 1)
    source = paths[name]
    truth_bpm = {'same': (clip.rate_bpm,), 'own': (clip.rate_bpm,)}
    make = functools.partial(
      _change, source=source, change=lambda data, _, c=change: c(data), rng=None
    )
    variants.append(
      Variant(
        f'{clip.name}-{stem}-{label}.{suffix}',
        'header',
        make,
        truth_bpm.get(truth, ()),
        may_change_times=truth == 'own',
      )
    )
  return variants


def _put(tag: bytes, offset: int, value: bytes, every: bool = False) -> Change:
  """Overwrites bytes so far behind a tag."""

  def change(data: bytes) -> bytes:
    changed = bytearray(data)
    for match in re.finditer(re.escape(tag), data):
      at = match.end() + offset
      changed[at : at + len(value)] = value
      if not every:
        return bytes(changed)
    return bytes(changed)

  return change


def _header_changes() -> list[tuple[str, str, Change, str]]:
  """(carrier, label, change, 'same', 'own' or 'none' for the truth)."""
  return [*_avi_changes(), *_mp4_changes(), *_other_changes()]


def _little(*values: int) -> bytes:
  return struct.pack(f'<{len(values)}I', *(v & 0xFFFFFFFF for v in values))


def _big(*values: int) -> bytes:
  return struct.pack(f'>{len(values)}I', *(v & 0xFFFFFFFF for v in values))


def _avi_changes():
  for name in ('mjpeg.avi', 'raw.avi'):
    for label, width_px, height_px in (
      ('size-huge', 2**31 - 1, 2**31 - 1),
      ('size-64k', 65535, 65535),
      ('size-16k', 16384, 16384),
      ('size-zero', 0, 0),
      ('size-negative', -320, -240),
      ('size-upside-down', 320, -240),
      ('size-double', 640, 480),
    ):
      size = _little(width_px, height_px)
      yield name, label, _put(b'strf', 8, size), 'same'
    for label, scale, rate in (
      ('rate-huge', 1, -1),
      ('scale-huge', -1, 1),
    ):
      yield name, label, _put(b'strh', 24, _little(scale, rate)), 'none'
    # The file's other header still holds the time of a frame.
    yield name, 'rate-zero', _put(b'strh', 24, _little(1, 0)), 'own'
    yield name, 'scale-zero', _put(b'strh', 24, _little(0, 30)), 'own'
    yield name, 'rate-25', _put(b'strh', 24, _little(1, 25)), 'own'
    for label, count in (('count-huge', -1), ('count-zero', 0)):
      yield name, label, _put(b'strh', 36, _little(count)), 'same'
      yield name, f'all-{label}', _put(b'avih', 20, _little(count)), 'same'
    yield name, 'sample-size', _put(b'strh', 48, _little(2**31)), 'own'
    yield name, 'start-huge', _put(b'strh', 32, _little(-1)), 'own'
    yield name, 'short-frame', functools.partial(_short_frame, at=0.5), 'same'
    yield name, 'short-first', functools.partial(_short_frame, at=0), 'same'
    yield (
      name,
      'empty-frame',
      functools.partial(_short_frame, at=0.5, keep=0),
      'same',
    )
    yield name, 'frame-huge', _put_chunk(_little(-1)), 'same'
    yield name, 'frame-2g', _put_chunk(_little(2**31 - 16)), 'same'
  yield 'raw.avi', 'bits-zero', _put(b'strf', 18, b'\0\0'), 'same'
  yield 'raw.avi', 'fourcc', _put(b'strf', 20, b'\0\xff\n%'), 'same'
  yield (
    'mjpeg.avi',
    'jpeg-64k',
    _put(b'\xff\xc0', 3, b'\xff\xff' * 2, True),
    'same',
  )
  yield (
    'mjpeg.avi',
    'one-jpeg-64k',
    _put(b'\xff\xc0', 3, b'\xff\xff' * 2),
    'same',
  )
  yield 'mjpeg.avi', 'jpeg-zero', _put(b'\xff\xc0', 3, b'\0' * 4, True), 'same'


def _avi_chunks(data: bytes) -> list[int]:
  """Where the frames of an AVI start; indices name them before and behind."""
  span = data.index(b'movi'), data.rindex(b'idx1')
  return [
    match.start() for match in re.compile(b'00d[cb]').finditer(data, *span)
  ]


def _short_frame(data: bytes, at: float, keep: int = 5000) -> bytes:
  """Shortens one chunk of an AVI, as a recorder does that drops a frame."""
  starts = _avi_chunks(data)
  start = starts[int(at * len(starts))]
  (size,) = struct.unpack('<I', data[start + 4 : start + 8])
  end = start + 8 + size + size % 2
  short = data[start : start + 4] + _little(keep)
  return data[:start] + short + data[start + 8 : start + 8 + keep] + data[end:]


def _put_chunk(size: bytes) -> Change:
  def change(data: bytes) -> bytes:
    starts = _avi_chunks(data)
    at = starts[len(starts) // 2] + 4
    return data[:at] + size + data[at + 4 :]

  return change


def _mp4_changes():
  name = 'h264.mp4'
  for label, size in (
    ('size-64k', b'\xff\xff' * 2),
    ('size-zero', b'\0' * 4),
    ('size-double', struct.pack('>2H', 640, 480)),
  ):
    yield name, label, _put(b'avc1', 24, size), 'same'
    yield 'prores.mov', label, _put(b'apch', 24, size), 'same'
  for label, offset, value, truth in (
    ('step-zero', 12, _big(0), 'none'),
    ('step-huge', 12, _big(2**31 - 1), 'none'),
    ('step-negative', 12, _big(-512), 'none'),
    ('step-25', 12, _big(614), 'own'),
    ('steps-many', 4, _big(2**31 - 1), 'own'),
    ('steps-zero', 4, _big(0), 'none'),
    ('step-once', 8, _big(1), 'own'),
  ):
    yield name, label, _put(b'stts', offset, value), truth
  for label, offset, value in (
    ('sample-size', 4, _big(-1)),
    ('samples-many', 8, _big(2**30)),
    ('samples-all', 8, _big(-1)),
    ('samples-none', 8, _big(0)),
    ('sample-huge', 12 + 4 * 180, _big(2**31 - 1)),
    ('sample-empty', 12 + 4 * 180, _big(0)),
    ('sample-short', 12 + 4 * 180, _big(20)),
  ):
    yield name, label, _put(b'stsz', offset, value), 'same'
  for label, tag, offset, value, truth in (
    ('offset-huge', b'stco', 8, _big(-1), 'same'),
    ('offsets-many', b'stco', 4, _big(2**30), 'same'),
    ('chunks-many', b'stsc', 4, _big(2**30), 'same'),
    ('chunk-huge', b'stsc', 12, _big(2**31 - 1), 'same'),
    ('order-many', b'ctts', 4, _big(2**30), 'own'),
    ('order-huge', b'ctts', 12, _big(2**31 - 1), 'own'),
    ('order-negative', b'ctts', 12, _big(-(2**31)), 'own'),
    ('clock-zero', b'mdhd', 12, _big(0), 'none'),
    ('clock-one', b'mdhd', 12, _big(1), 'none'),
    ('clock-huge', b'mdhd', 12, _big(-1), 'none'),
    ('clock-25', b'mdhd', 12, _big(12800), 'own'),
    ('length-huge', b'mdhd', 16, _big(-1), 'same'),
    ('film-clock-zero', b'mvhd', 12, _big(0), 'same'),
    ('film-length-huge', b'mvhd', 16, _big(-1), 'same'),
    ('edit-late', b'elst', 12, _big(3 * 15360), 'same'),
    ('edit-empty', b'elst', 12, _big(-1), 'same'),
    ('edit-negative', b'elst', 12, _big(-9000), 'same'),
    ('edit-beyond', b'elst', 12, _big(2**31 - 1), 'same'),
    ('edit-zero', b'elst', 8, _big(0), 'same'),
    ('edit-huge', b'elst', 8, _big(-1), 'same'),
    ('edit-fast', b'elst', 16, _big(2 << 16), 'same'),
    ('edits-many', b'elst', 4, _big(2**30), 'same'),
    ('edits-none', b'elst', 4, _big(0), 'same'),
    ('avcc', b'avcC', 0, b'\xff' * 40, 'same'),
    ('brand', b'ftyp', 0, b'\0%s\n', 'same'),
    ('no-moov', b'moov', -4, b'free', 'same'),
    ('box-zero', b'stsd', -8, _big(0), 'same'),
    ('box-one', b'trak', -8, _big(1), 'same'),
    ('box-huge', b'moov', -8, _big(-1), 'same'),
    ('nal-huge', b'mdat', 0, _big(-1), 'same'),
  ):
    yield name, label, _put(tag, offset, value), truth


def _other_changes():
  scale = b'\x2a\xd7\xb1\x83'
  for label, value, truth in (
    ('clock-zero', b'\0\0\0', 'own'),
    ('clock-one', b'\0\0\1', 'none'),
    ('clock-huge', b'\xff\xff\xff', 'own'),
  ):
    yield 'h264.mkv', label, _put(scale, 0, value), truth
  for name in ('h264.mkv', 'vp8.webm'):
    yield name, 'size-64k', _put(b'\xb0\x82', 0, b'\xff\xff'), 'same'
    yield name, 'size-zero', _put(b'\xb0\x82', 0, b'\0\0'), 'same'
  # A SimpleBlock of track 1; its time comes next.
  yield 'vp8.webm', 'times-standing', _standing_blocks, 'none'
  for label, old, new, truth in (
    ('size-huge', b'W320 H240', b'W999999999 H999999999', 'same'),
    ('size-64k', b'W320 H240', b'W65535 H65535', 'same'),
    ('size-zero', b'W320 H240', b'W0 H0', 'same'),
    ('size-negative', b'W320 H240', b'W-320 H-240', 'same'),
    ('size-wrong', b'W320 H240', b'W322 H240', 'same'),
    ('rate-zero', b'F30:1', b'F0:0', 'none'),
    ('rate-none', b'F30:1 ', b'', 'none'),
    ('rate-negative', b'F30:1', b'F-30:1', 'none'),
    ('rate-25', b'F30:1', b'F25:1', 'own'),
    ('pixels', b'C420', b'C4%n', 'same'),
    ('interlaced', b' Ip', b' It', 'same'),
  ):
    yield 'raw.y4m', label, _swap(old, new), truth
  for label, size in (('size-64k', b'\xff' * 4), ('size-zero', b'\0' * 4)):
    yield 'gif.gif', label, _put(b'GIF89a', 0, size), 'same'
  yield 'av1.ivf', 'size-64k', _put(b'AV01', 0, b'\xff' * 4), 'same'
  yield 'av1.ivf', 'rate-zero', _put(b'AV01', 4, _little(0, 0)), 'none'
  yield 'flv1.flv', 'flags', _put(b'FLV', 1, b'\0'), 'same'


def _standing_blocks(data: bytes) -> bytes:
  """Puts all blocks and clusters of a Matroska file at time 0."""
  changed = re.sub(
    b'(\xa3[\x40-\xff].{0,3}?\x81)..([\x00\x80])',
    rb'\1' + b'\0\0' + rb'\2',
    data,
    flags=re.DOTALL,
  )
  return re.sub(b'(\xe7[\x81-\x84]).', rb'\1' + b'\0', changed, flags=re.DOTALL)


def _swap(old: bytes, new: bytes) -> Change:
  return lambda data: data.replace(old, new, 1)
