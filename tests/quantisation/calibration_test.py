"""Calibration sets: known draws."""

import collections

import numpy as np
import pytest

from rppg_tf.errors import InputError
from rppg_tf.quantisation import calibration


def _pool(rates_bpm) -> calibration.Pool:
  """Frames whose first code says which one they are."""
  codes = np.zeros((len(rates_bpm), 36, 36, 3), np.int8)
  codes[:, 0, 0, 0] = np.arange(len(rates_bpm))
  return calibration.Pool(codes, np.array(rates_bpm, np.float32))


def _drawn(codes: np.ndarray) -> list[int]:
  return codes[:, 0, 0, 0].tolist()


def test_a_pool_holds_all_rois_of_every_tenth_frame():
  codes = np.zeros((25, 3, 36, 36, 3), np.int8)
  codes[:, :, 0, 0, 0] = 4 * np.arange(25)[:, np.newaxis] + np.arange(3)
  recording = {
    'codes': codes,
    'heart_rate_bpm': np.arange(60, 85, dtype=np.float32),
  }
  one = calibration.pool([recording])
  assert one.codes[:, 0, 0, 0].tolist() == [0, 1, 2, 40, 41, 42, 80, 81, 82]
  assert one.heart_rate_bpm.tolist() == [60] * 3 + [70] * 3 + [80] * 3
  both = calibration.joined([one, one])
  assert both.codes.shape == (18, 36, 36, 3)
  assert both.heart_rate_bpm.shape == (18,)


def test_every_stratum_gives_as_many():
  # 80 frames at 65 BPM, 10 at 95, 10 at 142: nine in ten of one rate.
  rates_bpm = [65.0] * 80 + [95.0] * 10 + [142.0] * 10
  drawn = _drawn(calibration.stratified(_pool(rates_bpm), 24, seed=0))
  assert len(set(drawn)) == 24
  counts = collections.Counter(rates_bpm[index] for index in drawn)
  assert counts == {65.0: 8, 95.0: 8, 142.0: 8}
  # Two strata run out; the third fills up.
  drawn = _drawn(calibration.stratified(_pool(rates_bpm), 60, seed=0))
  counts = collections.Counter(rates_bpm[index] for index in drawn)
  assert counts == {65.0: 40, 95.0: 10, 142.0: 10}


def test_unknown_heart_rates_are_in_no_stratum():
  pool = _pool([70.0, np.nan, 80.0, np.nan])
  assert sorted(_drawn(calibration.stratified(pool, 2, seed=3))) == [0, 2]
  with pytest.raises(InputError, match=r'3 ROI frames with a heart rate .* 2;'):
    calibration.stratified(pool, 3, seed=3)


def test_draws_are_repeatable_and_without_repetition():
  pool = _pool([70.0] * 100)
  for draw in (calibration.at_random, calibration.stratified):
    first = _drawn(draw(pool, 30, 1))
    assert len(set(first)) == 30
    assert first == _drawn(draw(pool, 30, 1))
    assert first != _drawn(draw(pool, 30, 2))
  with pytest.raises(InputError, match='101 ROI frames wanted'):
    calibration.at_random(pool, 101, 1)


def test_values_are_what_codes_stand_for():
  codes = np.array([-128, 0, 127], np.int8)
  normalised = calibration.values(codes, (1 / 128, 0))
  assert normalised.tolist() == [-1.0, 0.0, 127 / 128]
  raw = calibration.values(codes, (1 / 255, -128))
  np.testing.assert_allclose(raw, [0, 128 / 255, 1])
