"""What of the benchmark can be checked without a clock."""

import cv2
import numpy as np
import pytest
from skimage import data

from rppg_tf.data import ubfc
from rppg_tf.faces import detector
from rppg_tf.faces import rois as face_rois
from rppg_tf.model import network
from rppg_tf.model.spatial_cnn import build_spatial_cnn
from rppg_tf.signals.background import input_quantisation
from rppg_tf.training import losses, objective
from rppg_tf.video import mjpeg_writer
from rppg_tf.video.reader import VideoReader
from tests.support import commands
from tests.support.fake_recordings import RATE_HZ, write_recording
from tools.benchmarks import build, process, scale, targets, training

_NUM_FRAMES = 10
_NUM_WINDOWS = _NUM_FRAMES - 7
_SIZE_PX = (480, 480)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """A face of 200 px that grows brighter, and a PPG."""
  folder = write_recording(tmp_path_factory.mktemp('recordings') / 'subject1')
  face = cv2.resize(data.astronaut()[:240, 100:340, ::-1], _SIZE_PX)
  with mjpeg_writer.MjpgWriter(
    folder / 'vid.avi', RATE_HZ, *_SIZE_PX, quality=95
  ) as writer:
    for index in range(_NUM_FRAMES):
      writer.write(cv2.convertScaleAbs(face, alpha=0.9 + 0.01 * index))
  return folder


def test_the_plain_script_cuts_what_we_cut_as_float32_windows(folder):
  windows, boxes = build.plain_script(folder / 'vid.avi', _NUM_FRAMES)
  capture = cv2.VideoCapture(str(folder / 'vid.avi'))
  rois = [face_rois.cut_rois(capture.read()[1], box)[0] for box in boxes]
  pixels = np.array(rois, np.float32) / 255
  expected = [pixels[start : start + 8] for start in range(_NUM_WINDOWS)]
  np.testing.assert_array_equal(windows, expected)
  assert sum(window.nbytes for window in windows) == 373_248 * _NUM_WINDOWS

  recording = {
    'frames': np.array(rois),
    'heart_rate_bpm': np.arange(60, 60 + _NUM_FRAMES, dtype=np.float32),
  }
  cut, labels_bpm = training.plain_windows(recording)
  np.testing.assert_array_equal(cut, windows)
  np.testing.assert_array_equal(labels_bpm, [64, 65, 66])


def test_distance_of_rois_is_that_of_their_boxes(folder):
  frame, _ = next(iter(VideoReader(folder / 'vid.avi')))
  x, y, width, height = detector.FaceDetector().find(frame)
  boxes = [(x + 3, y - 4, width, height)] * _NUM_FRAMES
  distances = build.roi_distances_px(folder, boxes)
  assert distances == {name: [5.0] * 3 * _NUM_FRAMES for name in distances}
  boxes[3:] = [None] * (_NUM_FRAMES - 3)
  distances = build.roi_distances_px(folder, boxes)
  assert len(distances['raw']) == 3 * 3
  assert len(distances['held']) == 3 * _NUM_FRAMES


def test_the_plain_network_is_ours():
  rng = np.random.default_rng(5)
  frames = rng.integers(0, 256, (_NUM_FRAMES, 3, 36, 36, 3), np.uint8)
  cnn, head = build_spatial_cnn(), network.build_head('window')
  pixels = frames.astype(np.float32) / 255
  windows = np.stack([pixels[at : at + 8] for at in range(_NUM_WINDOWS)])
  plain = training.plain_network(cnn, head)
  ours = network.build_network(cnn, head, input_quantisation('none'))
  (bpm,) = ours(
    {
      'codes': (frames ^ np.uint8(128)).view(np.int8)[np.newaxis],
      'chrominance': np.zeros((1, _NUM_FRAMES, 4), np.int16),
      'older': np.arange(_NUM_FRAMES, dtype=np.int32)[np.newaxis],
      'newer': np.arange(_NUM_FRAMES, dtype=np.int32)[np.newaxis],
      'fraction': np.ones((1, _NUM_FRAMES), np.float32),
    }
  )['heart_rate_bpm'].numpy()
  plain_bpm = plain(windows)['heart_rate_bpm'].numpy()
  assert np.ptp(bpm) > 0
  # float32 in another order of summation.
  np.testing.assert_allclose(plain_bpm[:, 0], bpm, atol=1e-3)


@pytest.mark.slow
def test_pytorch_trains_on_our_loss():
  torch = pytest.importorskip('torch')
  from tools.benchmarks import pytorch

  labels_bpm = np.array([60, 70, 80, 90], np.float32)
  bpm = np.array([61, 66, 99, 90], np.float32)
  loss = pytorch.loss(*map(torch.from_numpy, (bpm, labels_bpm)))
  expected = objective.HEART_RATE_LOSS_WEIGHT * losses.HuberBpm()(
    labels_bpm, bpm
  )
  assert float(loss) == pytest.approx(float(expected), rel=1e-6)

  windows = np.zeros((4, 8, 3, 36, 36, 3), np.float32)
  ends_s = pytorch.train(windows, labels_bpm, 2, 1e-3, num_steps=3)
  assert np.all(np.diff(ends_s, axis=0) > 0)
  assert len(ends_s) == 3


def test_a_step_is_the_median_after_the_warm_up():
  ends_s = [np.array(pair) for pair in ((9, 5), (10, 6), (12, 9), (13, 10))]
  ends_s.append(np.array((15, 14)))
  np.testing.assert_array_equal(training.median_step_s(ends_s), [2, 3])


@pytest.mark.slow
def test_a_measurement_is_a_process_of_its_own(folder):
  result, done = process.measure(
    'tools.benchmarks.build', 'labels', folder.parent
  )
  assert result.keys() == {'label_frames_per_s'}
  assert result['label_frames_per_s'] > 0
  assert done.exit_code == 0
  assert 0 < done.cpu_s
  # An interpreter with NumPy and SciPy.
  assert done.peak_memory_mb > 20


_FIGURES = {
  'build_frames_per_s': 300.0,
  'plain_build_frames_per_s': 10.0,
  'build_cpu_ms_per_frame': 4.0,
  'plain_build_cpu_ms_per_frame': 160.0,
  'bytes_per_frame': 11693.0,
  'plain_bytes_per_frame': 373248.0,
  'roi_distance_px': 2.0,
  'train_windows_per_s': 600.0,
  'train_cpu_ms_per_window': 2.0,
  'plain_keras_windows_per_s': 100.0,
  'plain_keras_cpu_ms_per_window': 13.0,
  'plain_pytorch_windows_per_s': None,
  'plain_pytorch_cpu_ms_per_window': None,
  'predict_startup_s': 1.01,
  'predict_realtime_factor': 15.0,
  'peak_memory_mb': {'build plain': 1234.5},
}


def _unaligned(table: str) -> list[str]:
  return [' '.join(line.split()) for line in table.splitlines()]


def test_targets_and_table():
  found = targets.targets(_FIGURES)
  values = [target.value for target in found]
  assert values == [30, 373248 / 11693, 2, 6, None, 1.01, 15]
  assert [target.by_cpu for target in found][:5] == [40, None, None, 6.5, None]
  met = [target.is_met for target in found]
  assert met == [True, False, True, True, False, False, True]
  lines = _unaligned(targets.table(_FIGURES))
  assert lines[2] == '| build, frames/s / plain | ≥ 25 | 30 | met | 40 |'
  assert lines[6].endswith('plain_pytorch | ≥ 20 | - | not met | - |')
  assert '| plain_bytes_per_frame | 373,248 |' in lines
  assert lines[-1] == '| build plain | 1,234 |'


@pytest.mark.slow
def test_bad_input_is_one_line(tmp_path):
  refused = commands.run('tools.benchmark', f'--output={tmp_path}/no/b.json')
  commands.assert_refused(refused, f'no folder {tmp_path}/no')
  output = tmp_path / 'benchmark.json'
  refused = commands.run(
    'tools.benchmark', f'--output={output}', f'--recordings_dir={tmp_path}'
  )
  commands.assert_refused(
    refused, 'tools.benchmarks.build', 'no subject*/vid.avi at any depth'
  )
  assert not output.exists()


def test_recordings_are_multiplied_without_a_copy(folder, tmp_path):
  sources = [folder.parent / 'subject1'] * scale.NUM_SOURCES
  scale.multiply(sources, 4, tmp_path / 'multiplied')
  found = ubfc.find_recordings(tmp_path / 'multiplied')
  assert len(found) == 20
  assert [int(name[-1]) for name, _ in found] == [1, 2, 3, 4, 5] * 4
  assert (found[7][1] / 'vid.avi').resolve() == (folder / 'vid.avi').resolve()


def test_slopes_of_linear_time_and_flat_memory():
  def of_factors(base_mb, mb_per_factor):
    return [
      scale.Figures(
        9.0, 5.0 + 2.0 * 5 * factor, base_mb + mb_per_factor * factor
      )
      for factor in scale.FACTORS
    ]

  figures = {'build': of_factors(600, 1), 'training': of_factors(600, 10)}
  lines = _unaligned(scale.table(figures))
  assert lines[0] == '| | 1x | 4x | 16x | 4x to 16x |'
  assert lines[3] == (
    '| build, CPU s | 15.0 | 45.0 | 165.0 | 2.00 a recording |'
  )
  assert lines[4].endswith('| 601.0 | 604.0 | 616.0 | +2 %: flat |')
  assert lines[7].endswith('| +19 %: not flat |')
