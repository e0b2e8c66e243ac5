"""Chrominance: known colours, the formula's own features, faces that go."""

import numpy as np
import pytest

from rppg_tf.signals import chrominance

_SKIN_RGB = np.array([150.0, 110.0, 90.0], np.float32)
_TIME_S = np.arange(300) / 30


def _codes(rgb, face_found=None):
  if face_found is None:
    face_found = np.ones(len(rgb), bool)
  return chrominance.chrominance_codes(
    rgb.astype(np.float32), _TIME_S[: len(rgb)], face_found
  )


def _beating(strength_rgb):
  """Mean colour of skin whose channels beat by these parts of themselves."""
  wave = np.sin(2 * np.pi * 1.2 * _TIME_S)[:, np.newaxis]
  return _SKIN_RGB * (1 + wave * np.array(strength_rgb))


def test_a_colour_that_stands_still_is_zero():
  np.testing.assert_array_equal(_codes(np.tile(_SKIN_RGB, (300, 1))), 0)


@pytest.mark.parametrize(
  ('strength_rgb', 'amplitude'),
  [
    # Green alone: POS 1 and 1, CHROM -2 and 1, times 128 / 64 a unit of 1024.
    ((0.0, 0.002, 0.0), (262.1, 262.1, 262.1, 131.1)),
    ((0.002, 0.0, 0.0), (0.0, 524.3, 393.2, 196.6)),
    ((0.0, 0.0, 0.002), (262.1, 262.1, 0.0, 196.6)),
  ],
)
def test_one_channel_shows_with_its_weights(strength_rgb, amplitude):
  codes = _codes(_beating(strength_rgb)).astype(float)[150:]
  seen = (codes.max(axis=0) - codes.min(axis=0)) / 2
  # The background follows the pulse a little: 7 % at 72 BPM.
  np.testing.assert_allclose(seen, amplitude, rtol=0.12, atol=1.5)


def test_light_that_changes_alike_in_all_colours_leaves_pos_alone():
  codes = _codes(_beating((0.004, 0.004, 0.004))).astype(float)[150:]
  seen = codes.max(axis=0) - codes.min(axis=0)
  # (x - b) / (b + 1): the 1 counts more where there is less blue.
  assert np.all(seen[:2] <= 20)
  assert np.all(seen[2:] > 400)


def test_a_stronger_change_is_clipped():
  codes = _codes(_beating((0.0, 0.5, 0.0)))
  assert codes.dtype == np.int16
  assert codes[:, 0].max() == 32767
  assert codes[:, 0].min() == -32768


def test_a_lost_face_starts_anew():
  rgb = _beating((0.001, 0.002, 0.0015))
  found = np.ones(300, bool)
  found[100:110] = False
  codes = _codes(rgb, found)
  np.testing.assert_array_equal(codes[100:110], 0)
  fresh = chrominance.chrominance_codes(
    rgb[110:].astype(np.float32), _TIME_S[110:], found[110:]
  )
  np.testing.assert_array_equal(codes[110:], fresh)


def test_append_puts_chrominance_behind_the_features():
  codes = np.array([[1, -2, 3, -1024]], np.int16)
  joined = chrominance.append(np.full((1, 48), 7, np.int8), codes)
  assert joined.dtype == np.int16
  assert joined[0, 47:].tolist() == [7, 1, -2, 3, -1024]
  joined = chrominance.append(np.full((1, 48), 7, np.float32), codes)
  assert joined.dtype == np.float32
  assert joined[0, 48:].tolist() == [1 / 1024, -2 / 1024, 3 / 1024, -1.0]
