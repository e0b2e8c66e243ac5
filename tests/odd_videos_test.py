"""Odd and damaged videos of tools.fuzz_readers, each with a known answer."""

import numpy as np
import pytest

from rppg_tf import jpeg_frame, video_reader
from tools import fuzz_media, fuzz_variants
from tools.fuzz_media import Track

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
  pairs = list(video_reader.VideoReader(path).stored())
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
  'name', ['sound-first.mp4', 'cover-first.mov', 'attached-cover.mkv']
)
def test_the_video_is_found_behind_other_streams(clip, tmp_path, name):
  path = _made(fuzz_variants.streams(clip), f'clip-{name}', tmp_path)
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
  fuzz_media.write(path, clip.frames, Track(codec, pix_fmt))
  _assert_read(path, clip.frames)


@pytest.mark.parametrize(
  'name', ['caf\udce9.avi', '10:22:33.avi', 'two\nlines.avi', '%03d.avi']
)
def test_names_as_people_type_them(clip, tmp_path, name):
  path = tmp_path / name
  fuzz_media.write(path, clip.frames, Track('ffv1', 'bgr0'), container='avi')
  _assert_read(path, clip.frames, within=0.1)
