"""Chunks of frames give the grid samples of the whole recording."""

import numpy as np
import pytest

from rppg_tf.signals import resampling
from tests.support import frame_times


@pytest.mark.parametrize(
  'time_s',
  [
    frame_times.measured(700, 4),
    # 30 * (123 / 30) rounds to less than 123, and others so.
    np.arange(500) / 30,
    np.repeat(np.arange(500) / 30, 3),
  ],
)
@pytest.mark.parametrize('chunk', [1, 7, 2000])
def test_grid_stream_places_samples_as_grid_positions_does(time_s, chunk):
  frames = np.arange(len(time_s))
  stream = resampling.GridStream()
  got = []
  for start in range(0, len(frames), chunk):
    part = slice(start, start + chunk)
    values, older, newer, fraction = stream.push(frames[part], time_s[part])
    got.append((values[older], values[newer], fraction))
  expected = resampling.grid_positions(time_s)
  for parts, whole in zip(zip(*got, strict=True), expected, strict=True):
    np.testing.assert_array_equal(np.concatenate(parts), whole)
