import cv2
import numpy as np
import pytest
from skimage import data

from rppg_tf.faces import detector as face_detector


def test_detector_takes_the_largest_face():
  astronaut = data.astronaut()[:320, 80:400, ::-1]
  frame = np.full((480, 700, 3), 127, np.uint8)
  frame[0:280, 0:280] = cv2.resize(astronaut, (280, 280))
  frame[60:460, 290:690] = cv2.resize(astronaut, (400, 400))
  box = face_detector.FaceDetector().find(frame)
  assert box[0] > 290
  # Tracking the small one does not hide the larger one.
  small = (100, 100, 70, 70)
  assert face_detector.FaceDetector().find(frame, small) == box
  # A face much smaller than the tracked one is found all the same.
  frame[60:460, 290:690] = 127
  large = (340, 110, 300, 300)
  assert face_detector.FaceDetector().find(frame, large)[0] < 280


def _face(side_px):
  face = data.astronaut()[:320, 80:400, ::-1]
  return cv2.resize(face, (side_px, side_px))


@pytest.mark.parametrize('scale', [1, 2])
def test_detector_looks_near_the_face_in_view(scale):
  frame = np.full((400 * scale, 640 * scale, 3), 127, np.uint8)
  frame[: 240 * scale, : 240 * scale] = _face(240 * scale)
  detector = face_detector.FaceDetector()
  box = detector.find(frame)
  # A larger one comes in, and is seen when it is looked for everywhere.
  frame[: 370 * scale, 250 * scale : 620 * scale] = _face(370 * scale)
  for _ in range(face_detector.MAX_NEAR_LOOKS):
    near = detector.find(frame, box)
    np.testing.assert_allclose(near, box, atol=0.05 * box[2])
  other = detector.find(frame, box)
  assert other[0] > 250 * scale
  assert detector.num_faces == 2
  # Looked for everywhere until it is the one in view, then near it.
  assert detector.find(frame, box) == other
  for _ in range(3):
    near = detector.find(frame, other)
    np.testing.assert_allclose(near, other, atol=0.05 * other[2])
  # What has left its surroundings is found elsewhere, at once.
  frame = np.roll(frame[:, ::-1], 1, axis=0)
  assert detector.find(frame, other) is not None
  assert detector.find(np.full_like(frame, 127), other) is None
  assert detector.find(frame, (9999, 0, 90, 90)) is not None
