"""Rendered recordings: layout, reproducibility, pulse, refusals."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from rppg_tf.data import ubfc
from rppg_tf.synthesis import head_motion, head_renderer
from rppg_tf.synthesis import pulse as synthetic_pulse
from rppg_tf.video import mjpeg_writer
from tests.support import commands


def _run(*arguments):
  return commands.run('tools.render_recordings', *arguments)


def _renderer(seed, motion='normal', with_pulse=True, num_frames=60, rate=72.0):
  exposure_s = np.arange(num_frames) / 30
  pulse = synthetic_pulse.synthesize_pulse(
    np.random.default_rng(seed), num_frames / 30, rate, variable=False
  )
  parameters = head_renderer.draw_parameters(seed, motion, with_pulse)
  return head_renderer.FaceRenderer(parameters, pulse, exposure_s)


def _face_means(renderer):
  """Mean BGR of cheeks and forehead over time, (num_frames, 3)."""
  parameters = renderer.parameters
  x, y = parameters.centre_px
  x = 640 - x if parameters.flip else x
  half = parameters.face_px * 0.3
  rows = slice(int(y - half), int(y + half))
  columns = slice(int(x - half), int(x + half))
  return np.array([f[rows, columns].mean((0, 1)) for f in renderer.frames()])


@pytest.fixture(scope='module')
def rendered(tmp_path_factory):
  """Two recordings by two processes."""
  path = tmp_path_factory.mktemp('rendered')
  result = _run(
    f'--output_dir={path}', '--num_recordings=2', '--seed=3',
    '--duration_s=1.5', '--num_workers=2', '--heart_rate_bpm=72',
  )  # fmt: skip
  assert result.returncode == 0, result.stderr
  return path / 'DATASET_2'


def _frames(path):
  video = cv2.VideoCapture(str(path))
  frames = []
  while True:
    found, frame = video.read()
    if not found:
      return frames
    frames.append(frame)


@pytest.mark.slow
def test_layout_is_ubfcs(rendered):
  names = sorted(path.name for path in rendered.iterdir())
  assert names == ['subject101', 'subject102']
  for name in names:
    truth = ubfc.parse_ground_truth(rendered / name / 'ground_truth.txt')
    frames = _frames(rendered / name / 'vid.avi')
    assert len(frames) == truth.timestamp_s.size
    assert frames[0].shape == (480, 640, 3)
    parameters = json.loads((rendered / name / 'render.json').read_text())
    assert parameters['motion'] == 'normal'
    assert parameters['mean_rate_bpm'] == 72
    assert parameters['num_frames'] == len(frames)
    assert 0.0006 <= parameters['pulse_rms'] <= 0.003


@pytest.mark.slow
def test_same_seed_same_bytes_whatever_else_is_made(rendered, tmp_path):
  result = _run(
    f'--output_dir={tmp_path}', '--num_recordings=1', '--first_subject=102',
    '--seed=3', '--duration_s=1.5', '--num_workers=1', '--heart_rate_bpm=72',
  )  # fmt: skip
  assert result.returncode == 0, result.stderr
  for name in ('vid.avi', 'ground_truth.txt', 'render.json'):
    again = tmp_path / 'DATASET_2/subject102' / name
    assert again.read_bytes() == (rendered / 'subject102' / name).read_bytes()
  other = (rendered / 'subject101/vid.avi').read_bytes()
  assert other != (rendered / 'subject102/vid.avi').read_bytes()


@pytest.mark.slow
def test_a_recording_that_is_there_is_kept(rendered):
  before = (rendered / 'subject102/vid.avi').read_bytes()
  result = _run(
    f'--output_dir={rendered.parent}', '--num_recordings=1',
    '--first_subject=102', '--duration_s=1',
  )  # fmt: skip
  assert result.returncode == 1
  assert 'expected no subject102' in result.stderr
  assert 'Traceback' not in result.stderr
  assert (rendered / 'subject102/vid.avi').read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['--num_recordings=0', '--duration_s=-1'], 'num_recordings=0'),
    (['--ground_truth_dir=/nowhere'], '/nowhere: no such folder'),
    (['--output_dir=/proc/nowhere'], '/proc/nowhere'),
    (['stray'], 'stray'),
  ],
)
def test_bad_flags_are_refused_in_a_line(tmp_path, arguments, message):
  result = _run(f'--output_dir={tmp_path}', *arguments)
  assert result.returncode == 1
  assert message in result.stderr
  assert 'Traceback' not in result.stderr
  assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_a_killed_render_left_is_removed_by_the_next(tmp_path):
  directory = tmp_path / 'DATASET_2'
  words = [f'--output_dir={tmp_path}', '--num_recordings=1', '--num_workers=1']
  killed = subprocess.Popen(
    [sys.executable, '-m', 'tools.render_recordings', *words, '--seed=1'],
    cwd=commands.ROOT,
    stderr=subprocess.DEVNULL,
    start_new_session=True,
  )
  deadline_s = time.monotonic() + 60
  while not list(directory.glob('.rendering_*/vid.avi')):
    assert killed.poll() is None and time.monotonic() < deadline_s
    time.sleep(0.05)
  # While it is alive, another one leaves its folder alone. Stopped, so that it
  # cannot be done before that one is.
  os.killpg(killed.pid, signal.SIGSTOP)
  short = [*words, '--duration_s=1', '--first_subject=201']
  assert _run(*short).returncode == 0
  assert len(list(directory.glob('.rendering_*'))) == 1
  killed.kill()
  killed.wait()
  os.killpg(killed.pid, signal.SIGCONT)
  _wait_for_end_of_group(killed.pid)
  short[-1] = '--first_subject=202'
  assert _run(*short).returncode == 0
  names = sorted(path.name for path in directory.iterdir())
  assert names == ['subject201', 'subject202']


def _wait_for_end_of_group(group: int) -> None:
  """Waits for the workers of a process that was killed alone."""
  deadline_s = time.monotonic() + 60
  with contextlib.suppress(ProcessLookupError):
    while time.monotonic() < deadline_s:
      os.killpg(group, 0)
      time.sleep(0.05)
    pytest.fail('its workers are still there')


@pytest.mark.slow
def test_twins_at_other_frame_rates_have_one_face_and_pulse(tmp_path):
  twins = []
  for fps in (24, 60):
    folder = tmp_path / str(fps)
    result = _run(
      f'--output_dir={folder}', '--num_recordings=1', '--duration_s=3',
      f'--fps={fps}', '--seed=3',
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    twins.append(folder / 'DATASET_2' / 'subject101')
  parameters = [json.loads((t / 'render.json').read_text()) for t in twins]
  changed = {n for n in parameters[0] if parameters[0][n] != parameters[1][n]}
  assert {'fps', 'num_frames'} <= changed
  rates = ('mean_rate_bpm', 'min_rate_bpm', 'max_rate_bpm', 'duration_s')
  assert changed <= {'fps', 'num_frames', *rates}
  assert parameters[1]['fps'] == pytest.approx(60, rel=0.05)
  for name in rates:
    assert parameters[0][name] == pytest.approx(parameters[1][name], abs=0.1)
  slow, fast = (ubfc.parse_ground_truth(t / 'ground_truth.txt') for t in twins)
  firsts = [_frames(twin / 'vid.avi')[0] for twin in twins]
  np.testing.assert_array_equal(*firsts)
  there = np.interp(slow.timestamp_s, fast.timestamp_s, fast.ppg)
  assert np.corrcoef(there, slow.ppg)[0, 1] > 0.9


def test_motion_at_a_time_does_not_depend_on_the_frame_times():
  def motion(exposure_s):
    rng = np.random.default_rng(3)
    return head_motion.draw_motion(rng, exposure_s, 'strong', 4.0)

  fine_s = np.arange(0, 4.0, 1 / 120)
  whole = motion(fine_s)
  assert np.ptp(whole.x) > 1e-3
  varying_s = np.sort(np.random.default_rng(1).uniform(0, 3.9, 90))
  for exposure_s in (np.arange(0, 3.9, 1 / 23), varying_s):
    part = motion(exposure_s)
    for name in ('x', 'y', 'roll', 'yaw', 'pitch', 'jaw', 'side_x', 'zoom'):
      expected = np.interp(exposure_s, fine_s, getattr(whole, name))
      np.testing.assert_allclose(getattr(part, name), expected, atol=1e-6)


@pytest.mark.slow
def test_real_ppg_and_stamps_are_taken_over(tmp_path):
  stamp_s = np.arange(100) / 25
  stamp_s[40] = stamp_s[39]
  folder = tmp_path / 'truth/subject7'
  folder.mkdir(parents=True)
  rows = (np.sin(9 * stamp_s), np.full(100, 86), stamp_s)
  text = '\n'.join(' '.join(f'{v:.7e}' for v in row) for row in rows)
  (folder / 'ground_truth.txt').write_text(text)
  result = _run(
    f'--output_dir={tmp_path}', '--num_recordings=1', '--duration_s=3.9',
    f'--ground_truth_dir={tmp_path / "truth"}',
  )  # fmt: skip
  assert result.returncode == 0, result.stderr
  path = tmp_path / 'DATASET_2/subject101'
  truth = ubfc.parse_ground_truth(path / 'ground_truth.txt')
  assert (np.diff(truth.timestamp_s) == 0).sum() == 1
  assert np.diff(truth.timestamp_s).mean() == pytest.approx(0.04, abs=0.001)
  sine = np.sin(9 * (truth.timestamp_s + 0.05))
  assert np.corrcoef(truth.ppg, sine)[0, 1] > 0.8
  assert json.loads((path / 'render.json').read_text())['ppg_source'] == (
    'subject7'
  )


@pytest.mark.parametrize('motion', ['still', 'strong'])
def test_painted_pulse_is_as_large_as_asked_for(motion):
  seed = 12
  with_pulse = _renderer(seed, motion)
  without = _renderer(seed, motion, with_pulse=False)
  means, bare = _face_means(with_pulse), _face_means(without)
  change = (means - bare) / bare.mean(0)
  parameters = with_pulse.parameters
  wave = with_pulse.pulse
  size = -change.T @ wave / (wave @ wave)
  # Mid-face, not all skin: lips and eyes have no pulse, cheeks have more.
  assert size[1] == pytest.approx(parameters.pulse_rms, rel=0.35)
  assert size[0] / size[1] == pytest.approx(parameters.blue_ratio, rel=0.15)
  assert size[2] / size[1] == pytest.approx(parameters.red_ratio, rel=0.15)
  # Blood darkens: the face goes against the PPG.
  assert np.corrcoef(change[:, 1], wave)[0, 1] < -0.95


def test_pulse_is_in_skin_only():
  seed = 12
  first = np.array(list(_renderer(seed, num_frames=20).frames()), np.int16)
  bare = _renderer(seed, with_pulse=False, num_frames=20)
  second = np.array(list(bare.frames()), np.int16)
  changed = (first != second).any((0, 3))
  rows, columns = np.nonzero(changed)
  x, y = bare.parameters.centre_px
  x = 640 - x if bare.parameters.flip else x
  face_px = bare.parameters.face_px
  assert changed.any()
  assert np.abs(columns - x).max() < 0.65 * face_px
  assert rows.min() - y > -0.62 * face_px


def test_frames_can_be_asked_for_again():
  renderer = _renderer(5, num_frames=3)
  first, second = list(renderer.frames()), list(renderer.frames())
  np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize('motion', ['normal', 'strong'])
def test_cascade_finds_the_face_where_it_is(motion):
  cascade = cv2.CascadeClassifier(
    os.path.join(cv2.data.haarcascades, 'haarcascade_frontalface_default.xml')
  )
  for seed in range(30, 36):
    renderer = _renderer(seed, motion, num_frames=20)
    frame = list(renderer.frames())[-1]
    small = cv2.resize(
      cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), (320, 240),
      interpolation=cv2.INTER_AREA,
    )  # fmt: skip
    boxes = 2 * np.array(cascade.detectMultiScale(small, 1.15, 5))
    assert boxes.size, f'seed {seed}: no face'
    left, top, width, height = boxes[boxes[:, 2].argmax()]
    x, y = renderer.parameters.centre_px
    x = 640 - x if renderer.parameters.flip else x
    assert abs(left + width / 2 - x) < 0.3 * renderer.parameters.face_px
    assert abs(top + height / 2 - y) < 0.3 * renderer.parameters.face_px
    assert 90 < width < 260


def test_unknown_motion():
  with pytest.raises(ValueError, match="got 'wild'; choose"):
    head_renderer.draw_parameters(1, 'wild')


def test_video_keeps_means_and_can_be_sought(tmp_path):
  rng = np.random.default_rng(0)
  frames = rng.integers(90, 110, (12, 48, 64, 3), dtype=np.uint8)
  frames += np.arange(12, dtype=np.uint8)[:, None, None, None]
  path = tmp_path / 'vid.avi'
  with mjpeg_writer.MjpgWriter(path, 23.2, 64, 48, 95) as writer:
    for frame in frames:
      writer.write(frame)
    with pytest.raises(ValueError, match='expected a uint8 frame'):
      writer.write(frames[0, :10])
  for backend in (cv2.CAP_ANY, cv2.CAP_OPENCV_MJPEG):
    video = cv2.VideoCapture(str(path), backend)
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(23.2, abs=0.01)
  read = np.array(_frames(path))
  assert read.shape == frames.shape
  error = read.mean((1, 2)) - frames.mean((1, 2))
  # What compression does to the mean hardly differs between frames.
  assert error.std(0).max() < 0.15
