"""The Python API: a video measured, frames pushed one by one."""

import json
import subprocess
import sys

import numpy as np
import pytest

import rppg_tf
from rppg_tf.errors import InputError
from rppg_tf.inference.meter import Estimate
from rppg_tf.video.reader import VideoReader
from tests.support import commands, fake_recordings

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def video(tmp_path_factory):
  """A face of 11 s at 30 frames/s; its path."""
  folder = tmp_path_factory.mktemp('pulsing') / 'subject1'
  fake_recordings.write_recording(folder, num_frames=331)
  return folder / 'vid.avi'


@pytest.fixture(scope='module')
def found(video):
  return rppg_tf.measure(video)


def test_a_measurement_holds_rates_pulse_and_what_was_read(found):
  np.testing.assert_array_equal(found.time_s[-2:], [10, 11])
  rejected = found.confidence < found.confidence_threshold
  np.testing.assert_array_equal(np.isnan(found.bpm), rejected)
  assert (found.raw_bpm >= 40).all() and (found.raw_bpm <= 180).all()
  assert found.bpm.shape == found.confidence.shape == found.time_s.shape
  assert (np.diff(found.beats.time_s) > 0).all()
  assert found.pulse.dtype == np.float32
  assert found.pulse.shape == found.pulse_time_s.shape
  assert found.pulse_time_s[-1] == pytest.approx(331 / 30, abs=0.05)
  assert found.num_frames == 331 and found.frames_lost == 0
  assert found.face_found_share == 1.0
  frame = found.to_frame()
  assert list(frame) == list(Estimate._fields)
  np.testing.assert_array_equal(frame['raw_bpm'], found.raw_bpm)


def test_frames_one_by_one_read_the_same(video, found):
  meter = rppg_tf.Meter()
  fresh = []
  for frame_bgr, time_s in VideoReader(video):
    # Any clock will do.
    fresh += meter.push(frame_bgr, 1000.0 + time_s)
  fresh += meter.finish()
  assert tuple(fresh) == meter.estimates
  assert [e.raw_bpm for e in fresh] == pytest.approx(list(found.raw_bpm))
  assert [e.time_s for e in fresh] == list(found.time_s)


def test_what_cannot_be_measured_is_one_line(tmp_path):
  with pytest.raises(InputError, match='no such video'):
    rppg_tf.measure(tmp_path / 'none.mp4')
  with pytest.raises(InputError, match='no such run'):
    rppg_tf.Meter(run_dir=tmp_path / 'none')
  with pytest.raises(InputError, match=r"backend: expected .*, got 'int4'"):
    rppg_tf.Meter(backend='int4')
  with pytest.raises(InputError, match='fps: expected 5 to 500 frames/s, got'):
    rppg_tf.measure(tmp_path / 'none.mp4', fps=0.03)
  with pytest.raises(InputError, match='a camera has a clock'):
    rppg_tf.measure(0, fps=30)


def test_a_frame_that_is_refused_does_not_count():
  meter = rppg_tf.Meter()
  frame_bgr = np.full((48, 64, 3), 127, np.uint8)
  with pytest.raises(ValueError, match='time_s must be finite'):
    meter.push(frame_bgr, float('nan'))
  assert meter.push(frame_bgr, 7.0) == []


_SCRIPT = """
import json, sys
import rppg_tf
heavy = ('cv2', 'numpy', 'tensorflow')
before = [name for name in heavy if name in sys.modules]
rppg_tf.measure(sys.argv[1])
heavy = ('h5py', 'matplotlib', 'pandas', 'scipy', 'tensorflow', 'tqdm')
print(json.dumps([before, [n for n in heavy if n in sys.modules]]))
"""


def test_importing_and_measuring_load_what_they_need(video):
  done = subprocess.run(
    [sys.executable, '-c', _SCRIPT, video],
    cwd=commands.ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  assert json.loads(done.stdout) == [[], []]
