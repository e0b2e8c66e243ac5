"""Heart-rate errors with known answers."""

import numpy as np
import pytest

from rppg_tf import metrics


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
