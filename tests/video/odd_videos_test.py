"""Odd and damaged videos of tools.fuzz_readers, each with a known answer."""

import re

import numpy as np
import pytest

from rppg_tf.video import jpeg_frame, reader
from tools.fuzzing import damage, media, streams
from tools.fuzzing import variants as fuzz_variants
from tools.fuzzing.media import Track

_NUM_FRAMES = 24
_RATE_HZ = 30


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
  """Smooth colours, no two corners alike, brighter from frame to frame."""
  y, x = np.mgrid[:96, :128]
  scene = np.stack([40 + x, 60 + y, 120 - x / 2 - y / 2], axis=2)
  frames = [(scene + 2 * n).astype(np.uint8) for n in range(_NUM_FRAMES)]
  return fuzz_variants.Clip('clip', tmp_path_factory.mktemp('x'), frames, 72.0)


def _read(path):
  """Frames of a video and their times; None for one that is lost."""
  pairs = list(reader.VideoReader(path).stored())
  frames = [jpeg_frame.decoded(frame) for frame, _ in pairs]
  return frames, np.array([time_s for _, time_s in pairs])


def _assert_read(path, frames, within=3.0):
  """The video holds these frames, upright, at 30 frames/s."""
  read, time_s = _read(path)
  assert len(read) == len(frames)
  for ours, wanted in zip(read, frames, strict=True):
    assert ours.shape == wanted.shape
    assert np.abs(ours.astype(float) - wanted).mean() < within
  np.testing.assert_allclose(np.diff(time_s), 1 / _RATE_HZ, atol=0.0011)


def _made(variants, name, folder):
  (variant,) = [variant for variant in variants if variant.name == name]
  variant.make(folder / name)
  return folder / name


@pytest.mark.parametrize('name', ['turned90', 'upside-down', 'antitransposed'])
def test_a_display_matrix_is_applied(clip, tmp_path, name):
  variants = fuzz_variants.matrices(clip)
  path = _made(variants, f'clip-{name}.mov', tmp_path)
  _assert_read(path, clip.frames)


@pytest.mark.parametrize(
  'name', ['top-m2.mpg', 'bottom-m2.avi', 'top-x264.mp4', 'bottom-raw.nut']
)
def test_interlaced_frames_are_those_that_were_woven(clip, tmp_path, name):
  path = _made(fuzz_variants.interlaced(clip), f'clip-{name}', tmp_path)
  _assert_read(path, clip.frames)


@pytest.mark.parametrize(
  'name',
  [
    *('sound-first.mp4', 'cover-first.mov', 'attached-cover.mkv', 'exif.avi'),
    'small-first.mp4',
  ],
)
def test_the_video_is_found_behind_other_streams(clip, tmp_path, name):
  path = _made(streams.streams(clip), f'clip-{name}', tmp_path)
  _assert_read(path, clip.frames)


@pytest.mark.parametrize(
  ('codec', 'pix_fmt', 'suffix'),
  [
    ('ffv1', 'rgb48le', 'mkv'),
    ('prores_ks', 'yuva444p10le', 'mov'),
    ('libvpx-vp9', 'yuv444p', 'webm'),
    ('rawvideo', 'nv12', 'nut'),
    ('mpeg2video', 'yuv420p', 'ts'),
  ],
)
def test_formats(clip, tmp_path, codec, pix_fmt, suffix):
  path = tmp_path / f'x.{suffix}'
  media.write(path, clip.frames, Track(codec, pix_fmt))
  _assert_read(path, clip.frames)


@pytest.mark.parametrize(
  'name', ['caf\udce9.avi', '10:22:33.avi', 'two\nlines.avi', '%03d.avi']
)
def test_names_as_people_type_them(clip, tmp_path, name):
  path = tmp_path / name
  media.write(path, clip.frames, Track('ffv1', 'bgr0'), container='avi')
  _assert_read(path, clip.frames, within=0.1)


def _headers(clip, folder, name, track):
  """Variants of one carrier, their headers changed."""
  media.write(folder / name, clip.frames, track)
  return damage.headers(clip, {name: folder / name})


_RAW = Track('rawvideo', 'yuv420p')


@pytest.mark.parametrize(
  ('name', 'is_lost'), [('short-frame', True), ('rate-zero', False)]
)
def test_a_raw_avi_is_read_to_its_end(clip, tmp_path, name, is_lost):
  variants = _headers(clip, tmp_path, 'raw.avi', _RAW)
  path = _made(variants, f'clip-raw-{name}.avi', tmp_path)
  frames, time_s = _read(path)
  assert len(frames) == _NUM_FRAMES
  lost = [number for number, frame in enumerate(frames) if frame is None]
  assert lost == ([_NUM_FRAMES // 2] if is_lost else [])
  time_s[lost] = np.array(lost) / _RATE_HZ  # that of a lost frame may be NaN
  np.testing.assert_allclose(time_s * _RATE_HZ, range(_NUM_FRAMES), atol=0.01)
  assert np.abs(frames[-2].astype(float) - clip.frames[-2]).mean() < 3


@pytest.mark.parametrize('name', ['size-huge', 'size-64k', 'size-negative'])
def test_no_frame_is_made_of_a_size_that_cannot_be(clip, tmp_path, name):
  variants = _headers(clip, tmp_path, 'raw.avi', _RAW)
  frames, _ = _read(_made(variants, f'clip-raw-{name}.avi', tmp_path))
  assert all(frame is None for frame in frames)


@pytest.mark.parametrize('name', ['samples-all', 'chunks-many', 'box-one'])
def test_a_broken_mp4_is_refused(clip, tmp_path, name):
  variants = _headers(clip, tmp_path, 'h264.mp4', Track())
  path = _made(variants, f'clip-h264-{name}.mp4', tmp_path)
  with pytest.raises(reader.VideoError, match=re.escape(str(path))):
    reader.VideoReader(path)


@pytest.mark.parametrize('suffix', ['mkv', 'flv', 'asf'])
def test_times_that_stand_still_are_not_made_up_for(clip, tmp_path, suffix):
  variants = streams.times(clip, np.random.default_rng(0))
  path = _made(variants, f'clip-standing.{suffix}', tmp_path)
  assert not np.any(np.diff(_read(path)[1]) > 0)


@pytest.mark.parametrize('suffix', ['mjpeg', 'hevc', 'obu'])
def test_a_stream_without_times_needs_a_rate(clip, tmp_path, suffix):
  (variant,) = fuzz_variants.formats(clip, [f'{suffix}-'])
  path = tmp_path / variant.name
  variant.make(path)
  with pytest.raises(reader.VideoError, match='without times; give'):
    reader.VideoReader(path)
