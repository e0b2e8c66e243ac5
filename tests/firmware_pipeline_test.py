"""Frames through Python and through the firmware: the same bytes."""

import itertools
import pathlib
import subprocess

import numpy as np
import pytest

from rppg_tf import run_directory, video_heart_rate
from rppg_tf.entry_point import InputError
from rppg_tf.video_reader import VideoReader
from tests import commands, fake_recordings
from tests.referees import venv
from tools import emit_golden_vectors, firmware_figures, firmware_stream
from tools.firmware_stream import BGR888, FOUND, RGB565, RGB888, Frame

_RUN = run_directory.PRETRAINED
_REAL_VIDEO = (
  pathlib.Path(__file__).parents[2]
  / 'shared/real_video/talking_face_640x360_24fps.mp4'
)


def _replay(target: str, frames: list[Frame]) -> np.ndarray:
  return np.stack(list(firmware_stream.replay(target, frames)))


def _expect(video, max_frames: int | None = None, every: int = 1):
  """Frames of a video, `every` apart, and what Python makes of them."""
  pipeline = firmware_stream.PythonPipeline(
    _RUN, firmware_stream.FIRMWARE / 'generated'
  )
  reader = VideoReader(video)
  timed = video_heart_rate.elapsed_times(reader, reader.header_rate_hz, print)
  both = [
    pipeline.step(frame_bgr, round(time_s * 1e6))
    for frame_bgr, time_s in itertools.islice(timed, 0, max_frames, every)
  ]
  frames, expected = zip(*both, strict=True)
  return list(frames), np.stack(expected)


@pytest.fixture(scope='module', autouse=True)
def _built():
  firmware_stream.build('host', 'qemu', 'qemu_scalar')


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
  folder = tmp_path_factory.mktemp('recording') / 'subject1'
  fake_recordings.write_recording(folder, num_frames=330)
  return folder / 'vid.avi'


@pytest.fixture(scope='module')
def both_sides(recording):
  """Frames of the recording, and what Python makes of them."""
  return _expect(recording)


def test_a_video_reads_the_same_on_the_host(both_sides):
  frames, expected = both_sides
  got = _replay('host', frames)
  difference = firmware_stream.compare(expected, got)
  assert difference.is_same, difference
  assert difference.num_estimates == 31
  assert np.any(got['codes']) and np.any(np.diff(got['features'], axis=0))
  assert set(got['push_status'].tolist()) == {firmware_stream.OK}
  final = got['estimate_status'][-1], got['estimate_status'][0]
  assert final == (firmware_stream.OK, firmware_stream.NOT_READY)


def test_host_and_m55_agree_to_the_bit_on_real_frames(both_sides):
  frames, expected = (side[:40] for side in both_sides)
  got = _replay('qemu_scalar', frames)
  assert firmware_stream.compare(expected, got).is_same
  assert got.tobytes() == _replay('host', frames).tobytes()


# Regions of fractions of pixels; of whole numbers of pixels, 2x2 among them;
# and so wide that their columns are worked out row by row.
@pytest.mark.parametrize(
  ('shape', 'box'),
  [
    ((220, 240), (20, 10, 190, 190)),
    ((370, 160), (9, 3, 144, 360)),
    ((30, 2000), (-20, 2, 2030, 27)),
  ],
)
def test_formats_of_the_same_picture_give_the_same_bytes(shape, box):
  rng = np.random.default_rng(1)
  packed = rng.integers(0, 65536, (3, *shape)).astype('<u2')
  five = np.stack([packed >> 11, packed >> 5 & 63, packed & 31], -1)
  bits = np.array([5, 6, 5])
  rgb = (five << 8 - bits | five >> 2 * bits - 8).astype(np.uint8)
  views = {
    RGB888: rgb,
    BGR888: rgb[..., ::-1],
    RGB565: packed.view(np.uint8).reshape(*packed.shape, 2),
  }
  results = []
  for pixel_format, images in views.items():
    frames = [
      Frame(np.ascontiguousarray(image), 33_333 * at, FOUND, box, pixel_format)
      for at, image in enumerate(images)
    ]
    results.append(_replay('host', frames))
    results.append(_replay('qemu', frames))
  assert np.any(results[0]['codes'])
  for other in results[1:]:
    assert other.tobytes() == results[0].tobytes()


def test_a_difference_is_noticed():
  expected = np.zeros(2, firmware_stream.FRAME_OUT)
  expected['heart_rate_bpm'] = 72
  assert firmware_stream.compare(expected, expected).is_same
  for field, value in (
    ('codes', 1),
    ('features', 1),
    ('box', 1),
    ('was_detection_due', 1),
    ('mid_face_rgb', 1e-3),
    ('heart_rate_bpm', 72.02),
    ('heart_rate_bpm', 0),
  ):
    got = expected.copy()
    got[field][1] = value
    assert not firmware_stream.compare(expected, got).is_same, field


def test_a_firmware_that_ends_early_is_an_error():
  frame = Frame(np.zeros((2000, 2000, 3), np.uint8), 0)  # larger than 3 MiB
  with pytest.raises(InputError, match=r'exit status 1 after 0 frames'):
    _replay('host', [frame])


def test_run_firmware_prints_both_sides(recording):
  done = commands.run('tools.run_firmware', f'--video={recording}')
  assert done.returncode == 0, done.stderr
  lines = done.stdout.strip().splitlines()
  assert 'BPM, Python' in lines[0]
  assert lines[-1].startswith('host: 330 frames, 31 estimates; differences: 0')
  commands.assert_refused(
    commands.run('tools.run_firmware', '--video=nothing.mp4'), 'nothing.mp4'
  )


def test_the_cnn_is_litert_on_the_host(tmp_path):
  crops = emit_golden_vectors.make_crops(600, seed=2)
  expected = emit_golden_vectors.crop_features(
    crops, _RUN / run_directory.INT8_MODEL
  )
  got = firmware_stream.run_crops('host', crops, tmp_path)
  np.testing.assert_array_equal(got, expected)


def test_limits_of_size_stack_and_instructions():
  figures = firmware_figures.measure(_RUN)
  assert figures['flash_bytes']['without_cnn'] <= 40_000
  assert figures['flash_bytes']['with_cnn'] <= 64_000
  assert figures['ram_bytes']['state'] <= 64_000
  assert max(figures['stack_bytes'].values()) <= 2_000
  scalar, helium = (
    figures['instructions'][name] for name in ('scalar', 'helium')
  )
  assert scalar['cnn_one_roi'] <= 8_500_000
  assert helium['cnn_one_roi'] <= 1_700_000
  assert helium['head_push'] <= 12_000
  assert helium['head_estimate'] <= 400_000
  # What comes before the CNN, up to a face as high as the image.
  frames = {
    name: count
    for name, count in helium.items()
    if name.startswith('cut_mean_background_')
  }
  assert len(frames) == 5
  assert max(frames.values()) <= 1_500_000


# --- `make bench` ------------------------------------------------------------


@pytest.mark.bench
def test_ten_recordings_and_a_real_face(tmp_path):
  commands.run_well(
    'tools.render_recordings',
    f'--output_dir={tmp_path}',
    '--num_recordings=10',
    '--duration_s=14',
    '--seed=55',
  )
  firmware_stream.build('host', 'qemu', 'qemu_scalar')
  videos = sorted(tmp_path.glob('DATASET_2/*/vid.avi'))
  assert len(videos) == 10
  for video in [*videos, *filter(pathlib.Path.is_file, [_REAL_VIDEO])]:
    frames, expected = _expect(video)
    host = _replay('host', frames)
    difference = firmware_stream.compare(expected, host)
    print(video.parent.name, video.name, difference)
    assert difference.is_same and difference.num_estimates > 0
    # QEMU takes seconds for what a Cortex-M55 does in milliseconds: 5 or so
    # frames/s are enough for estimates after 10 s.
    frames, expected = _expect(video, 11 * 30, every=6)
    host = _replay('host', frames)
    difference = firmware_stream.compare(expected, host)
    print('every sixth frame:', difference)
    assert difference.is_same and difference.num_estimates > 0
    for target in ('qemu', 'qemu_scalar'):
      assert _replay(target, frames).tobytes() == host.tobytes(), target


@pytest.mark.bench
def test_the_cnn_on_ten_thousand_inputs(tmp_path):
  crops = emit_golden_vectors.make_crops(10_000, seed=3)
  model = _RUN / run_directory.INT8_MODEL
  expected = emit_golden_vectors.crop_features(crops, model)
  np.save(tmp_path / 'codes.npy', crops)
  peer = pathlib.Path(venv.__file__).with_name('tflite_micro_peer.py')
  firmware_stream.build('host', 'qemu', 'qemu_scalar')
  subprocess.run(
    [venv.python(), peer, model, tmp_path / 'codes.npy', tmp_path / 'out.npy'],
    check=True,
  )
  micro = np.load(tmp_path / 'out.npy')
  for target in ('host', 'qemu', 'qemu_scalar'):
    got = firmware_stream.run_crops(target, crops, tmp_path)
    print(target, np.count_nonzero(got != micro), 'bytes differ of', got.size)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(got, micro)


@pytest.mark.bench
def test_a_day_of_frames():
  firmware_stream.check_made(firmware_stream.make('build/host/day_test'))
  program = firmware_stream.FIRMWARE / 'build/host/day_test'
  done = subprocess.run([program, '24'], capture_output=True, text=True)
  print(done.stdout)
  assert done.returncode == 0


@pytest.mark.bench
def test_five_minutes_of_hostile_frames():
  firmware_stream.check_made(firmware_stream.make('build/fuzz/fuzz'))
  # Without the lock of firmware_stream.make, which others wait for.
  command = ['make', '-s', '-C', str(firmware_stream.FIRMWARE), 'fuzz']
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  print(done.stderr[-400:])
  assert done.returncode == 0
