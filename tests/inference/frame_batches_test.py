"""Batches of a video: the bytes of tfds build, of the largest face."""

import cv2
import numpy as np
import pytest
from skimage import data

from rppg_tf.data import recordings
from rppg_tf.inference import estimators, frame_batches
from rppg_tf.video import reader, timestamps
from tests.support import fake_recordings


def test_predict_sees_the_bytes_that_tfds_build_stores(tmp_path):
  folder = fake_recordings.write_recording(tmp_path / 'subject1', 391)
  video = reader.VideoReader(folder / 'vid.avi')
  (batch,) = frame_batches.cut_batches(
    timestamps.elapsed_times(video, 'vid.avi', print),
    'inner',
    'none',
    1000,
    print,
  )
  stored = recordings.read_recording(folder, 'inner')
  np.testing.assert_array_equal(
    batch.codes,
    estimators.with_codes(stored, 'none')['codes'],
  )
  assert len(batch.codes) == 391 and batch.face_found.all()


@pytest.mark.parametrize('since_s', [0, 2])
def test_of_two_faces_the_largest_is_measured_and_told_once(since_s):
  face = data.astronaut()[:320, 80:400, ::-1]
  large, small = cv2.resize(face, (240, 240)), cv2.resize(face, (130, 130))
  one = np.full((240, 400, 3), 127, np.uint8)
  one[:, :240] = large
  two = one.copy()
  two[50:180, 255:385] = small
  frames = [(two if n >= 2 * since_s else one, n / 2) for n in range(20)]
  told = []
  batches = frame_batches.cut_batches(
    frames, 'inner', 'normalise', 8, told.append
  )
  boxes = [batch.box for batch in batches]
  assert len(boxes) == 3
  assert all(x + width < 250 for x, _, width, _ in boxes)
  assert told == ['2 faces seen: the largest is measured']
