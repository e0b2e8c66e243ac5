"""`make bench`: what of the firmware takes minutes to show."""

import pathlib
import re
import subprocess

import cv2
import numpy as np
import pytest

from rppg_tf import run_directory
from tests.support import commands, hostile_images
from tests.support.firmware_frames import REAL_VIDEO, expect, replay
from tests.support.referees import venv
from tools import emit_golden_vectors
from tools.firmware_runner import stream

pytestmark = pytest.mark.bench

_TARGETS = ('host', 'qemu', 'qemu_scalar')
_NUM_RECORDINGS = 10
_COLUMNS = (
  'video',
  'build',
  'frames',
  'estimates',
  'int8 inputs',
  'differ',
  'int8 features',
  'differ',
  'BPM from Python',
  'BPM from host',
)


@pytest.fixture(scope='module', autouse=True)
def _built():
  stream.build(*_TARGETS)


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
  """Ten rendered recordings and a real face."""
  folder = tmp_path_factory.mktemp('rendered')
  commands.run_well(
    'tools.render_recordings',
    f'--output_dir={folder}',
    f'--num_recordings={_NUM_RECORDINGS}',
    '--duration_s=12',
    '--seed=55',
  )
  rendered = sorted(folder.glob('DATASET_2/*/vid.avi'))
  assert len(rendered) == _NUM_RECORDINGS
  assert REAL_VIDEO.is_file(), f'{REAL_VIDEO} is wanted here'
  return [*rendered, REAL_VIDEO]


def _row(name, build, expected, got, host):
  """One line of the table, and whether all is as it must be."""
  difference = stream.compare(expected, got)
  from_host = np.abs(got['heart_rate_bpm'] - host['heart_rate_bpm']).max()
  cells = (
    name,
    build,
    difference.num_frames,
    difference.num_estimates,
    f'{expected["codes"].size:,}',
    difference.codes,
    f'{expected["features"].size:,}',
    difference.features,
    f'{difference.max_bpm:.1e}',
    f'{from_host:.1e}',
  )
  is_right = difference.is_same and difference.num_estimates > 0
  is_right = is_right and got.tobytes() == host.tobytes()
  return '| ' + ' | '.join(map(str, cells)) + ' |', is_right


def test_ten_recordings_and_a_real_face(videos):
  print('', '| ' + ' | '.join(_COLUMNS) + ' |', sep='\n')
  print('|' + '---|' * len(_COLUMNS))
  wrong = []
  for video in videos:
    frames, expected = expect(video)
    name = video.stem if video is REAL_VIDEO else video.parent.name
    host = replay('host', frames)
    for build in _TARGETS:
      got = host if build == 'host' else replay(build, frames)
      line, is_right = _row(name, build, expected, got, host)
      print(line, flush=True)
      if not is_right:
        wrong.append(line)
  assert not wrong


def test_the_cnn_on_ten_thousand_inputs(tmp_path):
  crops = emit_golden_vectors.make_crops(10_000, seed=3)
  model = run_directory.PRETRAINED / run_directory.INT8_MODEL
  expected = emit_golden_vectors.crop_features(crops, model)
  np.save(tmp_path / 'codes.npy', crops)
  peer = pathlib.Path(venv.__file__).with_name('tflite_micro_peer.py')
  subprocess.run(
    [venv.python(), peer, model, tmp_path / 'codes.npy', tmp_path / 'out.npy'],
    check=True,
  )
  micro = np.load(tmp_path / 'out.npy')
  np.testing.assert_array_equal(micro, expected)
  for target in _TARGETS:
    got = stream.run_crops(target, crops, tmp_path)
    print(
      f'{target}: {len(crops):,} inputs, {np.count_nonzero(got != micro)} of '
      f'{got.size:,} bytes not those of tflite-micro'
    )
    np.testing.assert_array_equal(got, micro)


def test_a_day_of_frames():
  stream.check_made(stream.make('build/host/day_test'))
  program = stream.FIRMWARE / 'build/host/day_test'
  done = subprocess.run([program, '24'], capture_output=True, text=True)
  print(done.stdout)
  assert done.returncode == 0


def _write_seeds(folder: pathlib.Path) -> None:
  """Faces to begin with, which bytes alone seldom make."""
  folder.mkdir(parents=True, exist_ok=True)
  grey = cv2.cvtColor(hostile_images.face(), cv2.COLOR_BGR2GRAY)
  for side in (30, 40, 60):
    patch = cv2.resize(
      grey[50:190, 90:230], (side, side), interpolation=cv2.INTER_AREA
    )
    # Size, format, no face in view, a whole look; see fuzz_detector.c.
    head = bytes([0, side - 2, 0, side - 2, 1]) + bytes(5)
    (folder / f'face_{side}').write_bytes(head + patch.tobytes())


def test_five_minutes_of_hostile_frames():
  stream.check_made(stream.make('build/fuzz/fuzz', 'build/fuzz/fuzz_detector'))
  _write_seeds(stream.FIRMWARE / 'build/fuzz/fuzz_detector_corpus')
  # Without the lock of firmware_stream.make, which others wait for.
  command = ['make', '-s', '-C', str(stream.FIRMWARE), 'fuzz']
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  print(*re.findall(r'^(?:Done|stat::).*$', done.stderr, re.M), sep='\n')
  assert done.returncode == 0, done.stderr[-3000:]
