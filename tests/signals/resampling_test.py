"""Features at measured times → 30 Hz grid."""

import numpy as np

from rppg_tf.signals import resampling


def test_a_straight_line_stays_straight_whatever_the_frame_times():
  rng = np.random.default_rng(1)
  time_s = np.cumsum(rng.uniform(0.0, 0.09, 200)) + 12.5
  line = (2 * (time_s - time_s[0]) + 1).astype(np.float32)
  grid = resampling.to_grid(line[:, None], time_s)[:, 0]
  expected = 2 * np.arange(len(grid)) / 30 + 1
  np.testing.assert_allclose(grid, expected, rtol=1e-5)
  assert len(grid) == int((time_s[-1] - time_s[0]) * 30) + 1


def test_frames_on_the_grid_come_through_unchanged():
  time_s = np.arange(90) / 30
  values = np.random.default_rng(2).normal(size=(90, 48)).astype(np.float32)
  grid = resampling.to_grid(values, time_s)
  np.testing.assert_allclose(grid, values, atol=1e-6)


def test_duplicate_stamps_and_gaps_use_the_frames_around():
  time_s = np.array([0.0, 0.0, 0.04, 0.04, 1.04])
  older, newer, fraction = resampling.grid_positions(time_s)
  assert older[0] == newer[0] == 0
  # Grid time 1/30 s lies between the last frame at 0 s and the first at 0.04.
  assert (older[1], newer[1]) == (1, 2)
  np.testing.assert_allclose(fraction[1], 1 / 30 / 0.04, rtol=1e-6)
  assert (older[2:] == 3).all() and (newer[2:] == 4).all()
  assert (fraction > 0).all() and (fraction <= 1).all()


def test_streaming_sees_no_frame_from_the_future():
  rng = np.random.default_rng(3)
  time_s = np.cumsum(rng.uniform(0.01, 0.06, 100))
  values = rng.normal(size=(100, 2)).astype(np.float32)
  whole = resampling.to_grid(values, time_s)
  for end in (5, 50, 99):
    part = resampling.to_grid(values[:end], time_s[:end])
    np.testing.assert_array_equal(part, whole[: len(part)])


def test_unknown_labels_spread_only_to_their_neighbours():
  values = np.array([70, 70, np.nan, 70, 70], np.float32)
  grid = resampling.to_grid(values, np.arange(5) * 0.04)
  # Grid times 0, 33, 67, 100, 133 ms; frame 2 is at 80 ms.
  assert np.isnan(grid).tolist() == [False, False, True, True, False]


def test_a_last_frame_on_the_grid_gives_a_sample_whatever_the_rounding():
  for last in range(1, 600):
    for start_s in (0.0, 1000.0333):
      time_s = start_s + np.arange(last + 1) / 30
      _, newer, fraction = resampling.grid_positions(time_s)
      assert newer.max() <= last
      assert (fraction > 0).all() and (fraction <= 1).all()
    # From zero the stamps are the grid times themselves.
    assert len(resampling.grid_positions(np.arange(last + 1) / 30)[0]) == (
      last + 1
    )
