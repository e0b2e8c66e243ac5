"""Predict: known answers, streaming = whole recording, refusals, outputs."""

import csv
import itertools
import json
import pathlib
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

from rppg_tf import (
  background,
  chrominance,
  compiled_head,
  contract,
  evaluation,
  face_rois,
  feature_timeline,
  frame_batches,
  grid_stream,
  int8_cnn,
  recordings,
  run_directory,
  video_reader,
)
from rppg_tf import video_heart_rate as heart_rate
from rppg_tf.entry_point import InputError
from tests import commands, fake_recordings

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
  flags = [f'--{kind}={tmp_path / kind}' for kind in ('json', 'csv')]
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
  assert [estimate['time_s'] for estimate in estimates] == list(range(10, 20))
  for estimate in estimates:
    assert set(estimate) == {'time_s', 'bpm', 'raw_bpm', 'confidence'}
    confident = estimate['confidence'] >= result['confidence_threshold']
    assert estimate['bpm'] == (estimate['raw_bpm'] if confident else None)
  _check_csv(tmp_path / 'csv', estimates)
  page = (tmp_path / 'plot.html').read_text()
  assert page.count('<svg') == 4
  assert not re.search(r'(src|href)="(?!#|data:)', page)
  assert len(done.stderr.splitlines()) == len(estimates)
  assert re.search(r'[\d.]+ x real time', done.stdout)


def _check_csv(path, estimates):
  with path.open() as file:
    rows = list(csv.DictReader(file))
  assert list(rows[0]) == ['time_s', 'bpm', 'raw_bpm', 'confidence']
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


def test_predict_is_the_whole_recording_bit_for_bit(pulsing_face, tmp_path):
  done = _predict(
    f'--video={pulsing_face}',
    f'--json={tmp_path / "out.json"}',
    f'--plot={tmp_path / "plot.png"}',
  )
  assert done.returncode == 0, done.stderr
  result = json.loads((tmp_path / 'out.json').read_text())
  expected = _whole_recording(pulsing_face)
  assert len(expected.heart_rate_bpm) == 4
  for name, values in (
    ('raw_bpm', expected.heart_rate_bpm),
    ('confidence', expected.confidence),
  ):
    got = [estimate[name] for estimate in result['estimates']]
    np.testing.assert_array_equal(got, values.astype(np.float64))
  height_px, width_px, _ = cv2.imread(str(tmp_path / 'plot.png')).shape
  assert width_px > 1000 and height_px > 700


def _whole_recording(path) -> compiled_head.HeadRun:
  extractor = face_rois.FaceRoiExtractor()
  time_s, cut = [], []
  for frame_bgr, at_s in video_reader.VideoReader(path):
    time_s.append(at_s)
    cut.append(extractor.process(frame_bgr, at_s))
  recording = evaluation.with_codes(
    {
      'frames': np.stack([rois.rois for rois in cut]),
      'mid_face_rgb': np.stack([rois.mid_face_rgb for rois in cut]),
      'timestamp_s': np.array(time_s),
      'face_found': np.array([rois.face_found for rois in cut]),
    },
    run_directory.read_flags(_RUN_DIR)['background'],
  )
  cnn = int8_cnn.Int8SpatialCnn(_RUN_DIR / run_directory.INT8_MODEL)
  head = compiled_head.CompiledHead(_RUN_DIR)
  features = cnn.frame_features(recording['codes'])
  features = chrominance.append(features, recording['chrominance'])
  return head.run(features, recording['timestamp_s'])


def test_predict_sees_the_bytes_that_tfds_build_stores(pulsing_face):
  video = video_reader.VideoReader(pulsing_face)
  (batch,) = frame_batches.cut_batches(
    heart_rate.elapsed_times(video, video.header_rate_hz, print),
    'inner',
    'none',
    1000,
    print,
  )
  stored = recordings.read_recording(pulsing_face.parent, 'inner')
  np.testing.assert_array_equal(
    batch.codes,
    evaluation.with_codes(stored, 'none')['codes'],
  )
  assert len(batch.codes) == 391 and batch.face_found.all()


@pytest.mark.parametrize('rate_hz', [23, 60, 'varying'])
def test_a_face_at_72_bpm_reads_72_at_any_frame_times(rate_hz, tmp_path):
  path = tmp_path / 'face.mp4'
  time_s = _write_timed_video(path, rate_hz)
  got_s = [at_s for _, at_s in video_reader.VideoReader(path)]
  np.testing.assert_allclose(got_s, time_s, atol=1e-6)
  done = _predict(f'--video={path}', f'--json={tmp_path / "out.json"}')
  assert done.returncode == 0, done.stderr
  estimates = json.loads((tmp_path / 'out.json').read_text())['estimates']
  assert len(estimates) == 3
  raw_bpm = [estimate['raw_bpm'] for estimate in estimates]
  np.testing.assert_allclose(raw_bpm, 72, atol=1)


def _write_timed_video(path, rate_hz):
  """12.2 s of a face pulsing at 72 BPM; returns the frames' times in s."""
  if rate_hz == 'varying':
    durations = np.resize([0.5, 1, 1.5, 2, 0.5, 0.5], 366)
    rate_hz = 30
  else:
    durations = np.ones(round(12.2 * rate_hz))
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
from rppg_tf import entry_point, predict, video_reader

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
entry_point.run(predict.main)
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
  assert re.match(r' +10 s  .* confidence [01]\.\d\d', first)
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
  entry_point.run(predict.main)
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


# --- Streaming = whole recording --------------------------------------------


def _measured_times(num_frames, seed):
  """Jitter, duplicates, a pause."""
  random = np.random.default_rng(seed)
  steps_s = random.choice([0.0, 0.017, 1 / 30, 0.05], num_frames)
  steps_s[num_frames // 2] = 1.7
  return 1000.25 + np.cumsum(steps_s)


def _chunks(num_frames, seed):
  """Random cuts, single frames among them."""
  cuts = np.random.default_rng(seed).choice(num_frames, num_frames // 3)
  return np.unique([0, *cuts, num_frames])


def test_head_stream_is_the_whole_recording_bit_for_bit():
  head = compiled_head.CompiledHead(_RUN_DIR)
  time_s = _measured_times(900, 1)
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


@pytest.mark.parametrize(
  'time_s',
  [
    _measured_times(700, 4),
    # 30 * (123 / 30) rounds to less than 123, and others so.
    np.arange(500) / 30,
    np.repeat(np.arange(500) / 30, 3),
  ],
)
@pytest.mark.parametrize('chunk', [1, 7, 2000])
def test_grid_stream_places_samples_as_grid_positions_does(time_s, chunk):
  frames = np.arange(len(time_s))
  stream = grid_stream.GridStream()
  got = []
  for start in range(0, len(frames), chunk):
    part = slice(start, start + chunk)
    values, older, newer, fraction = stream.push(frames[part], time_s[part])
    got.append((values[older], values[newer], fraction))
  expected = feature_timeline.grid_positions(time_s)
  for parts, whole in zip(zip(*got, strict=True), expected, strict=True):
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_keras_stream_is_the_whole_keras_model():
  from rppg_tf import keras_stream
  from rppg_tf.keras_compat import keras
  from rppg_tf.pulse_head import build_pulse_head
  from rppg_tf.spatial_cnn import build_spatial_cnn

  keras.utils.set_random_seed(5)
  cnn, head = build_spatial_cnn(), build_pulse_head()
  random = np.random.default_rng(6)
  shape = (400, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)
  codes = random.integers(-128, 128, shape, np.int8, endpoint=False)
  time_s = np.arange(400) / 29
  quantisation = background.input_quantisation('normalise')
  colour = random.integers(-1024, 1024, (400, 4), np.int16)
  features = evaluation.float_features(cnn, quantisation, codes)
  features = chrominance.append(features, colour)
  whole = evaluation.head_estimates(head, features, time_s)
  stream = keras_stream.KerasStream(cnn, head, quantisation)
  parts = [
    stream.push(codes[part], colour[part], time_s[part])
    for part in (slice(0, 150), slice(150, 300), slice(300, 400))
  ]
  # Keras standardises by another recursion, with roundings of its own.
  for name in compiled_head.HeadRun._fields:
    joined = np.concatenate([getattr(part, name) for part in parts])
    assert len(joined)
    np.testing.assert_allclose(
      joined, getattr(whole, name), rtol=1e-4, atol=1e-4
    )


# --- Faces ------------------------------------------------------------------


class _ConfidentBackend:
  """Says 72 BPM with confidence 0.9, every second of the grid."""

  def __init__(self):
    self._grid = grid_stream.GridStream()
    self._num_samples = 0

  def push(self, codes, colour, timestamp_s):
    del codes, colour
    fresh = len(self._grid.push(timestamp_s, timestamp_s).fraction)
    due = self._num_due(self._num_samples + fresh)
    due -= self._num_due(self._num_samples)
    self._num_samples += fresh
    ones = np.ones(due, np.float32)
    return compiled_head.HeadRun(
      np.zeros(fresh, np.float32), 72 * ones, np.float32(0.9) * ones
    )

  @staticmethod
  def _num_due(num_samples):
    return max(num_samples - contract.WINDOW_SAMPLES + 30, 0) // 30


def _withheld_s(time_s, face_found, threshold=0.5):
  meter = heart_rate.HeartRateMeter(_ConfidentBackend(), threshold)
  frame = np.zeros((48, 64, 3), np.uint8)
  for start in range(0, len(time_s), 32):
    part = slice(start, start + 32)
    meter.push(
      frame_batches.Batch(
        None,
        None,
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


def test_of_two_faces_the_largest_is_measured_and_told_once():
  face = data.astronaut()[:320, 80:400, ::-1]
  large, small = cv2.resize(face, (240, 240)), cv2.resize(face, (130, 130))
  frame = np.full((240, 400, 3), 127, np.uint8)
  frame[:, :240] = large
  frame[50:180, 255:385] = small
  told = []
  batches = frame_batches.cut_batches(
    [(frame, n / 4) for n in range(20)], 'inner', 'normalise', 8, told.append
  )
  boxes = [batch.box for batch in batches]
  assert len(boxes) == 3
  assert all(x + width < 250 for x, _, width, _ in boxes)
  assert told == ['2 faces seen: the largest is measured']


# --- Times ------------------------------------------------------------------


def _elapsed(times_s, rate_hz=25.0):
  told = []
  frames = [(None, time_s) for time_s in times_s]
  got = heart_rate.elapsed_times(frames, rate_hz, told.append)
  return [time_s for _, time_s in got], told


def test_times_are_from_the_first_frame():
  assert _elapsed([]) == ([], [])
  assert _elapsed([7.0]) == ([0.0], [])
  duplicate = [5.0, 5.5, 5.5, 6.25]
  assert _elapsed(duplicate) == ([0.0, 0.5, 0.5, 1.25], [])


@pytest.mark.parametrize(
  'times_s', [[0.0] * 20, [0.0, -1.0] * 10, [float('nan')] * 20]
)
def test_useless_times_give_way_to_the_header_rate(times_s):
  got_s, told = _elapsed(times_s)
  np.testing.assert_allclose(got_s, np.arange(20) / 25)
  assert len(told) == 1 and '25 frames/s' in told[0]
  with pytest.raises(InputError, match='no usable time stamps, and 0 frames'):
    _elapsed(times_s, 0.0)


def test_times_that_jump_are_joined():
  times_s = np.concatenate([np.arange(20), np.arange(20) - 500]) / 25
  times_s = np.append(times_s, 1e6 + np.arange(20) / 25)
  got_s, told = _elapsed(times_s.tolist())
  np.testing.assert_allclose(got_s, np.arange(60) / 25, atol=1e-8)
  assert told == ['time stamps jump after 0.8 s: joined there']


# --- Refusals ---------------------------------------------------------------


def test_a_short_video_is_refused(tmp_path):
  fake_recordings.write_recording(tmp_path / 'subject1', num_frames=240)
  done = _predict(f'--video={tmp_path / "subject1" / "vid.avi"}')
  commands.assert_refused(done, '8.0 s long', 'needs 10 s')
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
    ([], ['give one of --video=PATH and --camera=NUMBER']),
    ([video, '--camera=0'], ['give one of']),
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


def test_a_run_that_does_not_fit_is_refused(tmp_path, monkeypatch):
  run_dir = tmp_path / 'run'
  shutil.copytree(_RUN_DIR, run_dir)
  with monkeypatch.context() as context:
    context.setenv('PATH', str(tmp_path))
    with pytest.raises(InputError, match=r'no C compiler.*--backend=keras'):
      _push_a_frame(run_dir)
  source = run_dir / 'temporal_head.h'
  scaled = re.sub(
    r'(define TEMPORAL_HEAD_INPUT_SCALE) \S+',
    r'\1 0.125f',
    source.read_text(),
    count=1,
  )
  source.write_text(scaled)
  with pytest.raises(InputError, match='emit_temporal_head again'):
    _push_a_frame(run_dir)
  flags = run_directory.read_flags(run_dir) | {'head': 'window'}
  run_directory.write_json(pathlib.Path(run_dir) / 'flags.json', flags)
  with pytest.raises(InputError, match='window head knows no confidence'):
    heart_rate.load_backend('int8', run_dir)
  (run_dir / 'confidence.json').write_text('{"threshold": null}')
  with pytest.raises(InputError, match=r'expected {"threshold": number}'):
    heart_rate.read_threshold(run_dir)


def _push_a_frame(run_dir):
  backend = heart_rate.load_backend('int8', run_dir)
  shape = (1, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)
  colour = np.zeros((1, contract.NUM_CHROMINANCE), np.int16)
  backend.push(np.zeros(shape, np.int8), colour, np.zeros(1))
