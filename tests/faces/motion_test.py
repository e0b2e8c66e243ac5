"""Following a head inside its box: known shifts, walls, edges, exact means."""

import cv2
import numpy as np
import pytest

from rppg_tf.faces import motion as face_motion

_BOX = (200, 150, 170, 180)
_SIZE = (640, 480)


def _scene(seed: int = 0) -> np.ndarray:
  """Float32 (480, 640, 3), soft blobs as large as features of a face."""
  noise = np.random.default_rng(seed).uniform(0, 255, (480, 640, 3))
  soft = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 8)
  return cv2.normalize(soft, None, 20, 235, cv2.NORM_MINMAX)


def _moved(scene: np.ndarray, x: float, y: float, seed: int = 0) -> np.ndarray:
  """The scene moved by x to the right and y down, with a camera's noise."""
  matrix = np.float32([[1, 0, x], [0, 1, y]])
  frame = cv2.warpAffine(scene, matrix, _SIZE, borderMode=cv2.BORDER_REFLECT)
  frame += np.random.default_rng(seed).normal(0, 1.5, frame.shape)
  return np.clip(np.rint(frame), 0, 255).astype(np.uint8)


def test_a_path_is_followed_to_a_fraction_of_a_pixel():
  scene, motion = _scene(), face_motion.FaceMotion()
  for index in range(60):
    # Up to 5 pixels a frame, and 25 in all.
    x, y = 25 * np.sin(index / 5), 15 * (1 - np.cos(index / 4))
    found = motion.push(_moved(scene, x, y, index), _BOX)
    assert abs(found.x / 16 - x) < 0.4, index
    assert abs(found.y / 16 - y) < 0.4, index


def test_brighter_is_not_moved():
  scene, motion = _scene(), face_motion.FaceMotion()
  motion.push(_moved(scene, 0, 0), _BOX)
  found = motion.push(_moved(1.08 * scene - 4, 0, 0, 1), _BOX)
  assert abs(found.x) <= 2 and abs(found.y) <= 2


def test_a_new_box_begins_anew_and_no_box_forgets():
  scene, motion = _scene(), face_motion.FaceMotion()
  motion.push(_moved(scene, 0, 0), _BOX)
  assert motion.push(_moved(scene, 4, 0), _BOX).x > 48
  other = (204, *_BOX[1:])
  assert motion.push(_moved(scene, 4, 0), other) == face_motion.STILL
  assert motion.push(_moved(scene, 8, 0), None) == face_motion.STILL
  assert motion.push(_moved(scene, 8, 0), other) == face_motion.STILL


def test_a_wall_and_darkness_stand_still():
  for level in (0, 140):
    motion = face_motion.FaceMotion()
    frame = np.full((480, 640, 3), level, np.uint8)
    for _ in range(3):
      assert motion.push(frame, _BOX) == face_motion.STILL


def test_a_box_that_reaches_out_of_the_image_keeps_its_place():
  scene = _scene()
  for box in ((500, 150, 170, 180), (-1, 150, 170, 180), (200, 330, 170, 180)):
    motion = face_motion.FaceMotion()
    for x in (0, 3, 6):
      assert motion.push(_moved(scene, x, 0), box) == face_motion.STILL, box
  # At the edge it stays where it was last found: 5 pixels are left there.
  motion, box = face_motion.FaceMotion(), (465, 150, 170, 180)
  motion.push(_moved(scene, 0, 0), box)
  held = motion.push(_moved(scene, 4, 0), box)
  assert abs(held.x - 64) <= 6
  for x in (8, 12, 16):
    assert motion.push(_moved(scene, x, 0), box).x <= 9 * 16


def test_reach_is_a_quarter_of_the_width():
  scene, motion = _scene(), face_motion.FaceMotion()
  reached = [motion.push(_moved(scene, 4.0 * n, 0), _BOX).x for n in range(20)]
  assert max(reached) == 170 * 16 // 4


@pytest.mark.parametrize('box', [(10, 10, 7, 30), (10, 10, 30, 7)])
def test_faces_of_a_few_pixels_do_not_matter(box):
  motion = face_motion.FaceMotion()
  for x in (0, 1):
    assert motion.push(_moved(_scene(), x, 0), box) == face_motion.STILL


def test_mean_colour_between_pixels():
  frame = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
  bounds = (10, 30, 5, 25)
  for x, y in ((0, 0), (5, -3), (-7, 16), (16 * 40, 0), (-16 * 20, -16 * 15)):
    found = face_motion.mean_rgb(frame, bounds, face_motion.Shift(x, y))
    fine = frame.repeat(16, axis=0).repeat(16, axis=1)
    x0, x1 = (np.clip(16 * side + x, 0, 960) for side in bounds[:2])
    y0, y1 = (np.clip(16 * side + y, 0, 640) for side in bounds[2:])
    expected = fine[y0:y1, x0:x1].mean((0, 1))[::-1]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_mean_colour_of_a_sliver_and_of_nothing():
  frame = np.full((40, 60, 3), (10, 20, 30), np.uint8)
  for bounds in ((59, 80, 39, 60), (-5, 1, -5, 1)):
    found = face_motion.mean_rgb(frame, bounds, face_motion.Shift(3, 2))
    np.testing.assert_array_equal(found, (30, 20, 10))
  shift = face_motion.Shift(16, 0)
  outside = face_motion.mean_rgb(frame, (59, 80, 0, 9), shift)
  np.testing.assert_array_equal(outside, (0, 0, 0))


def test_whole_pixels_are_rounded_half_up():
  for sixteenths, pixels in ((0, 0), (7, 0), (8, 1), (-8, 0), (-9, -1)):
    assert face_motion.Shift(sixteenths, 0).whole() == (pixels, 0)
