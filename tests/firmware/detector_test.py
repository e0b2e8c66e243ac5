"""The firmware's face detector against OpenCV and rppg_tf.faces.detector."""

import ctypes
import pathlib
from fractions import Fraction

import cv2
import numpy as np
import pytest

from rppg_tf.faces import detector as face_detector
from tests.support import c_detector, hostile_images
from tests.support.c_detector import CBox, CDetector, pointer, view
from tools.codegen import face_cascade
from tools.firmware_runner import stream

pytestmark = pytest.mark.slow

_REAL_VIDEOS = sorted(
  (pathlib.Path(__file__).parents[3] / 'shared/real_video').glob('*.mp4')
)
_CASCADE = pathlib.Path(cv2.data.haarcascades) / face_detector.CASCADE_FILE


@pytest.fixture(scope='module')
def library(tmp_path_factory):
  return c_detector.compile_library(tmp_path_factory.mktemp('detector'))


@pytest.fixture(scope='module')
def cascade():
  return cv2.CascadeClassifier(str(_CASCADE))


def _with_faces(seed: int) -> np.ndarray:
  """Four faces, 80 to 199 pixels with their surroundings, in 400x500."""
  random = np.random.default_rng(seed)
  image = random.integers(90, 130, (400, 500, 3), np.uint8)
  for y in (0, 200):
    for x in (0, 250):
      side = int(random.integers(80, 200))
      top, left = random.integers((y, x), (y + 201 - side, x + 251 - side))
      patch = cv2.resize(hostile_images.face(), (side, side))
      image[top : top + side, left : left + side] = patch
  return image


# --- Stage by stage ----------------------------------------------------------


def _unpack(packed: np.ndarray) -> np.ndarray:
  """RGB565 uint16 (height, width) → BGR."""
  five = np.stack([packed & 31, packed >> 5 & 63, packed >> 11], -1)
  bits = np.array([5, 6, 5])
  return (five << 8 - bits | five >> 2 * bits - 8).astype(np.uint8)


@pytest.mark.parametrize(
  ('width', 'height', 'part'),
  [
    (97, 41, (0, 97, 0, 41)),
    (97, 41, (5, 90, 3, 38)),
    (640, 9, (0, 640, 0, 9)),
    (641, 30, (0, 641, 0, 30)),
    (1280, 64, (0, 1280, 0, 64)),  # 2x2
    (1280, 64, (100, 703, 3, 60)),
    (1920, 33, (17, 1600, 1, 32)),
    (1920, 45, (0, 1920, 0, 45)),  # 3x3
    (4096, 20, (1, 2, 0, 20)),
    (4096, 20, (0, 4096, 7, 8)),
  ],
)
def test_grey_pixels_are_those_of_opencv(library, width, height, part):
  packed = np.random.default_rng(width).integers(0, 65536, (height, width))
  bgr = _unpack(packed)
  scale = max(1.0, width / face_detector.DETECTION_WIDTH_PX)
  x0, x1, y0, y1 = part
  expected = face_detector._grey(bgr[y0:y1, x0:x1], scale)
  stored = {
    stream.BGR888: bgr,
    stream.RGB888: bgr[..., ::-1],
    stream.RGB565: packed.astype('<u2')
    .view(np.uint8)
    .reshape(height, width, 2),
  }
  for pixel_format, frame in stored.items():
    got, size = np.zeros_like(expected), (ctypes.c_int32 * 2)()
    library.make_grey(
      ctypes.byref(view(np.ascontiguousarray(frame), pixel_format)),
      ctypes.byref(CBox(*part)),
      ctypes.c_double(scale),
      size,
      pointer(got),
    )
    assert tuple(size) == expected.shape[::-1]
    np.testing.assert_array_equal(got, expected)


def _level(library, grey, step: float, min_px: int, band_rows: int):
  """Sums and squares of a level, its step, columns and rows of windows."""
  height, width = grey.shape
  sums = np.zeros((height + 1) * (width + 1), np.uint32)
  squares, memory = np.zeros_like(sums), np.zeros_like(sums)
  size = (ctypes.c_int32 * 4)()
  window_step = library.make_level(
    pointer(grey),
    width,
    height,
    ctypes.c_double(step),
    min_px,
    2 * band_rows * (width + 1),
    pointer(np.zeros(2 * band_rows * (width + 1), np.uint32)),
    size,
    pointer(sums),
    pointer(squares),
  )
  del memory
  shape = size[1] + 1, size[0] + 1
  cut = slice(0, shape[0] * shape[1])
  both = [values[cut].reshape(shape) for values in (sums, squares)]
  return *both, window_step, size[2], size[3]


@pytest.mark.parametrize('seed', range(12))
def test_levels_are_those_of_opencv(library, seed):
  random = np.random.default_rng(seed)
  height, width = random.integers(24, (500, 641)).tolist()
  grey = random.integers(0, 256, (height, width), np.uint8)
  step = float(random.choice([1.1, 1.2]))
  min_px = int(random.integers(0, min(height, width) + 1))
  sums, squares, window_step, columns, _ = _level(
    library, grey, step, min_px, 32
  )
  scale = 1.0
  while np.rint(24 * np.float32(scale)) < min_px:
    if round(24 * scale * step) > min(height, width):
      break  # the largest there is
    scale *= step
  shape = sums.shape[0] - 1, sums.shape[1] - 1
  assert shape == tuple(
    int(np.rint(np.float32(side) / np.float32(scale))) for side in grey.shape
  )
  assert window_step == (1 if np.float32(scale) >= 2 else 2)
  assert columns == shape[1] - 23
  resized = cv2.resize(grey, shape[::-1], interpolation=cv2.INTER_LINEAR_EXACT)
  expected = cv2.integral2(resized, sdepth=cv2.CV_32S, sqdepth=cv2.CV_64F)
  np.testing.assert_array_equal(sums, expected[0])
  np.testing.assert_array_equal(squares, expected[1] % 2**32)


def _window_sum(library, sums, squares, place, stage) -> tuple[int, bool]:
  """Sum of a stage in 2^-38, and whether the window passes."""
  x, y = place
  part, part_squares = (
    np.ascontiguousarray(values[y : y + 25]) for values in (sums, squares)
  )
  offset, total = np.full(1, x, np.uint16), np.zeros(1, np.int64)
  passes = np.zeros(1, np.uint8)
  num = library.sum_stage(
    pointer(part),
    pointer(part_squares),
    sums.shape[1],
    stage,
    1,
    pointer(offset),
    pointer(total),
    pointer(passes),
  )
  assert num == 1
  return int(total[0]), bool(passes[0])


def test_windows_sum_up_as_in_opencv(library, cascade):
  """Stage sums to the last bit: OpenCV's are float64, and exact."""
  stages = face_cascade.read_stages(_CASCADE.read_bytes())
  last = len(stages) - 1
  base = sum(stump.above for stump in stages[last].stumps)
  grey = cv2.cvtColor(_with_faces(3), cv2.COLOR_BGR2GRAY)
  num_windows = 0
  for level in (3, 9, 12):
    scale = np.float32(1.1**level)
    face_px = int(np.rint(24 * scale))
    sums, squares, *_ = _level(library, grey, 1.1, face_px, 700)
    boxes, _, weights = cascade.detectMultiScale3(
      grey,
      1.1,
      0,
      minSize=(face_px, face_px),
      maxSize=(face_px, face_px),
      outputRejectLevels=True,
    )
    for box, weight in zip(boxes, weights, strict=True):
      place = np.rint(box[:2] / scale).astype(int).tolist()
      for stage in range(last):
        assert _window_sum(library, sums, squares, place, stage)[1]
      total, passes = _window_sum(library, sums, squares, place, last)
      assert passes and float(base + Fraction(total, 2**38)) == weight
      num_windows += 1
  assert num_windows > 10


@pytest.mark.parametrize('seed', range(6))
def test_hits_are_those_of_opencv(library, cascade, seed):
  image = _with_faces(seed)
  height, width = image.shape[:2]
  detector = CDetector(library, width, height)
  detector.find(image)
  least_px = int(face_detector.MIN_FACE_SHARE * min(height, width))
  expected = cascade.detectMultiScale(
    cv2.cvtColor(image, cv2.COLOR_BGR2GRAY),
    face_detector.CASCADE_SCALE_STEP,
    0,
    minSize=(least_px, least_px),
  )
  hits = detector.hits()
  x, y = hits['x'].astype(int), hits['y'].astype(int)
  sides = [np.minimum(x + hits['side'], width) - np.maximum(x, 0)]
  sides += [np.minimum(y + hits['side'], height) - np.maximum(y, 0)]
  clipped = np.stack([np.maximum(x, 0), np.maximum(y, 0), *sides], 1)
  assert sorted(map(tuple, clipped)) == sorted(map(tuple, expected))
  assert len(hits) > 10


@pytest.mark.parametrize('seed', range(40))
def test_groups_are_those_of_opencv(library, seed):
  random = np.random.default_rng(seed)
  num_faces = int(random.integers(1, 30))
  places = random.integers((0, 0, 24), (600, 440, 160), (num_faces, 3))
  jitter = random.integers(-9, 10, (int(random.integers(1, 500)), 3))
  squares = np.abs(places[random.integers(0, num_faces, len(jitter))] + jitter)
  hits = np.zeros(len(squares), c_detector.HIT)
  for name, column in zip(('x', 'y', 'side'), squares.T, strict=True):
    hits[name] = column
  rectangles = squares[:, [0, 1, 2, 2]].tolist()
  for min_neighbours in (3, 5):
    boxes, _ = cv2.groupRectangles(rectangles, min_neighbours, 0.2)
    largest = CBox()
    num = library.group(
      pointer(hits),
      len(hits),
      min_neighbours,
      2000,
      2000,
      ctypes.byref(largest),
    )
    assert num == len(boxes)
    expected = face_detector._largest(np.array(boxes), 1.0)
    if expected is not None:
      assert (largest.x, largest.y, largest.w, largest.h) == expected


# --- Looks -------------------------------------------------------------------


def _differing(library, frames, tracks) -> list[str]:
  """Looks in which the two detectors differ."""
  height, width = frames[0].shape[:2]
  python = face_detector.FaceDetector()
  firmware = CDetector(library, width, height)
  wrong, found = [], None
  for index, frame in enumerate(frames):
    tracked = tracks(frame, found)
    found = python.find(frame, tracked)
    got = firmware.find(frame, tracked)
    if (got, firmware.num_faces) != (found, python.num_faces):
      wrong.append(f'{index}: near {tracked}: {got}, expected {found}')
  return wrong


def test_hostile_images_give_the_boxes_of_python(library):
  random = np.random.default_rng(1)
  for index in range(30):
    image = hostile_images.make(random, index)
    assert not _differing(
      library,
      [image] * 5,
      lambda frame, found: hostile_images.track(random, frame, found),
    ), f'{index}: {image.shape}'


def test_a_face_that_moves_gives_the_boxes_of_python(library):
  """Looked for near, counted beside, lost, and at the image's border."""
  frames = []
  for index in range(40):
    frame = np.full((240, 320, 3), 110, np.uint8)
    x = 150 * (1 + np.sin(index / 3)) - 30
    side = 110 + 60 * (index % 13 == 12)
    patch = cv2.resize(hostile_images.face(), (side, side))
    left = max(0, int(x))
    columns = patch[:, left - int(x) :][:, : 320 - left]
    frame[30 : 30 + side, left : left + columns.shape[1]] = columns
    if index in (20, 21):
      frame[:] = 110
    frame[180:236, 250:306] = cv2.resize(hostile_images.face(), (56, 56))
    frames.append(frame)
  assert not _differing(library, frames, lambda _, found: found)


@pytest.mark.skipif(not _REAL_VIDEOS, reason='no shared/real_video')
def test_real_faces_give_the_boxes_of_python(library):
  for path in _REAL_VIDEOS:
    video = cv2.VideoCapture(str(path))
    frames = [video.read()[1] for _ in range(60)][::6]
    video.release()
    assert not _differing(library, frames, lambda _, found: found), path.name


# --- Steps -------------------------------------------------------------------


def test_the_pixels_are_read_until_it_says_so(library):
  image = _with_faces(2)
  height, width = image.shape[:2]
  detector = CDetector(library, width, height)
  expected = detector.find(image)
  assert expected is not None
  # Near an empty place: that is looked at, then everywhere.
  for tracked in (None, expected, (0, 0, 40, 40)):
    frame = image.copy()
    detector.find(image)  # so that the next may look near
    assert detector.begin(view(frame), tracked, 1_000_000) == stream.OK
    assert detector.take_face().detection == stream.NOT_LOOKED_FOR
    num_steps = 0
    while detector.step() == stream.LOOKING:
      num_steps += 1
      if not detector.reads_image():
        frame[:] = 0
    assert num_steps > 10 and not detector.reads_image()
    face = detector.take_face(1_150_000)
    assert face.detection == stream.FOUND and face.age_us == 150_000
    assert tracked != (0, 0, 40, 40) or tuple(face.box) == expected
    assert detector.take_face().detection == stream.NOT_LOOKED_FOR
    assert detector.step() == stream.OK


def test_a_look_that_is_begun_anew_forgets_the_first(library):
  image = _with_faces(2)
  height, width = image.shape[:2]
  detector = CDetector(library, width, height)
  expected = detector.find(image)
  for num_steps in (0, 1, 100, 400):
    assert detector.begin(view(np.zeros_like(image)), None) == stream.OK
    for _ in range(num_steps):
      detector.step()
    assert detector.find(image) == expected


def test_what_does_not_fit_is_refused(library):
  detector = CDetector(library, 320, 240)
  image = np.zeros((240, 321, 3), np.uint8)
  assert detector.begin(view(image)) == stream.BAD_ARGUMENT
  assert detector.begin(view(image[:, :320])) == stream.OK
  assert detector.begin(view(image[:, :320], 9)) == stream.BAD_ARGUMENT
  none = ctypes.c_void_p()
  time_us = ctypes.c_int64(0)
  own = detector.detector
  face = ctypes.byref(c_detector.Face())
  for status in (
    library.rppg_detector_init(none, own, 100),
    library.rppg_detector_init(own, none, 100),
    library.rppg_detector_begin(own, none, ctypes.byref(view(image)), time_us),
    library.rppg_detector_begin(none, own, ctypes.byref(view(image)), time_us),
    library.rppg_detector_step(none),
    library.rppg_detector_take_face(none, time_us, face),
    library.rppg_detector_take_face(own, time_us, none),
    library.rppg_detector_take_face(own, ctypes.c_int64(-1), face),
    detector.begin(view(image[:, :320]), time_us=2**53 + 1),
  ):
    assert status == stream.BAD_ARGUMENT
  assert library.rppg_detector_is_busy(none) == 0
  assert library.rppg_detector_reads_image(none) == 0
  assert library.rppg_detector_num_faces(none) == 0
  # Without rppg_detector_init.
  fresh = (ctypes.c_double * len(own))()
  fits = ctypes.byref(view(image[:, :320]))
  status = library.rppg_detector_begin(fresh, own, fits, time_us)
  assert status == stream.BAD_ARGUMENT


def test_the_memory_is_what_the_header_says(library):
  detector_bytes, memory_bytes = (
    library.detector_bytes(),
    4 * library.words(640, 480),
  )
  assert detector_bytes + memory_bytes <= 700_000
  header = (stream.FIRMWARE / 'include/rppg_detector.h').read_text()
  sizes = f'{detector_bytes / 1000:.0f} kB and {memory_bytes / 1000:.0f} kB'
  assert f'{sizes} for 640x480' in header
