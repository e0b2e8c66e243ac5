"""Heart-rate errors with known answers."""

import numpy as np
import pytest

from rppg_tf.evaluation import metrics


def test_known_errors():
  errors = metrics.heart_rate_errors(
    np.array([60.0, 80.0, 100.0]), np.array([63.0, 76.0, 100.0])
  )
  assert errors['mae_bpm'] == pytest.approx(7 / 3)
  assert errors['rmse_bpm'] == pytest.approx((25 / 3) ** 0.5)
  assert errors['mape_percent'] == pytest.approx(10 / 3)
  assert errors['windows'] == 3
  expected_r = np.corrcoef([60, 80, 100], [63, 76, 100])[0, 1]
  assert errors['pearson_r'] == pytest.approx(expected_r)


def test_a_constant_predictor_has_no_correlation():
  errors = metrics.heart_rate_errors(
    np.array([60.0, 80.0, 91.3]), np.full(3, 77.7)
  )
  assert np.isnan(errors['pearson_r'])


def test_no_windows_is_refused():
  with pytest.raises(ValueError, match='two non-empty arrays of one shape'):
    metrics.heart_rate_errors(np.array([]), np.array([]))


def test_shares_within_3_and_5_bpm():
  errors = metrics.heart_rate_errors(
    np.full(4, 80.0), np.array([80.0, 77.0, 84.9, 86.0])
  )
  assert errors['within_3_bpm_percent'] == 50
  assert errors['within_5_bpm_percent'] == 75


def test_standard_error_of_pearson_r():
  # r 0.6 of 18 windows: sqrt(0.64 / 16).
  assert metrics.pearson_r_standard_error(0.6, 18) == pytest.approx(0.2)
  assert metrics.pearson_r_standard_error(1 + 1e-12, 18) == 0
  assert np.isnan(metrics.pearson_r_standard_error(0.6, 2))
  assert np.isnan(metrics.pearson_r_standard_error(float('nan'), 18))


def test_bootstrap_draws_subjects_not_windows():
  # Two people of many windows each: half of all draws are one person alone.
  errors_bpm = np.repeat([1.0, 9.0], 500)
  subjects = ['a'] * 500 + ['b'] * 500
  assert metrics.bootstrap_mae_interval_bpm(errors_bpm, subjects) == (1, 9)


def test_bootstrap_interval_covers_the_truth_and_is_reproducible():
  random = np.random.default_rng(0)
  covered = 0
  for _ in range(60):
    means = random.exponential(3.0, 40)
    errors_bpm = np.repeat(means, 10)
    subjects = np.repeat(np.arange(40).astype(str), 10)
    low, high = metrics.bootstrap_mae_interval_bpm(errors_bpm, subjects)
    covered += low <= 3.0 <= high
  assert covered >= 51  # 85 %: of 40 people, a little less than 95 is usual
  again = metrics.bootstrap_mae_interval_bpm(errors_bpm, subjects)
  assert again == (low, high)
  other = metrics.bootstrap_mae_interval_bpm(errors_bpm, subjects, seed=1)
  assert other != (low, high)


def test_bootstrap_of_one_subject_is_nan():
  interval = metrics.bootstrap_mae_interval_bpm(np.ones(3), ['a'] * 3)
  assert np.isnan(interval).all()


_TIME_S = np.arange(300) / 30


def _tone(bpm):
  return np.sin(2 * np.pi * _TIME_S * bpm / 60)


def test_snr_of_a_tone_at_the_rate_and_elsewhere():
  snr_db = metrics.pulse_snr_db(
    np.stack([_tone(72), _tone(144), _tone(110)]), np.full(3, 72.0)
  )
  # The second harmonic is signal as well.
  np.testing.assert_allclose(snr_db[:2], 12.2, atol=0.1)
  assert snr_db[2] < -20


def test_snr_of_equal_tones_is_0_db():
  wave = _tone(72) + _tone(110)
  snr_db = metrics.pulse_snr_db(wave[np.newaxis], np.array([72.0]))
  # Signal and noise each leak a little to the other side.
  assert snr_db[0] == pytest.approx(0, abs=0.6)
  louder = metrics.pulse_snr_db(1000 * wave[np.newaxis], np.array([72.0]))
  assert louder[0] == pytest.approx(snr_db[0])


def test_snr_of_white_noise_is_the_ratio_of_the_bands():
  noise = np.random.default_rng(0).normal(size=(500, 300))
  snr_db = metrics.pulse_snr_db(noise, np.full(500, 80.0))
  # 2 * 13 of 201 rates are signal: 26 / 175 is -8.3 dB; the mean of logarithms
  # is lower.
  assert np.mean(snr_db) == pytest.approx(-8.9, abs=0.4)


def test_snr_of_nothing_is_nan():
  snr_db = metrics.pulse_snr_db(
    np.stack([np.zeros(300), _tone(72)]), np.array([72.0, np.nan])
  )
  assert np.isnan(snr_db).all()
