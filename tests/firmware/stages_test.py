"""Each stage of firmware/src against the Python that it repeats."""

import ctypes
import subprocess

import cv2
import numpy as np
import pytest

from rppg_tf import contract
from rppg_tf.faces import motion as face_motion
from rppg_tf.faces import rois as face_rois
from rppg_tf.faces import stabiliser as face_stabiliser
from rppg_tf.signals import background, chrominance, resampling
from tools.codegen.contract import render_contract
from tools.firmware_runner import stream as firmware_stream

pytestmark = pytest.mark.slow

_FIRMWARE = firmware_stream.FIRMWARE
_STAGES = (
  'area',
  'area_rows',
  'pixels',
  'roi_patches',
  'mid_face',
  'face_motion',
  'background',
  'face_box',
  'feature_timeline',
)
_PATCH_BYTES = np.prod(contract.ROI_FRAME_SHAPE)

# Sizes and fields of the states, for ctypes.
_PROBE = """\
#include <stddef.h>
#include "rppg.h"
size_t scratch_bytes(void) { return sizeof(rppg_cut_scratch_t); }
size_t background_bytes(void) { return sizeof(rppg_background_t); }
size_t motion_bytes(void) { return sizeof(rppg_face_motion_t); }
size_t face_box_bytes(void) { return sizeof(rppg_face_box_t); }
size_t timeline_bytes(void) { return sizeof(rppg_timeline_t); }
size_t features_bytes(void) { return sizeof(rppg_features_t); }
"""


class _Image(ctypes.Structure):
  _fields_ = (
    ('pixels', ctypes.c_void_p),
    ('width_px', ctypes.c_uint32),
    ('height_px', ctypes.c_uint32),
    ('stride_bytes', ctypes.c_uint32),
    ('format', ctypes.c_int),
  )


class _Box(ctypes.Structure):
  _fields_ = tuple((name, ctypes.c_int32) for name in 'xywh')


class _Shift(ctypes.Structure):
  _fields_ = tuple((name, ctypes.c_int32) for name in 'xy')


class _Motion(ctypes.Structure):
  """The first members of rppg_face_motion_t."""

  _fields_ = (('box', _Box), ('shift', _Shift))


@pytest.fixture(scope='module')
def stages(tmp_path_factory):
  """The stages as a library of this machine."""
  headers = [
    f'generated/{name}.h' for name in ('rppg_contract', 'temporal_head')
  ]
  firmware_stream.check_made(firmware_stream.make(*headers))
  folder = tmp_path_factory.mktemp('stages')
  (folder / 'probe.c').write_text(_PROBE)
  library = folder / 'stages.so'
  command = 'cc -std=c99 -O2 -ffp-contract=off -shared -fPIC'.split()
  command += [f'-I{_FIRMWARE / name}' for name in ('include', 'generated')]
  command += [str(_FIRMWARE / 'src' / f'{stage}.c') for stage in _STAGES]
  subprocess.run(
    [*command, str(folder / 'probe.c'), '-o', str(library), '-lm'], check=True
  )
  loaded = ctypes.CDLL(str(library))
  loaded.rppg_background_begin.restype = ctypes.c_float
  loaded.rppg_face_box_at.restype = ctypes.POINTER(_Box)
  for stage in (
    'scratch',
    'background',
    'motion',
    'face_box',
    'timeline',
    'features',
  ):
    getattr(loaded, f'{stage}_bytes').restype = ctypes.c_size_t
  return loaded


def _state(num_bytes: int) -> ctypes.Array:
  return (ctypes.c_double * -(-num_bytes // 8))()


def _view(frame: np.ndarray) -> _Image:
  height, width, _ = frame.shape
  return _Image(
    frame.ctypes.data, width, height, width * 3, firmware_stream.BGR888
  )


def _cut(
  stages,
  frame: np.ndarray,
  box: face_stabiliser.Box,
  shift: face_motion.Shift = face_motion.STILL,
):
  """What C cuts: patches and mean of the mid-face."""
  rois = np.empty((3, *contract.ROI_FRAME_SHAPE), np.uint8)
  mid_face = np.empty(3, np.float32)
  scratch = _state(stages.scratch_bytes())
  image, place = _view(frame), _Box(*box)
  moved = _Box(*face_rois.moved_box(box, shift))
  for index, roi in enumerate(rois):
    stages.rppg_cut_roi(
      ctypes.byref(image),
      ctypes.byref(moved),
      index,
      scratch,
      roi.ctypes.data_as(ctypes.c_void_p),
    )
  stages.rppg_mean_mid_face(
    ctypes.byref(image),
    ctypes.byref(place),
    ctypes.byref(_Shift(*shift)),
    mid_face.ctypes.data_as(ctypes.c_void_p),
  )
  return rois, mid_face


def _stored(frame: np.ndarray, pixel_format: int, spare_bytes: int = 0):
  """An image as C gets it, and the same as Python does.

  Args:
    frame: uint8 (height, width, 3).
    pixel_format: BGR888, RGB888 or RGB565.
    spare_bytes: at the end of every row.
  """
  height, width, _ = frame.shape
  pixels = frame
  if pixel_format == firmware_stream.RGB565:
    bits = np.array([5, 6, 5], np.uint8)
    fives = frame >> 8 - bits
    frame = fives << 8 - bits | fives >> 2 * bits - 8
    packed = fives.astype('<u2') @ np.array([2048, 32, 1], '<u2')
    pixels = packed.view(np.uint8).reshape(height, width, 2)
  rows = np.full((height, width * pixels.shape[2] + spare_bytes), 77, np.uint8)
  rows[:, : width * pixels.shape[2]] = pixels.reshape(height, -1)
  if pixel_format != firmware_stream.BGR888:
    frame = np.ascontiguousarray(frame[..., ::-1])
  image = _Image(rows.ctypes.data, width, height, rows.shape[1], pixel_format)
  return rows, image, frame


def _scene_frames(rng: np.random.Generator, width: int, height: int, num: int):
  """Soft blobs that wander, dim and are noisy: uint8 (height, width, 3)."""
  soft = rng.uniform(0, 255, (height // 9 + 1, width // 9 + 1, 3))
  soft = cv2.resize(np.float32(soft), (width, height))
  place = np.zeros(2)
  for _ in range(num):
    matrix = np.float32([[1, 0, place[0]], [0, 1, place[1]]])
    frame = cv2.warpAffine(
      soft, matrix, (width, height), borderMode=cv2.BORDER_REFLECT
    )
    frame = frame * rng.uniform(0.8, 1.0) + rng.normal(0, 2, frame.shape)
    yield np.clip(frame, 0, 255).astype(np.uint8)
    place += rng.normal(0, max(width, height) / 90, 2)


def _boxes(rng: np.random.Generator, width: int, height: int, num: int):
  """Boxes of every size, partly and wholly outside of the image."""
  # Regions whose sides are whole multiples of 36, where OpenCV adds integers.
  whole = [72, 144, 288, 360, 720]
  for index in range(num):
    sides = rng.integers(1, 600, 2)
    if index % 3:
      sides[1] = sides[0]
    if index % 5 == 0:
      sides[:] = rng.choice(whole)
    x, y = rng.integers(-sides, (width, height))
    yield int(x), int(y), int(sides[0]), int(sides[1])


# OpenCV adds in float32: its order is repeated, so nothing may differ. The
# project promises a grey level and 99 %.
def test_rois_and_mid_face_are_those_of_python(stages):
  rng = np.random.default_rng(3)
  empty = 0
  for _ in range(12):
    height, width = rng.integers(20, 700, 2).tolist()
    frame = rng.integers(0, 256, (height, width, 3), np.uint8)
    for box in _boxes(rng, width, height, 25):
      shift = face_motion.Shift(*rng.integers(-4, 5, 2) * box[2] // 2)
      rois, mid_face = face_rois.cut_rois(frame, box, shift=shift)
      got_rois, got_mid_face = _cut(stages, frame, box, shift)
      np.testing.assert_array_equal(got_rois, rois, str(box))
      np.testing.assert_array_equal(got_mid_face, mid_face, str(box))
      empty += not mid_face.any()
  assert empty  # the outside was visited


# The box of a frame: it stands, is another, is lost, comes back, reaches out.
@pytest.mark.parametrize('pixel_format', range(3))
def test_the_head_is_followed_as_in_python(stages, pixel_format):
  rng = np.random.default_rng(10 + pixel_format)
  num_moved = 0
  for width, height in ((320, 240), (97, 131), (40, 40), (700, 90)):
    state = _state(stages.motion_bytes())
    motion = face_motion.FaceMotion()
    box = None
    for index, frame in enumerate(_scene_frames(rng, width, height, 60)):
      if index % 12 == 0:
        sides = rng.integers(6, max(width, height), 2)
        x, y = rng.integers(-4, np.maximum((width, height) - sides, 1) + 4)
        box = None if index == 36 else (int(x), int(y), *map(int, sides))
      spare_bytes = int(rng.integers(0, 9))
      stored, image, frame = _stored(frame, pixel_format, spare_bytes)
      expected = motion.push(frame, box)
      place = None if box is None else ctypes.byref(_Box(*box))
      stages.rppg_face_motion_push(state, ctypes.byref(image), place)
      got = ctypes.cast(state, ctypes.POINTER(_Motion)).contents.shift
      assert (got.x, got.y) == expected, (box, index)
      num_moved += expected != face_motion.STILL
      if box is not None:
        _assert_same_mean(stages, image, frame, box, expected)
      del stored  # kept until here: image points to it
  assert num_moved > 60


def _assert_same_mean(stages, image, frame, box, shift):
  mean = np.empty(3, np.float32)
  stages.rppg_mean_mid_face(
    ctypes.byref(image),
    ctypes.byref(_Box(*box)),
    ctypes.byref(_Shift(*shift)),
    mean.ctypes.data_as(ctypes.c_void_p),
  )
  _, expected = face_rois.cut_rois(frame, box, shift=shift)
  np.testing.assert_array_equal(mean, expected)


@pytest.mark.parametrize('pixel_format', range(3))
@pytest.mark.parametrize(
  'box',
  [
    (0, 0, 4096, 90),
    (0, 0, 90, 1200),
    (0, 0, 8, 9),
    (5, 5, 7, 30),
    (3, 2, 64, 64),
    (1, 2, 65, 129),
    (-1, 0, 200, 200),
  ],
)
def test_boxes_of_every_size_are_followed(stages, box, pixel_format):
  rng = np.random.default_rng(13)
  size = max(box[0] + box[2], 20), max(box[1] + box[3], 20)
  frames = [*_scene_frames(rng, *size, 3)]
  # Nothing to see, what saturates, one bright pixel where no bin is counted.
  dot = np.zeros_like(frames[0])
  dot[box[1] + box[3] // 2, box[0] + box[2] - 1] = 255
  for first in (frames[0], 0 * frames[0], 255 + 0 * frames[0], dot):
    state = _state(stages.motion_bytes())
    motion = face_motion.FaceMotion()
    for frame in (first, *frames[1:], first):
      stored, image, frame = _stored(frame, pixel_format)
      expected = motion.push(frame, box)
      place = ctypes.byref(_Box(*box))
      stages.rppg_face_motion_push(state, ctypes.byref(image), place)
      got = ctypes.cast(state, ctypes.POINTER(_Motion)).contents.shift
      assert (got.x, got.y) == expected
      del stored


@pytest.mark.parametrize('width', [791, 793, 2592, 4096])
def test_wide_regions_are_those_of_python(stages, width):
  rng = np.random.default_rng(8)
  frame = rng.integers(0, 256, (45, width, 3), np.uint8)
  for box in ((0, 0, width, 45), (-width, 0, 3 * width, 160)):
    rois, mid_face = face_rois.cut_rois(frame, box)
    got_rois, got_mid_face = _cut(stages, frame, box)
    np.testing.assert_array_equal(got_rois, rois, str(box))
    np.testing.assert_array_equal(got_mid_face, mid_face, str(box))


def test_every_small_side_is_repeated_as_in_python(stages):
  rng = np.random.default_rng(4)
  frame = rng.integers(0, 256, (130, 130, 3), np.uint8)
  for side in range(1, 130):
    box = (0, 0, side, 130 - side)
    np.testing.assert_array_equal(
      _cut(stages, frame, box)[0], face_rois.cut_rois(frame, box)[0], str(box)
    )


def test_background_writes_the_bytes_of_python(stages):
  rng = np.random.default_rng(5)
  state = _state(stages.background_bytes())
  normaliser = background.BackgroundNormaliser()
  stages.rppg_background_reset(state)
  time_s = 0.0
  codes = np.empty((3, _PATCH_BYTES), np.int8)
  for index in range(200):
    if index == 120:
      normaliser.reset()
      stages.rppg_background_reset(state)
    rois = rng.integers(0, 256, (3, *contract.ROI_FRAME_SHAPE))
    if index % 2:
      rois = np.clip(rois // 30 + 100, 0, 255)
    rois = rois.astype(np.uint8)
    weight = stages.rppg_background_begin(state, ctypes.c_double(time_s))
    for roi in range(3):
      patch = np.ascontiguousarray(rois[roi])
      stages.rppg_background_push(
        state,
        roi,
        ctypes.c_float(weight),
        patch.ctypes.data_as(ctypes.c_void_p),
        codes[roi].ctypes.data_as(ctypes.c_void_p),
      )
    expected = normaliser.push(rois, time_s)
    np.testing.assert_array_equal(codes, expected.reshape(3, -1))
    time_s += rng.choice([0.0, 1 / 30, 0.04, 0.9])


def test_chrominance_writes_the_codes_of_python(stages):
  rng = np.random.default_rng(9)
  state = _state(stages.background_bytes())
  stages.rppg_background_reset(state)
  stream = chrominance.ChrominanceStream()
  codes = np.empty(contract.NUM_CHROMINANCE, np.int16)
  time_s, seen = 0.0, []
  for index in range(400):
    # Skin, then what clips; black for a while.
    high = (120 if index < 200 else 255) * (not 300 < index < 320)
    rgb = rng.uniform(high * (index < 200) * 0.97, high, 3).astype(np.float32)
    weight = stages.rppg_background_begin(state, ctypes.c_double(time_s))
    stages.rppg_chrominance_push(
      state,
      ctypes.c_float(weight),
      rgb.ctypes.data_as(ctypes.c_void_p),
      codes.ctypes.data_as(ctypes.c_void_p),
    )
    np.testing.assert_array_equal(codes, stream.push(rgb, time_s, True))
    seen.append(codes.copy())
    time_s += rng.choice([0.0, 1 / 30, 0.04, 0.9])
  assert np.min(seen) == -32768 and np.max(seen) == 32767


def test_the_face_box_is_that_of_python(stages):
  rng = np.random.default_rng(6)
  state = _state(stages.face_box_bytes())
  stages.rppg_face_box_init(state)
  stabiliser = face_stabiliser.FaceBoxStabiliser()
  time_us, place, moves = 0, np.array([100, 80, 120, 120]), 0
  for _ in range(5000):
    time_us += int(rng.choice([33_333, 41_000, 150_000, 1_200_000]))
    now = ctypes.c_int64(time_us)
    due = stages.rppg_face_box_is_due(state, now)
    assert due == stabiliser.is_detection_due(time_us)
    if rng.random() < 0.03:
      place = rng.integers([-40, -40, 40, 40], [400, 300, 300, 300])
    if due:
      found = rng.random() < 0.9
      box = tuple((place + rng.integers(-9, 10, 4)).tolist())
      stabiliser.update(box if found else None, time_us)
      stages.rppg_face_box_update(
        state, ctypes.byref(_Box(*box)) if found else None, now
      )
    held = stages.rppg_face_box_at(state, now)
    expected = stabiliser.box_at(time_us)
    assert bool(held) == (expected is not None)
    if expected:
      got = held.contents
      assert (got.x, got.y, got.w, got.h) == expected
      moves += 1
  assert moves > 1000


@pytest.mark.parametrize('steps_s', [(1 / 23,), (0.0, 0.02, 0.9), (1 / 30,)])
def test_grid_positions_are_those_of_python(stages, steps_s):
  rng = np.random.default_rng(7)
  state = _state(stages.timeline_bytes())
  stages.rppg_timeline_init(state)
  features = _state(stages.features_bytes())
  stream = resampling.GridStream()
  fraction = ctypes.c_float()
  elapsed_s, num_samples = 0.0, 0
  for _ in range(2000):
    chunk = stream.push(np.zeros((1, 1)), np.array([elapsed_s]))
    stages.rppg_timeline_push(state, features, ctypes.c_double(elapsed_s))
    got = []
    while stages.rppg_timeline_next(state, ctypes.byref(fraction)):
      got.append(fraction.value)
    np.testing.assert_array_equal(np.float32(got), chunk.fraction)
    num_samples += len(got)
    elapsed_s += float(rng.choice(steps_s))
  assert num_samples > 1000


def test_the_contract_is_reproducible_and_knows_both_geometries():
  text = render_contract()['rppg_contract.h']
  assert text == render_contract('inner')['rppg_contract.h']
  assert '{ 20, 45, 45, 80 }' in text
  assert '{ 5, 30, 35, 65 }' in render_contract('original')['rppg_contract.h']
  assert '#define RPPG_CODE_GAIN 1280.0f\n' in text
  with pytest.raises(ValueError, match=r"expected one of .* got 'other'"):
    render_contract('other')
