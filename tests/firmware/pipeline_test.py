"""Frames through Python and through the firmware: the same bytes."""

import json

import numpy as np
import pytest

from rppg_tf import run_directory
from rppg_tf.errors import InputError
from tests.support import commands, fake_recordings
from tests.support.firmware_frames import REAL_VIDEO, expect, replay
from tools import emit_golden_vectors
from tools.firmware_runner import stream
from tools.firmware_runner.stream import BGR888, FOUND, RGB565, RGB888, Frame

pytestmark = pytest.mark.slow

_RUN = run_directory.PRETRAINED


@pytest.fixture(scope='module', autouse=True)
def _built():
  stream.build('host', 'qemu', 'qemu_scalar')


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
  folder = tmp_path_factory.mktemp('recording') / 'subject1'
  fake_recordings.write_recording(folder, num_frames=330)
  return folder / 'vid.avi'


@pytest.fixture(scope='module')
def both_sides(recording):
  """Two seconds of the recording, and what Python makes of them."""
  return expect(recording, max_frames=60)


def test_a_video_reads_the_same_on_the_host(both_sides):
  frames, expected = both_sides
  got = replay('host', frames)
  difference = stream.compare(expected, got)
  assert difference.is_same, difference
  assert np.any(got['codes']) and np.any(np.diff(got['features'], axis=0))
  assert set(got['push_status'].tolist()) == {stream.OK}
  assert set(got['estimate_status'].tolist()) == {stream.NOT_READY}


def test_the_firmware_sees_by_itself(both_sides):
  """rppg_run, which is told of no face, gives the bytes of Python."""
  frames, expected = both_sides
  blind = [frame._replace(detection=stream.NOT_FOUND) for frame in frames]
  host = replay('host', blind, own_detector=True)
  assert stream.compare(expected, host).is_same
  assert host['has_box'].all()
  m55 = replay('qemu', blind[:8], own_detector=True)
  assert m55.tobytes() == host[:8].tobytes()


def test_host_and_m55_agree_to_the_bit_on_real_frames(both_sides):
  frames, expected = (side[:15] for side in both_sides)
  got = replay('qemu_scalar', frames)
  assert stream.compare(expected, got).is_same
  assert got.tobytes() == replay('host', frames).tobytes()


@pytest.mark.skipif(not REAL_VIDEO.is_file(), reason=f'no {REAL_VIDEO}')
def test_a_real_face_gives_the_same_bytes_everywhere():
  frames, expected = expect(REAL_VIDEO, max_frames=24)
  host = replay('host', frames)
  assert stream.compare(expected, host).is_same
  assert np.any(host['codes'][-1]) and host['has_box'][-1]
  for target in ('qemu', 'qemu_scalar'):
    assert replay(target, frames).tobytes() == host.tobytes(), target


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
    results.append(replay('host', frames))
    results.append(replay('qemu', frames))
  assert np.any(results[0]['codes'])
  for other in results[1:]:
    assert other.tobytes() == results[0].tobytes()


def test_a_difference_is_noticed():
  expected = np.zeros(2, stream.FRAME_OUT)
  expected['heart_rate_bpm'] = 72
  assert stream.compare(expected, expected).is_same
  for field, value in (
    ('codes', 1),
    ('features', 1),
    ('box', 1),
    ('was_detection_due', 1),
    ('mid_face_rgb', 1e-3),
    ('heart_rate_bpm', 72.02),
    ('heart_rate_bpm', 0),
    ('spectrum_bpm', 1),
    ('num_beats', 1),
    ('beat_time_us', 1001),
    ('beat_quality', 0.01),
  ):
    got = expected.copy()
    got[field][1] = value
    assert not stream.compare(expected, got).is_same, field


def test_a_frame_that_is_not_used_has_a_negative_status():
  image = np.zeros((80, 96, 3), np.uint8)
  frames = [
    Frame(image, 100_000, FOUND, (10, 5, 70, 70)),
    Frame(image, 99_999),
    Frame(image, 133_333, FOUND, (10, 5, 0, 70)),
    Frame(image, 133_333),
  ]
  got = replay('host', frames)
  assert got['push_status'].tolist() == [
    stream.OK,
    stream.TIME_BACKWARDS,
    stream.BAD_ARGUMENT,
    stream.OK,
  ]
  assert max(stream.TIME_BACKWARDS, stream.BAD_ARGUMENT) < 0
  assert got['num_cnn_runs'].tolist() == [3, 0, 0, 3]


def test_a_firmware_that_ends_early_is_an_error():
  frame = Frame(np.zeros((2000, 2000, 3), np.uint8), 0)  # larger than 3 MiB
  with pytest.raises(InputError, match=r'exit status 1 after 0 frames'):
    replay('host', [frame])


def test_run_firmware_prints_both_sides(recording):
  done = commands.run('tools.run_firmware', f'--video={recording}')
  assert done.returncode == 0, done.stderr
  lines = done.stdout.strip().splitlines()
  assert 'BPM, Python' in lines[0]
  # The beats have a rate from the 90th sample on.
  assert lines[-1].startswith('host: 330 frames, 241 estimates; differences: 0')
  words = [f'--video={recording}', '--own_detector']
  assert commands.run('tools.run_firmware', *words).stdout == done.stdout
  commands.assert_refused(
    commands.run('tools.run_firmware', '--video=nothing.mp4'), 'nothing.mp4'
  )


# On the M55 `make test` does the same with 60 others.
def test_the_cnn_is_litert(tmp_path):
  crops = emit_golden_vectors.make_crops(600, seed=2)
  expected = emit_golden_vectors.crop_features(
    crops, _RUN / run_directory.INT8_MODEL
  )
  got = stream.run_crops('host', crops, tmp_path)
  np.testing.assert_array_equal(got, expected)


@pytest.fixture(scope='module')
def report(tmp_path_factory):
  """What firmware_report prints, and what it writes."""
  path = tmp_path_factory.mktemp('report') / 'folder' / 'report.json'
  words = ['--cycles_per_instruction=2', f'--json={path}']
  done = commands.run('tools.firmware_report', *words)
  assert done.returncode == 0, done.stderr
  return done.stdout, json.loads(path.read_text())


def test_limits_of_size_stack_and_instructions(report):
  figures = report[1]
  assert figures['flash_bytes']['without_cnn'] <= 48_000
  assert figures['flash_bytes']['with_cnn'] <= 64_000
  assert figures['ram_bytes']['state'] <= 67_000
  assert max(figures['stack_bytes'].values()) <= 2_000
  assert figures['flash_bytes']['detector'] <= 52_000
  detector_bytes = figures['ram_bytes']['detector']
  assert detector_bytes + figures['ram_bytes']['detector_640x480'] <= 700_000
  scalar, helium = (
    figures['instructions'][name] for name in ('scalar', 'helium')
  )
  assert helium['look_near_640x480'] <= 8_000_000
  assert helium['look_everywhere_320x240'] <= 60_000_000
  assert helium['look_worst_step'] <= 80_000
  assert scalar['look_worst_step'] <= 160_000
  assert scalar['cnn_one_roi'] <= 8_500_000
  assert helium['cnn_one_roi'] <= 1_700_000
  assert helium['head_push'] <= 12_000
  # A sample, the dearest there is; and all that an estimate takes.
  assert helium['head_push'] + helium['beats_worst_push'] <= 20_000
  assert helium['estimate'] <= 400_000
  assert helium['head_estimate'] <= 400_000
  assert scalar['head_estimate'] <= 400_000
  # What comes before the CNN, up to a face as high as the image; without
  # Helium cut, mean and background alone, up to one of 300 px.
  before = 'motion_cut_mean_background_'
  frames = [name for name in helium if name.startswith(before)]
  assert len(frames) == 6
  assert max(helium[name] for name in frames) <= 1_500_000
  for face in ('565_face_200_px', '888_face_200_px', '888_face_300_px'):
    motion = scalar[f'face_motion_{face}']
    assert scalar[f'{before}{face}'] - motion <= 1_500_000, face


def test_the_report_prints_what_it_writes(report):
  printed, written = report
  assert '800 MHz, 2 cycles an instruction' in printed
  count = written['instructions']['helium']['cnn_one_roi']
  ms = written['estimated_ms']['helium']['cnn_one_roi']
  assert ms == pytest.approx(count * 2 / 800e3, abs=1e-4)
  assert f'{count:,} ' in printed and f'{ms:.3f} |' in printed
