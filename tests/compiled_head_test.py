"""The C head in a stream says what it says of the whole recording."""

import itertools

import numpy as np
import pytest

from rppg_tf import compiled_head, run_directory
from tests import frame_times


def _chunks(num_frames, seed):
  """Random cuts, single frames among them."""
  cuts = np.random.default_rng(seed).choice(num_frames, num_frames // 3)
  return np.unique([0, *cuts, num_frames])


def test_head_stream_is_the_whole_recording_bit_for_bit():
  head = compiled_head.CompiledHead(run_directory.PRETRAINED)
  time_s = frame_times.measured(900, 1)
  random = np.random.default_rng(2)
  codes = random.integers(-128, 128, (900, 52), np.int16)
  whole = head.run(codes, time_s, window_stride=7)
  stream = head.stream(window_stride=7)
  cuts = _chunks(900, 3)
  parts = [
    stream.push(codes[start:end], time_s[start:end])
    for start, end in itertools.pairwise(cuts)
  ]
  assert len(whole.heart_rate_bpm) > 50
  for name in compiled_head.HeadRun._fields:
    joined = np.concatenate([getattr(part, name) for part in parts])
    np.testing.assert_array_equal(joined, getattr(whole, name))
  with pytest.raises(ValueError, match='expected never to decrease'):
    stream.push(codes[:1], time_s[:1])
