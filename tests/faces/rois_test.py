import itertools
import math
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from rppg_tf.faces import rois as face_rois
from rppg_tf.faces import stabiliser

_REAL_VIDEO = Path(__file__).parents[3] / 'shared' / 'real_video'
_BOX = (300, 100, 200, 200)


def _overlap_weights(num_source, num_target=36):
  """Integer weights (target, source) of the documented area mean."""
  source = np.arange(num_source)
  target = np.arange(num_target)[:, None]
  return np.maximum(
    0,
    np.minimum(num_target * (source + 1), num_source * (target + 1))
    - np.maximum(num_target * source, num_source * target),
  )


@pytest.mark.slow
def test_does_not_import_tensorflow():
  code = (
    'import sys, rppg_tf.faces.rois, rppg_tf.data.recordings; '
    "sys.exit('tensorflow' in sys.modules)"
  )
  assert subprocess.run([sys.executable, '-c', code]).returncode == 0


class _ScriptedDetector:
  """Gives one box until a frame is black; counts its calls."""

  def __init__(self):
    self.num_calls = 0

  def find(self, frame, tracked=None):
    self.num_calls += 1
    return (40, 20, 100, 100) if frame.any() else None


@pytest.mark.parametrize('rate_hz', [23, 30, 60])
def test_extractor_schedule_and_loss(rate_hz):
  detector = _ScriptedDetector()
  extractor = face_rois.FaceRoiExtractor(detector=detector)
  seen = np.full((160, 200, 3), 90, np.uint8)
  num_seen = 10 * rate_hz
  for frame in range(num_seen):
    assert extractor.process(seen, frame / rate_hz).face_found
  # Every 0.5 s whatever the rate, and five in the first half second.
  assert 20 <= detector.num_calls <= 27
  black = np.zeros_like(seen)
  found = []
  for frame in range(num_seen, num_seen + 2 * rate_hz):
    result = extractor.process(black, frame / rate_hz)
    found.append(result.face_found)
    if not result.face_found:
      assert result.box is None
      assert not result.rois.any()
      assert not result.mid_face_rgb.any()
  assert found == sorted(found, reverse=True)
  assert 0.4 * rate_hz <= sum(found) <= rate_hz


def test_the_box_goes_with_the_head():
  random = np.random.default_rng(0)
  soft = cv2.resize(random.uniform(0, 255, (20, 25, 3)), (200, 160))
  scene = np.clip(soft, 0, 255).astype(np.uint8)
  extractor = face_rois.FaceRoiExtractor(detector=_ScriptedDetector())
  for shift in range(0, 12, 2):
    frame = np.roll(scene, (shift // 2, shift), axis=(0, 1))
    result = extractor.process(frame, shift / 60)
    assert result.box == (40 + shift, 20 + shift // 2, 100, 100)
    rois, mean = face_rois.cut_rois(scene, (40, 20, 100, 100))
    np.testing.assert_array_equal(result.rois, rois)
    np.testing.assert_allclose(result.mid_face_rgb, mean, atol=0.2)


def test_extractor_accepts_repeated_times_and_rejects_decreasing():
  extractor = face_rois.FaceRoiExtractor(detector=_ScriptedDetector())
  frame = np.full((160, 200, 3), 90, np.uint8)
  extractor.process(frame, 1.0)
  extractor.process(frame, 1.0)
  with pytest.raises(ValueError, match='must not decrease'):
    extractor.process(frame, 0.9)
  with pytest.raises(ValueError, match='finite'):
    extractor.process(frame, math.nan)


def test_bad_arguments():
  with pytest.raises(ValueError, match='roi_geometry must be one of'):
    face_rois.FaceRoiExtractor('outer')
  with pytest.raises(ValueError, match='frame must be uint8'):
    face_rois.cut_rois(np.zeros((10, 10), np.uint8), (0, 0, 5, 5))
  with pytest.raises(ValueError, match='frame must be uint8'):
    face_rois.cut_rois(np.zeros((10, 10, 3), np.float32), (0, 0, 5, 5))


@pytest.mark.parametrize(
  ('geometry', 'expected'),
  [
    # x0, x1, y0, y1 of the 200 pixel box at (300, 100).
    (
      'inner',
      [(350, 450, 120, 160), (340, 390, 190, 260), (410, 460, 190, 260)],
    ),
    (
      'original',
      [(340, 460, 110, 150), (310, 360, 170, 230), (440, 490, 170, 230)],
    ),
  ],
)
def test_roi_bounds(geometry, expected):
  bounds = [
    face_rois.roi_bounds_px(_BOX, percent, 640, 480)
    for percent in face_rois.ROI_GEOMETRIES_PERCENT[geometry]
  ]
  assert bounds == expected


def test_roi_bounds_round_half_up_and_clip():
  # 10 * .25 = 2.5 -> 3 and 10 * .75 = 7.5 -> 8; 1 and 3 are exact.
  assert face_rois.roi_bounds_px(
    (0, 0, 10, 10), (25, 75, 10, 30), 640, 480
  ) == (3, 8, 1, 3)
  assert face_rois.roi_bounds_px(
    (-60, 400, 200, 200), (20, 80, 10, 90), 640, 480
  ) == (0, 100, 420, 480)


def test_rois_are_rgb_and_in_order():
  frame = np.zeros((480, 640, 3), np.uint8)
  frame[120:160, 350:450] = (10, 20, 30)  # BGR
  frame[190:260, 340:390] = (40, 50, 60)
  frame[190:260, 410:460] = (70, 80, 90)
  rois, mean = face_rois.cut_rois(frame, _BOX)
  assert rois.shape == (3, 36, 36, 3)
  assert rois.dtype == np.uint8
  for roi, rgb in zip(
    rois, [(30, 20, 10), (60, 50, 40), (90, 80, 70)], strict=True
  ):
    np.testing.assert_array_equal(roi, np.broadcast_to(rgb, (36, 36, 3)))
  mid_face = frame[120:280, 340:460, ::-1].astype(np.float64)
  assert mean.dtype == np.float32
  np.testing.assert_array_equal(mean, mid_face.mean((0, 1)).astype(np.float32))


def test_region_outside_of_the_image_is_zero():
  frame = np.full((480, 640, 3), 200, np.uint8)
  rois, mean = face_rois.cut_rois(frame, (620, 100, 200, 200))
  assert not rois.any()
  assert not mean.any()
  # Half outside: what is inside fills the patch.
  rois, _ = face_rois.cut_rois(frame, (540, 100, 200, 200))
  assert (rois[0] == 200).all()
  assert not rois[2].any()


@pytest.mark.parametrize(
  ('height_px', 'width_px'),
  [
    (36, 36),
    (72, 108),
    (40, 100),
    (85, 61),
    (22, 55),
    (55, 22),
    (7, 9),
    (1, 1),
  ],
)
def test_resize_is_the_documented_integer_mean(height_px, width_px):
  random = np.random.default_rng(0)
  patch = random.integers(0, 256, (height_px, width_px, 3)).astype(np.uint8)
  total = np.einsum(
    'ah,bw,hwc->abc',
    _overlap_weights(height_px),
    _overlap_weights(width_px),
    patch.astype(np.int64),
  )
  area = height_px * width_px
  rounded = (2 * total + area) // (2 * area)
  resized = face_rois.resize_by_area(patch).astype(np.int64)
  # OpenCV rounds halves to even, and by float32: one level at most, there.
  assert np.abs(resized - rounded).max() <= 1
  assert np.mean(resized != rounded) < 0.1


def test_resize_equals_opencv_where_that_averages():
  patch = np.random.default_rng(1).integers(0, 256, (50, 90, 3))
  patch = patch.astype(np.uint8)
  np.testing.assert_array_equal(
    face_rois.resize_by_area(patch),
    cv2.resize(patch, (36, 36), interpolation=cv2.INTER_AREA),
  )


@pytest.mark.skipif(
  not _REAL_VIDEO.is_dir(), reason=f'{_REAL_VIDEO} is not there'
)
@pytest.mark.parametrize(
  ('name', 'min_share', 'max_share'),
  [('talking_face_640x360_24fps.mp4', 0.99, 1.0), ('no_face.mp4', 0.0, 0.0)],
)
def test_real_video(name, min_share, max_share):
  from rppg_tf.video.reader import VideoReader

  extractor = face_rois.FaceRoiExtractor()
  found, boxes = [], []
  for frame_bgr, time_s in VideoReader(_REAL_VIDEO / name):
    result = extractor.process(frame_bgr, time_s)
    found.append(result.face_found)
    boxes.append(result.box)
  assert len(found) > 90
  assert min_share <= np.mean(found) <= max_share
  # 20 s of lively talking: the box may step to another size now and then;
  # else it goes with the head, by less in a frame than makes the box step.
  pairs = [pair for pair in itertools.pairwise(boxes) if None not in pair]
  steps = sum(box[2:] != last[2:] for last, box in pairs)
  assert steps <= 15
  for last, box in pairs:
    if box[2:] == last[2:]:
      moved = np.abs(np.subtract(box[:2], last[:2])).max()
      assert moved <= box[2] / stabiliser.MOVE_DIVISOR
