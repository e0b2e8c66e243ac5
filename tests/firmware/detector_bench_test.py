"""`make bench`: the firmware's face detector over videos and hostile images."""

import pathlib
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from rppg_tf.faces import detector as face_detector
from rppg_tf.faces import rois
from tests.support import c_detector, commands, hostile_images, node
from tests.support.firmware_frames import expect, replay
from tools.firmware_runner import looks as firmware_looks
from tools.firmware_runner import stream
from tools.firmware_runner.looks import Look

pytestmark = pytest.mark.bench

_TARGETS = ('host', 'wasm', 'qemu', 'qemu_scalar')
_WASM = 'build/wasm/looks.wasm'
_NUM_RECORDINGS = 10
_NUM_IMAGES = 200
_LOOKS_PER_IMAGE = 5
# Of an image, in QEMU.
_LOOKS_IN_QEMU = 2
_REAL_VIDEOS = sorted(
  (pathlib.Path(__file__).parents[3] / 'shared/real_video').glob('*.mp4')
)
_MAX_SECONDS = 12
_HOSTILE = 'hostile images'


@pytest.fixture(scope='module')
def library(tmp_path_factory):
  return c_detector.compile_library(tmp_path_factory.mktemp('detector'))


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
  """Ten rendered recordings and the real videos."""
  folder = tmp_path_factory.mktemp('rendered')
  commands.run_well(
    'tools.render_recordings',
    f'--output_dir={folder}',
    f'--num_recordings={_NUM_RECORDINGS}',
    f'--duration_s={_MAX_SECONDS}',
    '--seed=56',
    '--motion=strong',
  )
  rendered = sorted(folder.glob('DATASET_2/*/vid.avi'))
  assert len(rendered) == _NUM_RECORDINGS
  assert _REAL_VIDEOS, 'shared/real_video is wanted here'
  return [*rendered, *_REAL_VIDEOS]


class _Noted(NamedTuple):
  """A look, and what FaceDetector made of it."""

  look: Look
  box: tuple[int, int, int, int] | None
  num_faces: int


class _NotingDetector:
  """FaceDetector that notes its looks."""

  def __init__(self):
    self._detector = face_detector.FaceDetector()
    self.noted: list[_Noted] = []

  def find(self, frame, tracked=None):
    box = self._detector.find(frame, tracked)
    look = Look(frame, tracked, is_first=not self.noted)
    self.noted.append(_Noted(look, box, self._detector.num_faces))
    return box


def _looks_at_video(path: pathlib.Path) -> list[_Noted]:
  """The looks that prediction takes."""
  video = cv2.VideoCapture(str(path))
  rate_hz = video.get(cv2.CAP_PROP_FPS)
  detector = _NotingDetector()
  tracker = rois.FaceTracker(detector)
  for index in range(int(rate_hz * _MAX_SECONDS)):
    is_there, frame = video.read()
    if not is_there:
      break
    if tracker.is_look_due(index / rate_hz):
      tracker.look(frame, index / rate_hz)
  video.release()
  return detector.noted


def _looks_at_hostile_images() -> list[_Noted]:
  random = np.random.default_rng(20)
  noted = []
  for index in range(_NUM_IMAGES):
    image, found = hostile_images.make(random, index), None
    detector = _NotingDetector()
    for _ in range(_LOOKS_PER_IMAGE):
      tracked = hostile_images.track(random, image, found)
      found = detector.find(image, tracked)
    noted += detector.noted
  return noted


def _fits(library, look: Look) -> bool:
  """Whether looks.c holds the image."""
  height, width, _ = look.frame_bgr.shape
  return (
    library.words(width, height) <= library.words(640, 480)
    and look.frame_bgr.size <= 1280 * 720 * 3
  )


def _found_here(library, noted: list[_Noted]) -> np.ndarray:
  """LOOK_OUT of this machine, images of any size included."""
  found = np.zeros(len(noted), firmware_looks.LOOK_OUT)
  for result, (look, *_) in zip(found, noted, strict=True):
    if look.is_first:
      height, width, _ = look.frame_bgr.shape
      detector = c_detector.CDetector(library, width, height)
    box = detector.find(look.frame_bgr, look.tracked)
    result['detection'] = stream.NOT_FOUND if box is None else stream.FOUND
    result['box'] = box or (0, 0, 0, 0)
    result['num_faces'] = detector.num_faces
  return found


def _found(
  library, target: str, noted: list[_Noted], folder: pathlib.Path
) -> np.ndarray:
  """LOOK_OUT of one build."""
  if target == 'host':
    return _found_here(library, noted)
  images = (one.look for one in noted)
  if target != 'wasm':
    return firmware_looks.run(target, images, folder)[0]
  with open(folder / 'looks.bin', 'wb') as file:
    file.writelines(look.encode() for look in images)
  words = ('looks.bin', 'found.bin', 'costs.bin')
  node.run('wasi_replay.mjs', stream.FIRMWARE / _WASM, folder, *words)
  return np.fromfile(folder / 'found.bin', firmware_looks.LOOK_OUT)


def _first_looks(noted: list[_Noted]) -> list[_Noted]:
  """Some of each detector's."""
  kept, since_first = [], 0
  for one in noted:
    since_first = 0 if one.look.is_first else since_first + 1
    if since_first < _LOOKS_IN_QEMU:
      kept.append(one)
  return kept


def _row(name: str, target: str, noted: list[_Noted], found: np.ndarray):
  """One line of the table; looks that differ; by how much at most."""
  num_same, num_faces, worst_px = 0, 0, 0
  for (_, box, count), got in zip(noted, found, strict=True):
    is_found = box is not None
    num_faces += is_found
    if is_found == (got['detection'] == stream.FOUND):
      apart = np.abs(np.array(box or (0, 0, 0, 0)) - got['box']).max()
      worst_px = max(worst_px, int(apart))
      num_same += apart == 0 and count == got['num_faces']
    else:
      worst_px = 9999
  cells = (name, target, len(noted), num_faces, num_same, worst_px)
  print('| ' + ' | '.join(map(str, cells)) + ' |', flush=True)
  return len(noted) - num_same, worst_px


def _compare(library, sources, folder: pathlib.Path) -> None:
  """Prints a table of sources, (name, looks), and holds it to the limits."""
  stream.check_made(stream.make(*firmware_looks.TARGETS.values(), _WASM))
  print('\n| source | build | looks | with a face | identical | worst, px |')
  print('|---|---|---|---|---|---|')
  num_looks, wrong = 0, []
  for name, noted in sources:
    fitting = [one for one in noted if _fits(library, one.look)]
    for target in _TARGETS:
      is_slow = target.startswith('qemu')
      some = noted if target == 'host' else fitting
      some = _first_looks(some) if is_slow and name == _HOSTILE else some
      found = _found(library, target, some, folder)
      wrong.append(_row(name, target, some, found))
      num_looks += len(some)
  num_wrong = sum(differing for differing, _ in wrong)
  print(f'{num_looks} looks, {num_wrong} not identical')
  assert num_wrong <= 0.005 * num_looks
  assert max(worst_px for _, worst_px in wrong) <= 2


def test_the_boxes_in_videos_are_those_of_opencv(library, videos, tmp_path):
  sources = (
    (f'{path.parent.name}/{path.name}', _looks_at_video(path))
    for path in videos
  )
  _compare(library, sources, tmp_path)


def test_the_boxes_in_hostile_images_are_those_of_opencv(library, tmp_path):
  _compare(library, [(_HOSTILE, _looks_at_hostile_images())], tmp_path)


def test_rppg_run_reads_what_prediction_reads(videos):
  stream.build('host')
  print('\n| video | frames | estimates | differing boxes | BPM |')
  print('|---|---|---|---|---|')
  for path in videos:
    frames, expected = expect(path)
    got = replay('host', frames, own_detector=True)
    difference = stream.compare(expected, got)
    apart = np.any(expected['box'] != got['box'], axis=1)
    num_apart = int(np.count_nonzero(apart))
    name = path.parent.name + '/' + path.name
    cells = (name, len(frames), difference.num_estimates, num_apart)
    print('|', *cells, f'{difference.max_bpm:.1e} |', sep=' | ', flush=True)
    assert difference.max_bpm <= (0.5 if num_apart else 0.01)
