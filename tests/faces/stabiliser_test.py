"""A box that stands still out of detections that jitter."""

import numpy as np
import pytest

from rppg_tf.faces import stabiliser as face_stabiliser

_BOX = (300, 100, 200, 200)


def _settled(box=_BOX, interval_us=100_000):
  """A stabiliser after a second of the same detection; and its time."""
  stabiliser = face_stabiliser.FaceBoxStabiliser()
  time_us = 0
  for _ in range(10):
    stabiliser.update(box, time_us)
    time_us += interval_us
  return stabiliser, time_us


def _moved(box, dx=0, dy=0, dsize=0):
  x, y, width, height = box
  return (x + dx, y + dy, width + dsize, height + dsize)


def test_first_detection_is_used_at_once():
  stabiliser = face_stabiliser.FaceBoxStabiliser()
  assert stabiliser.is_detection_due(0)
  assert stabiliser.box_at(0) is None
  stabiliser.update(_BOX, 0)
  assert stabiliser.box_at(0) == _BOX


def test_jitter_in_still_box_out():
  random = np.random.default_rng(0)
  stabiliser = face_stabiliser.FaceBoxStabiliser()
  boxes = set()
  for step in range(500):
    dx, dy, dsize = random.integers(-8, 9, 3).tolist()  # 4 % of the width
    stabiliser.update(_moved(_BOX, dx, dy, dsize), step * 100_000)
    boxes.add(stabiliser.box_at(step * 100_000))
  assert len(boxes) == 1


@pytest.mark.parametrize(
  ('change', 'moves'),
  [
    ({'dx': 20}, False),  # exactly a tenth of the width
    ({'dx': 21}, True),
    ({'dx': -20}, False),
    ({'dx': -21}, True),
    ({'dy': 20}, False),
    ({'dy': 21}, True),
    # Size alone, the centre held: exactly an eighth, then more.
    ({'dx': -12, 'dy': -12, 'dsize': 25}, False),
    ({'dx': -13, 'dy': -13, 'dsize': 26}, True),
    ({'dx': 13, 'dy': 13, 'dsize': -26}, True),
  ],
)
def test_hysteresis(change, moves):
  stabiliser, time_us = _settled()
  other = _moved(_BOX, **change)
  for step in range(10):
    stabiliser.update(other, time_us + step * 100_000)
  expected = other if moves else _BOX
  assert stabiliser.box_at(time_us + 900_000) == expected


def test_step_is_followed_at_the_third_detection():
  stabiliser, time_us = _settled()
  other = _moved(_BOX, dx=60)
  boxes = []
  for step in range(4):
    stabiliser.update(other, time_us + step * 100_000)
    boxes.append(stabiliser.box_at(time_us + step * 100_000))
  assert boxes == [_BOX, _BOX, other, other]


def test_one_false_detection_changes_nothing():
  stabiliser, time_us = _settled()
  stabiliser.update((0, 0, 400, 400), time_us)
  stabiliser.update(_BOX, time_us + 100_000)
  assert stabiliser.box_at(time_us + 100_000) == _BOX


def test_detections_come_faster_while_unsettled():
  stabiliser, time_us = _settled()
  last_us = time_us - 100_000
  assert not stabiliser.is_detection_due(last_us + 499_999)
  assert stabiliser.is_detection_due(last_us + 500_000)
  stabiliser.update(_moved(_BOX, dx=60), time_us)
  assert not stabiliser.is_detection_due(time_us + 99_999)
  assert stabiliser.is_detection_due(time_us + 100_000)


def test_lost_face_is_held_for_one_second_and_looked_for_at_once():
  stabiliser, time_us = _settled()
  last_us = time_us - 100_000
  stabiliser.update(None, time_us)
  assert stabiliser.is_detection_due(time_us + 1)
  assert stabiliser.box_at(last_us + 1_000_000) == _BOX
  assert stabiliser.box_at(last_us + 1_000_001) is None
  # Back after long, hardly moved: the box is the same to the pixel.
  stabiliser.update(_moved(_BOX, dx=5), time_us + 5_000_000)
  assert stabiliser.box_at(time_us + 5_000_000) == _BOX
  # Back elsewhere: no old detection votes.
  other = _moved(_BOX, dx=100)
  stabiliser.update(other, time_us + 9_000_000)
  assert stabiliser.box_at(time_us + 9_000_000) == other
