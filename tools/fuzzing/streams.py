"""Odd times, streams, sizes and joints of videos, for tools.fuzz_readers."""

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
from tools.fuzzing.variants import Clip, Variant, writer


def times(clip: Clip, rng: np.random.Generator) -> list[Variant]:
  """Frame rates and time stamps of all kinds, written by FFmpeg."""
  num = len(clip.frames)
  variants = []

  def add(name, truth_bpm, frames=clip.frames, track=None, **options):
    variants.append(
      Variant(
        f'{clip.name}-{name}',
        'times',
        writer(frames, track or Track(), **options),
        truth_bpm,
      )
    )

  same = (clip.rate_bpm,)
  clock = functools.partial(Track, clock_hz=90000)
  kept = np.flatnonzero(rng.random(num) < 0.8)
  ticks = 3000 * np.arange(num)
  for suffix in ('mp4', 'mkv', 'ts', 'nut', 'mov'):
    frames = [clip.frames[index] for index in kept.tolist()]
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
      f'each-{step}.mp4',
      same,
      clip.frames[::step],
      Track(rate_hz=Fraction(30, step)),
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
    make = writer(clip.frames, Track(), before=[sound])
    add(f'sound-first.{suffix}', same, make, is_readable=True)
    make = writer(clip.frames, Track(), after=[sound])
    add(f'sound-after.{suffix}', same, make, is_readable=True)
  cover = np.full((200, 200, 3), 90, np.uint8)
  picture = media.second_video(
    [cover], Track('mjpeg', 'yuvj420p'), is_cover=True
  )
  for suffix in ('mp4', 'mov'):
    make = writer(clip.frames, Track(), before=[picture])
    add(f'cover-first.{suffix}', same, make, is_readable=True)
    make = writer(clip.frames, Track(), after=[picture])
    add(f'cover-after.{suffix}', same, make, is_readable=True)
  jpeg = cv2.imencode('.jpg', cover)[1].tobytes()
  attached = media.attachment('cover.jpg', 'image/jpeg', jpeg)
  make = writer(clip.frames, Track(), before=[attached])
  add('attached-cover.mkv', same, make, is_readable=True)
  mjpeg = Track('mjpeg', 'yuvj420p')
  for suffix in ('avi', 'mp4', 'mkv'):
    make = writer(clip.frames, mjpeg, change=_with_exif)
    add(f'exif.{suffix}', same, make, is_readable=True)
  small = media.second_video([cover[:96, :96]] * 300, Track())
  large = media.second_video([cover.repeat(4, 0)] * 30, Track())
  # Of two videos the larger is read.
  for name, other in (('small', small), ('large', large), ('one', picture)):
    for suffix in ('mp4', 'mkv', 'ts'):
      make = writer(clip.frames, Track(), before=[other])
      is_readable = name == 'small'
      add(f'{name}-first.{suffix}', same, make, is_readable)
      make = writer(clip.frames, Track(), after=[other])
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
    make = writer(frames, track)
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
