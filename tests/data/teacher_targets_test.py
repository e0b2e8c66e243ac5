"""Teacher columns of a clip: their blend weight in the loss, at any speed."""

import numpy as np
import pytest

from tests.support import synthetic_examples
from tests.support.synthetic_teacher import (
  RATES_BPM,
  cut,
  every_column,
  peak,
  prepared,
  rates_alone,
)


def test_labels_give_way_by_the_teachers_share():
  _, targets, weights = cut(prepared(every_column()))
  assert targets['teacher_heart_rate_bpm'].numpy().tolist() == [90.0]
  assert targets['heart_rate_bpm'].numpy().tolist() == [80.0]
  np.testing.assert_allclose(
    targets['teacher_rate_probability'][0], peak(90.0), atol=1e-6
  )
  for name in ('heart_rate_bpm', 'rate_probability', 'pulse'):
    np.testing.assert_allclose(weights[name], 0.75)
    np.testing.assert_allclose(weights[f'teacher_{name}'], 0.25)
  assert weights['teacher_features'] == 1.0
  assert targets['teacher_features'].shape == (300, 48)


def test_where_the_teacher_says_nothing_the_label_counts_whole():
  columns = every_column()
  columns['heart_rate_bpm'][100:] = np.nan
  columns['rate_probability'][100:] = np.nan
  columns['pulse'][200] = np.nan
  _, targets, weights = cut(prepared(columns))
  for name in ('heart_rate_bpm', 'rate_probability', 'pulse'):
    np.testing.assert_allclose(weights[name], 1.0)
    np.testing.assert_allclose(weights[f'teacher_{name}'], 0.0)
  assert all(np.all(np.isfinite(target)) for target in targets.values())


def test_a_teacher_says_nothing_of_a_recording_without_a_pulse():
  example = synthetic_examples.example() | {
    'heart_rate_bpm': np.zeros(synthetic_examples.NUM_FRAMES, np.float32)
  }
  _, _, weights = cut(prepared(every_column(), example))
  np.testing.assert_allclose(weights['teacher_heart_rate_bpm'], 0.0)
  np.testing.assert_allclose(weights['rate_probability'], 1.0)


def test_a_window_has_the_teachers_rate_of_its_middle():
  columns = rates_alone()
  columns['heart_rate_bpm'] = np.linspace(
    60, 120, synthetic_examples.NUM_FRAMES, dtype='f'
  )
  _, targets, _ = cut(prepared(columns))
  # The clip's grid ends at frame 329; sample 150 of 300 is frame 180.
  expected = columns['heart_rate_bpm'][180]
  np.testing.assert_allclose(targets['teacher_heart_rate_bpm'], expected, 1e-5)


def test_a_faster_clip_has_faster_rates():
  _, targets, _ = cut(prepared(every_column()), speed=1.05)
  np.testing.assert_allclose(targets['teacher_heart_rate_bpm'], 94.5, 1e-6)
  drawn_out = targets['teacher_rate_probability'][0].numpy()
  assert drawn_out.sum() == pytest.approx(1.0, abs=1e-5)
  assert np.sum(RATES_BPM * drawn_out) == pytest.approx(94.5, abs=0.1)
