"""The command predict: known answers, outputs, Ctrl-C, refusals."""

import csv
import json
import re
import shutil
import signal
import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest
from skimage import data

from rppg_tf import run_directory
from rppg_tf.faces import rois as face_rois
from rppg_tf.inference import c_head, estimators, int8_cnn
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.inference.meter import Estimate
from rppg_tf.signals import chrominance, readout
from rppg_tf.video import reader
from tests.support import commands, fake_recordings

pytestmark = pytest.mark.slow

_SHARED = commands.ROOT.parent / 'shared' / 'real_video'
_TALKING_FACE = _SHARED / 'talking_face_640x360_24fps.mp4'
_RUN_DIR = run_directory.PRETRAINED

needs_shared = pytest.mark.skipif(
  not _SHARED.is_dir(), reason=f'{_SHARED} is not on this machine'
)


def _predict(*flags):
  return commands.run_fresh('rppg_tf.predict', *flags, timeout_s=60)


@pytest.fixture(scope='module')
def pulsing_face(tmp_path_factory):
  """A face at 72 BPM, 13 s at 30 frames/s; its path."""
  folder = tmp_path_factory.mktemp('pulsing') / 'subject1'
  fake_recordings.write_recording(folder, num_frames=391)
  return folder / 'vid.avi'


# --- Videos -----------------------------------------------------------------


@needs_shared
def test_a_real_face_gives_estimates_in_every_format(tmp_path):
  flags = [f'--{kind}={tmp_path / kind}' for kind in ('json', 'csv', 'beats')]
  done = _predict(
    f'--video={_TALKING_FACE}', f'--plot={tmp_path / "plot.html"}', *flags
  )
  assert done.returncode == 0, done.stderr
  result = json.loads((tmp_path / 'json').read_text())
  assert {
    'estimates',
    'confidence_threshold',
    'video',
    'frames',
    'frames_per_s',
    'realtime_factor',
    'face_found_share',
    'backend',
    'run_dir',
  } <= set(result)
  assert result['frames'] == 472
  assert result['face_found_share'] == 1.0
  estimates = result['estimates']
  time_s = [estimate['time_s'] for estimate in estimates]
  assert time_s[-10:] == list(range(10, 20))
  assert all(3 <= early_s < 10 for early_s in time_s[:-10])
  for estimate in estimates:
    assert set(estimate) == set(Estimate._fields)
    confident = estimate['confidence'] >= result['confidence_threshold']
    assert estimate['bpm'] == (estimate['raw_bpm'] if confident else None)
  _check_csv(tmp_path / 'csv', estimates)
  with (tmp_path / 'beats').open() as file:
    beats = [
      {k: float(v) for k, v in row.items()} for row in csv.DictReader(file)
    ]
  assert beats == result['beats']
  beat_s = [beat['time_s'] for beat in beats]
  np.testing.assert_array_equal(np.diff(beat_s), result['rr_s'])
  assert len(result['pulse']) == len(result['pulse_time_s'])
  page = (tmp_path / 'plot.html').read_text()
  assert page.count('<svg') == 5
  assert not re.search(r'(src|href)="(?!#|data:)', page)
  assert len(done.stderr.splitlines()) == len(estimates)
  assert re.search(r'[\d.]+ x real time', done.stdout)


def _check_csv(path, estimates):
  with path.open() as file:
    rows = list(csv.DictReader(file))
  assert list(rows[0]) == list(Estimate._fields)
  for row, estimate in zip(rows, estimates, strict=True):
    assert float(row['raw_bpm']) == estimate['raw_bpm']
    assert (row['bpm'] == '') == (estimate['bpm'] is None)


@needs_shared
def test_no_face_is_exit_code_3_and_no_number(tmp_path):
  path = tmp_path / 'out.json'
  done = _predict(f'--video={_SHARED / "no_face.mp4"}', f'--json={path}')
  assert done.returncode == 3
  assert done.stdout.strip() == 'no face found'
  assert done.stderr == ''
  assert not path.exists()


def test_a_list_of_videos_gives_a_line_and_files_each(
  pulsing_face, faceless, tmp_path
):
  words = [pulsing_face, f'--video={faceless}', 'absent.mp4']
  done = _predict(*words, f'--json={tmp_path / "out"}')
  assert done.returncode == 1
  rate, none = done.stdout.splitlines()
  assert re.fullmatch(
    rf'{pulsing_face}: .*heart rate.* of [0-9]+ estimates.*', rate
  )
  assert none == f'{faceless}: no face found'
  assert done.stderr == 'error: absent.mp4: no such video; check the path\n'
  (path,) = (tmp_path / 'out').iterdir()
  assert path.name == 'vid.json'
  assert json.loads(path.read_text())['video'] == str(pulsing_face)
  # Files of one name would replace each other.
  done = _predict(pulsing_face, pulsing_face, f'--csv={tmp_path / "out"}')
  commands.assert_refused(done, 'vid.csv: would be written for', 'rename')


@pytest.fixture(scope='module')
def faceless(tmp_path_factory):
  """A second of grey; its path."""
  folder = tmp_path_factory.mktemp('faceless') / 'subject2'
  fake_recordings.write_recording(folder, num_frames=30, has_face=False)
  return (folder / 'vid.avi').rename(folder / 'grey.avi')


def test_what_is_lost_is_told(pulsing_face, tmp_path):
  avi = bytearray(pulsing_face.read_bytes())
  at = avi.index(b'movi') + 4
  for number in range(200):
    assert avi[at : at + 4] == b'00dc'
    (length,) = struct.unpack('<I', avi[at + 4 : at + 8])
    if number % 40 == 20:
      avi[at + 8 : at + 8 + length] = bytes(length)
    at += 8 + length + length % 2
  path = tmp_path / 'vid.avi'
  path.write_bytes(avi)
  done = _predict(path, f'--json={tmp_path / "out.json"}')
  assert done.returncode == 0, done.stderr
  assert 'of 386 frames; 5 more frames could not be read' in done.stdout
  result = json.loads((tmp_path / 'out.json').read_text())
  assert (result['frames'], result['frames_lost']) == (386, 5)
  assert all('confidence' in line for line in done.stderr.splitlines())


def test_ten_seconds_are_enough(tmp_path):
  path = tmp_path / 'face.mp4'
  # The last frame begins at 9.96 s.
  assert len(_write_timed_video(path, 24, 10)) == 240
  done = _predict(path)
  assert done.returncode == 0, done.stderr
  assert done.stderr.splitlines()[-1].startswith('    10 s ')


def test_predict_is_the_whole_recording_bit_for_bit(pulsing_face, tmp_path):
  done = _predict(
    f'--video={pulsing_face}',
    f'--json={tmp_path / "out.json"}',
    f'--csv={tmp_path / "out.csv"}',
    f'--plot={tmp_path / "plot.png"}',
  )
  assert done.returncode == 0, done.stderr
  result = json.loads((tmp_path / 'out.json').read_text())
  expected = _whole_recording(pulsing_face)
  # The last frame is shown for as long as the one before: a sample more.
  np.testing.assert_array_equal(result['pulse'][:-1], expected.pulse)
  ends = inference_estimates.window_ends(len(expected.pulse))
  spectral = map(
    readout.Spectral,
    expected.heart_rate_bpm.tolist(),
    expected.confidence.tolist(),
  )
  readings = readout.read_windows(expected.pulse, ends, list(spectral))
  assert len(readings) == 4
  got = result['estimates'][-4:]
  assert [e['raw_bpm'] for e in got] == [r.bpm for r in readings]
  assert [e['confidence'] for e in got] == [r.quality for r in readings]
  _check_csv(tmp_path / 'out.csv', result['estimates'])
  height_px, width_px, _ = cv2.imread(str(tmp_path / 'plot.png')).shape
  assert width_px > 1000 and height_px > 700


def _whole_recording(path) -> inference_estimates.HeadRun:
  extractor = face_rois.FaceRoiExtractor()
  time_s, cut = [], []
  for frame_bgr, at_s in reader.VideoReader(path):
    time_s.append(at_s)
    cut.append(extractor.process(frame_bgr, at_s))
  recording = estimators.with_codes(
    {
      'frames': np.stack([rois.rois for rois in cut]),
      'mid_face_rgb': np.stack([rois.mid_face_rgb for rois in cut]),
      'timestamp_s': np.array(time_s),
      'face_found': np.array([rois.face_found for rois in cut]),
    },
    run_directory.read_flags(_RUN_DIR)['background'],
  )
  cnn = int8_cnn.Int8SpatialCnn(_RUN_DIR / run_directory.INT8_MODEL)
  head = c_head.CompiledHead(_RUN_DIR)
  features = cnn.frame_features(recording['codes'])
  features = chrominance.append(features, recording['chrominance'])
  return head.run(features, recording['timestamp_s'])


@pytest.mark.parametrize('rate_hz', [23, 60, 'varying'])
def test_a_face_at_72_bpm_reads_72_at_any_frame_times(rate_hz, tmp_path):
  path = tmp_path / 'face.mp4'
  time_s = _write_timed_video(path, rate_hz)
  got_s = [at_s for _, at_s in reader.VideoReader(path)]
  np.testing.assert_allclose(got_s, time_s, atol=1e-6)
  done = _predict(f'--video={path}', f'--json={tmp_path / "out.json"}')
  assert done.returncode == 0, done.stderr
  estimates = json.loads((tmp_path / 'out.json').read_text())['estimates']
  raw_bpm = [e['raw_bpm'] for e in estimates if e['time_s'] >= 10]
  assert len(raw_bpm) == 3
  # The first 10 s hold beats from before network and filter had settled.
  np.testing.assert_allclose(raw_bpm, 72, atol=1.5)
  assert raw_bpm[-1] == pytest.approx(72, abs=0.5)
  # Five beats at 72 BPM take 3.4 s.
  assert 4 <= estimates[0]['time_s'] <= 6


def _write_timed_video(path, rate_hz, duration_s=12.2):
  """A face pulsing at 72 BPM; returns the frames' times in s."""
  if rate_hz == 'varying':
    durations = np.resize([0.5, 1, 1.5, 2, 0.5, 0.5], 366)
    rate_hz = 30
  else:
    durations = np.ones(round(duration_s * rate_hz))
  time_s = np.append(0, np.cumsum(durations)[:-1]) / rate_hz
  face = cv2.resize(data.astronaut()[:320, 80:400, ::-1], (240, 240))
  fourcc = cv2.VideoWriter_fourcc(*'mp4v')
  writer = cv2.VideoWriter(str(path), fourcc, rate_hz, (240, 240))
  # Blood takes most of green and least of red; what takes the same of all
  # three is light, which is not to be read.
  depth = 0.05 * np.array([0.7, 1.0, 0.45])
  for at_s in time_s:
    gain = 0.9 - depth * np.cos(2 * np.pi * 72 / 60 * at_s)
    writer.write(np.rint(face * gain).astype(np.uint8))
  writer.release()
  path.write_bytes(_with_durations(path.read_bytes(), durations))
  return time_s


def _with_durations(mp4, durations):
  """Gives each frame a duration of its own, in shares of what it had."""
  boxes, start, end = [], 0, len(mp4)
  for wanted in (b'moov', b'trak', b'mdia', b'minf', b'stbl', b'stts'):
    kind = None
    while kind != wanted:
      size, kind = struct.unpack('>I4s', mp4[start : start + 8])
      at, start = start, start + size
      assert start <= end
    boxes.append(at)
    start, end = at + 8, at + size
  (one,) = struct.unpack('>I', mp4[end - 4 : end])
  ticks = [round(share * one) for share in durations]
  body = struct.pack('>II', 0, len(ticks))
  body += b''.join(struct.pack('>II', 1, tick) for tick in ticks)
  box = struct.pack('>I4s', 8 + len(body), b'stts') + body
  changed = bytearray(mp4[:at] + box + mp4[at + size :])
  for outer in boxes[:-1]:
    (old,) = struct.unpack('>I', mp4[outer : outer + 4])
    changed[outer : outer + 4] = struct.pack('>I', old + len(box) - size)
  return bytes(changed)


# Stands in for a camera: a video over and over, its clock at any speed.
_FAKE_CAMERA = """
import itertools, sys, time
import cv2
from rppg_tf import entry_point, predict
from rppg_tf.video import reader as video_reader

path = sys.argv.pop()

class Camera:
  def __init__(self, number):
    self._path, self._number = path, number
    self._video = cv2.VideoCapture(self._path)
    video_reader.time.monotonic = itertools.count(5, 1 / 30).__next__
  def isOpened(self): return self._number == 7
  def get(self, _): return 0.0
  def release(self): pass
  def read(self):
    ok, frame = self._video.read()
    if not ok:
      self._video = cv2.VideoCapture(self._path)
      ok, frame = self._video.read()
    time.sleep(0.002)
    return ok, frame

real = cv2.VideoCapture
cv2.VideoCapture = lambda source, *more: (
    Camera(source) if isinstance(source, int) else real(source, *more))
entry_point.run(predict.main, takes_words=True)
"""


def test_ctrl_c_on_a_camera_ends_with_summary_and_files(pulsing_face, tmp_path):
  path = tmp_path / 'out.json'
  command = [sys.executable, '-c', _FAKE_CAMERA, '--camera=7']
  process = subprocess.Popen(
    [*command, f'--json={path}', str(pulsing_face)],
    cwd=commands.ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  first = process.stderr.readline()
  process.send_signal(signal.SIGINT)
  stdout, stderr = process.communicate(timeout=30)
  assert re.match(r' +\d+ s  .* confidence [01]\.\d\d', first)
  assert process.returncode == 0, stderr
  assert 'withheld' in stdout
  result = json.loads(path.read_text())
  assert result['video'] == 'camera 7'
  assert len(result['estimates']) == 1 + len(stderr.splitlines())


# --- What the fast path loads -----------------------------------------------

_LIST_MODULES = """
import sys
from rppg_tf import entry_point, predict
try:
  entry_point.run(predict.main, takes_words=True)
except SystemExit:
  pass
print(sorted({'tensorflow', 'keras', 'tf_keras', 'scipy', 'matplotlib'}
             & set(sys.modules)))
"""


def test_the_int8_path_loads_nothing_slow(pulsing_face):
  done = subprocess.run(
    [sys.executable, '-c', _LIST_MODULES, f'--video={pulsing_face}'],
    cwd=commands.ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  assert 'estimates withheld' in done.stdout
  assert done.stdout.splitlines()[-1] == '[]'


# --- Refusals ---------------------------------------------------------------


def test_a_short_video_is_refused(tmp_path):
  fake_recordings.write_recording(tmp_path / 'subject1', num_frames=75)
  done = _predict(f'--video={tmp_path / "subject1" / "vid.avi"}')
  commands.assert_refused(done, '2.50 s long', 'needs 10 s')
  assert done.returncode == 1
  assert done.stdout == ''


def test_bad_input_is_one_line(pulsing_face, tmp_path):
  text = tmp_path / 'text.avi'
  text.write_text('no video')
  video = f'--video={pulsing_face}'
  unsure = tmp_path / 'unsure'
  shutil.copytree(_RUN_DIR, unsure)
  (unsure / 'confidence.json').unlink()
  for flags, parts in (
    ([], ['give either paths of videos or --camera']),
    ([video, '--camera=0'], ['give either']),
    (['--camera=0', '--fps=30'], ['--fps is of videos']),
    (['--video=absent.mp4'], ['absent.mp4: no such video']),
    ([f'--video={text}'], ['text.avi', 'not a video']),
    (['--camera=63'], ['camera 63: cannot be opened']),
    ([video, '--plot=chart.pdf'], ['must end in .png or .html']),
    ([video, f'--json={tmp_path}/none/out.json'], ['--json', 'no folder']),
    ([video, '--run_dir=absent'], ['absent: no such run', '--run_dir']),
    ([video, f'--run_dir={unsure}'], ['confidence.json', 'rppg_tf.evaluate']),
  ):
    done = _predict(*flags)
    assert done.returncode == 1, done.stdout
    commands.assert_refused(done, *parts)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stdout == ''
