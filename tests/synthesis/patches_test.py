"""Patch renderer: a known rate reads back, ingredients can be left out."""

import cv2
import numpy as np
import pytest

from rppg_tf import contract
from rppg_tf.errors import InputError
from rppg_tf.evaluation import unsupervised_methods, windows
from rppg_tf.synthesis import codecs, patch_motion, patch_textures, patches

_CALM = frozenset({'motion', 'light', 'codec', 'pulse_less'})


def _render(index=0, **fields):
  fields = {'seed': 7, 'duration_s': 12.0, 'without': _CALM} | fields
  source = patches.PatchSource(**fields)
  return patches.render_recording(source, index)


@pytest.fixture(scope='module')
def calm():
  """One recording of skin that stands still."""
  return _render()


def test_an_example_is_one_of_tfds_ubfc(calm):
  num_frames = len(calm['timestamp_s'])
  assert num_frames > 12 * 20
  assert calm['frames'].shape == (num_frames, 3, 36, 36, 3)
  assert calm['frames'].dtype == np.uint8
  assert calm['mid_face_rgb'].shape == (num_frames, 3)
  assert np.all(np.diff(calm['timestamp_s']) >= 0)
  for name in ('ppg', 'heart_rate_bpm', 'face_found'):
    assert calm[name].shape == (num_frames,)


def test_its_pulse_reads_back_by_pos(calm):
  estimates = unsupervised_methods.estimators()['pos'](calm)
  reference = windows.reference_bpm(calm['heart_rate_bpm'], calm['timestamp_s'])
  np.testing.assert_allclose(estimates.heart_rate_bpm, reference, atol=3)


def test_the_same_index_gives_the_same_bytes(calm):
  again = _render()
  for name in ('frames', 'timestamp_s', 'ppg'):
    np.testing.assert_array_equal(again[name], calm[name])
  other = _render(index=1)
  assert other['frames'][:5].tobytes() != calm['frames'][:5].tobytes()


def test_without_motion_nothing_moves_and_with_it_something_does():
  exposure_s = np.arange(300) / 30
  still = patch_motion.draw_scene(
    np.random.default_rng(1), exposure_s, frozenset({'motion'})
  )
  np.testing.assert_array_equal(still.shift, 0)
  moving = patch_motion.draw_scene(np.random.default_rng(1), exposure_s)
  assert np.ptp(moving.head) > 0.002


@pytest.mark.slow
def test_a_recording_without_pulse_says_so():
  source = patches.PatchSource(seed=7, duration_s=3.5)
  rates = [
    patches.render_recording(source, index)['heart_rate_bpm']
    for index in range(20)
  ]
  pulse_less = [np.all(rate == contract.NO_PULSE_BPM) for rate in rates]
  assert 1 <= sum(pulse_less) <= 7
  for rate, is_pulse_less in zip(rates, pulse_less, strict=True):
    assert is_pulse_less or np.nanmin(rate) >= contract.MIN_LABEL_BPM


@pytest.mark.slow
def test_recordings_come_in_order_from_all_cores():
  source = patches.PatchSource(seed=7, duration_s=5.0, without=_CALM)
  together = list(patches.render_recordings(source, 3))
  assert [item['subject'] for item in together] == [
    b'patch0',
    b'patch1',
    b'patch2',
  ]
  alone = patches.render_recording(source, 2)
  np.testing.assert_array_equal(together[2]['frames'], alone['frames'])


def test_real_ppg_drives_it(tmp_path):
  time_s = np.arange(900) / 30
  rows = (np.sin(2 * np.pi * 1.5 * time_s), np.full(900, 90.0), time_s)
  folder = tmp_path / 'subject1'
  folder.mkdir()
  (folder / 'ground_truth.txt').write_text(
    '\n'.join(' '.join(map(str, row)) for row in rows)
  )
  read = _render(ground_truth_dir=str(tmp_path))
  np.testing.assert_allclose(np.nanmedian(read['heart_rate_bpm']), 90, atol=1)


def test_textures_of_ones_own(tmp_path):
  image = np.random.default_rng(1).integers(0, 255, (90, 120, 3), np.uint8)
  cv2.imwrite(str(tmp_path / 'one.png'), image)
  assert _render(texture_dir=str(tmp_path))['frames'].std() > 0
  (tmp_path / 'one.png').rename(tmp_path / 'two.png').write_text('no picture')
  with pytest.raises(InputError, match=r'two\.png: not a picture'):
    _render(texture_dir=str(tmp_path))
  (tmp_path / 'two.png').unlink()
  with pytest.raises(InputError, match='no photograph'):
    patch_textures.photograph_paths(str(tmp_path))


def test_unknown_ingredients_are_refused():
  with pytest.raises(ValueError, match=r"got \['salt'\]"):
    patches.PatchSource(1, without=frozenset({'salt'}))


@pytest.mark.parametrize('codec', codecs.CODECS)
def test_codecs_change_pictures_little(codec):
  hills = patch_textures.smooth_field(np.random.default_rng(1), (64, 64), 4)
  frames = np.stack(
    [np.clip(128 + 30 * np.roll(hills, step, 0), 0, 255) for step in range(20)]
  )
  frames = np.repeat(frames[..., np.newaxis], 3, axis=3).astype(np.uint8)
  damaged = codecs.compressed(np.random.default_rng(2), frames, codec)
  assert damaged.shape == frames.shape
  difference = np.abs(damaged.astype(int) - frames)
  assert difference.mean() < 4
  assert (difference.max() > 0) == (codec != 'none')


def test_an_unknown_codec_is_refused():
  with pytest.raises(ValueError, match="got 'vhs'"):
    codecs.compressed(
      np.random.default_rng(1), np.zeros((1, 2, 2, 3), np.uint8), 'vhs'
    )
