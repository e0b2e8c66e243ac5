"""Frames → heart rates: what is withheld, elapsed times, refused runs."""

import pathlib
import re
import shutil

import numpy as np
import pytest

from rppg_tf import contract, files, run_directory
from rppg_tf.errors import InputError
from rppg_tf.inference import backends, estimates, frame_batches
from rppg_tf.inference import meter as heart_rate
from rppg_tf.signals import resampling
from rppg_tf.video import jpeg_frame, timestamps

# --- Withheld ---------------------------------------------------------------


class _ConfidentBackend:
  """Says 72 BPM with confidence 0.9, every second of the grid."""

  def __init__(self):
    self._grid = resampling.GridStream()
    self._num_samples = 0

  def push(self, codes, colour, timestamp_s):
    del codes, colour
    fresh = len(self._grid.push(timestamp_s, timestamp_s).fraction)
    due = self._num_due(self._num_samples + fresh)
    due -= self._num_due(self._num_samples)
    self._num_samples += fresh
    ones = np.ones(due, np.float32)
    return estimates.HeadRun(
      np.zeros(fresh, np.float32), 72 * ones, np.float32(0.9) * ones
    )

  @staticmethod
  def _num_due(num_samples):
    return max(num_samples - contract.WINDOW_SAMPLES + 30, 0) // 30


def _withheld_s(time_s, face_found, threshold=0.3):
  meter = heart_rate.HeartRateMeter(_ConfidentBackend(), threshold)
  frame = np.zeros((48, 64, 3), np.uint8)
  for start in range(0, len(time_s), 32):
    part = slice(start, start + 32)
    meter.push(
      frame_batches.Batch(
        np.zeros(len(time_s[part])),
        np.zeros(len(time_s[part])),
        time_s[part],
        face_found[part],
        frame,
        (8, 8, 32, 32),
        'inner',
      )
    )
  end_s = round(time_s[-1])
  told_s = [estimate.time_s for estimate in meter.estimates]
  assert told_s == list(range(10, end_s + 1))
  assert all(estimate.raw_bpm == 72 for estimate in meter.estimates)
  return [e.time_s for e in meter.estimates if e.bpm is None]


def test_withheld_while_the_face_was_lost_within_10_s():
  time_s = np.arange(40 * 30) / 30
  found = np.ones(len(time_s), bool)
  assert _withheld_s(time_s, found) == []
  assert len(_withheld_s(time_s, found, threshold=0.95)) == 31
  found[(time_s > 15.2) & (time_s < 16.1)] = False
  assert _withheld_s(time_s, found) == list(range(16, 27))


def test_withheld_after_a_pause_of_more_than_1_s():
  time_s = np.arange(60 * 30) / 30
  found = np.ones(len(time_s), bool)
  short = (time_s <= 20) | (time_s >= 20.9)
  assert _withheld_s(time_s[short], found[short]) == []
  long = (time_s <= 20) | (time_s >= 35.1)
  assert _withheld_s(time_s[long], found[long]) == list(range(21, 46))


# --- Times ------------------------------------------------------------------


def _elapsed(times_s):
  told = []
  frames = [(None, time_s) for time_s in times_s]
  got = timestamps.elapsed_times(frames, 'x.mp4', told.append)
  return [time_s for _, time_s in got], told


def test_times_are_from_the_first_frame():
  assert _elapsed([]) == ([], [])
  assert _elapsed([7.0]) == ([0.0], [])
  duplicate = [5.0, 5.125, 5.125, 5.25]
  assert _elapsed(duplicate) == ([0.0, 0.125, 0.125, 0.25], [])


@pytest.mark.parametrize(
  'times_s',
  [
    [0.0] * 20,
    [0.0, -1.0] * 10,
    [float('nan')] * 20,
    # A header that was damaged: a frame every 68 years.
    [2.0**31 * n for n in range(20)],
  ],
)
def test_without_times_no_rate_is_made_up(times_s):
  with pytest.raises(InputError, match=r'x.mp4: .*time stamps.*--fps'):
    _elapsed(times_s)


def test_too_few_frames_a_second_are_refused():
  times_s = (np.arange(20) * 0.56).tolist()
  with pytest.raises(InputError, match=r'1\.8 frames/s .* needs 5; .* --fps'):
    _elapsed(times_s)


def test_a_frame_without_a_time_gets_that_before():
  nan = float('nan')
  assert _elapsed([nan, 2.0, 2.125, 2.25, nan, 2.5]) == (
    [0.0, 0.0, 0.125, 0.25, 0.25, 0.5],
    [],
  )


def test_lost_frames_tell_nothing_of_the_times():
  nan = float('nan')
  lost = [(jpeg_frame.LOST, nan)] * 30
  got = timestamps.elapsed_times(lost, 'x.mp4', print)
  assert [time_s for _, time_s in got] == [0.0] * 30
  frames = [*lost, (None, 3.0), (None, 3.125)]
  got = timestamps.elapsed_times(frames, 'x.mp4', print)
  assert [time_s for _, time_s in got] == [0.0] * 31 + [0.125]


def test_times_that_jump_are_joined():
  times_s = np.concatenate([np.arange(20), np.arange(20) - 500]) / 25
  times_s = np.append(times_s, 1e6 + np.arange(20) / 25)
  got_s, told = _elapsed(times_s.tolist())
  np.testing.assert_allclose(got_s, np.arange(60) / 25, atol=1e-8)
  assert told == ['time stamps jump after 0.8 s: joined there']


# --- Refusals ---------------------------------------------------------------


@pytest.mark.slow
def test_a_run_that_does_not_fit_is_refused(tmp_path):
  run_dir = tmp_path / 'run'
  shutil.copytree(run_directory.PRETRAINED, run_dir)
  source = run_dir / 'temporal_head.h'
  scaled = re.sub(
    r'(define TEMPORAL_HEAD_INPUT_SCALE) \S+',
    r'\1 0.125f',
    source.read_text(),
    count=1,
  )
  source.write_text(scaled)
  with pytest.raises(InputError, match='of a checkout again'):
    _push_a_frame(run_dir)
  flags = run_directory.read_flags(run_dir) | {'head': 'window'}
  files.write_json(pathlib.Path(run_dir) / 'flags.json', flags)
  with pytest.raises(InputError, match='window head knows no confidence'):
    backends.load_backend('int8', run_dir)
  (run_dir / 'confidence.json').write_text('{"threshold": null}')
  with pytest.raises(InputError, match=r'expected {"threshold": number}'):
    heart_rate.read_threshold(run_dir)


def _push_a_frame(run_dir):
  backend = backends.load_backend('int8', run_dir)
  shape = (1, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)
  colour = np.zeros((1, contract.NUM_CHROMINANCE), np.int16)
  backend.push(np.zeros(shape, np.int8), colour, np.zeros(1))
