"""Threads of predict: all items, in order, errors too, and the same bytes."""

import concurrent.futures
import itertools
import threading
import time

import numpy as np
import pytest
from skimage import data

from rppg_tf.errors import InputError
from rppg_tf.faces import motion, rois
from rppg_tf.inference import frame_batches
from rppg_tf.parallel import ordered_map, prefetch
from rppg_tf.video import mjpeg_writer, reader

_SIZE_PX = (320, 320)


@pytest.fixture(scope='module')
def moving_face(tmp_path_factory):
  """A face that slides, goes away and comes back; Motion-JPEG of 100 frames."""
  path = tmp_path_factory.mktemp('moving') / 'vid.avi'
  face = data.astronaut()[:320, 80:400, ::-1]
  frames = []
  for index in range(100):
    frame = np.roll(face, -index, axis=0) if index < 40 else face
    frames.append(np.full_like(face, 127) if 50 <= index < 85 else frame)
  with mjpeg_writer.MjpgWriter(path, 25.0, *_SIZE_PX, 90) as writer:
    for frame in frames:
      writer.write(np.ascontiguousarray(frame))
  return path


def _batches(frames, num_threads):
  return list(
    frame_batches.cut_batches(
      frames, 'inner', 'normalise', 7, lambda _: None, num_threads
    )
  )


def test_threads_and_parts_of_jpegs_give_the_bytes_of_whole_frames_in_one(
  moving_face,
):
  expected = _batches(list(reader.VideoReader(moving_face)), 1)
  found = np.concatenate([batch.face_found for batch in expected])
  assert 0 < found.sum() < 100
  assert len({batch.box for batch in expected}) > 2
  for num_threads in (1, 2, 5):
    stored = reader.VideoReader(moving_face).stored()
    got = _batches(stored, num_threads)
    assert len(got) == len(expected) == 15
    for batch, other in zip(got, expected, strict=True):
      for name in ('codes', 'colour', 'elapsed_s', 'face_found'):
        np.testing.assert_array_equal(
          getattr(batch, name), getattr(other, name)
        )
      assert batch.box == other.box
      np.testing.assert_array_equal(batch.frame.decode(), other.frame)


def test_few_rows_are_enough_for_a_face_near_the_top():
  random = np.random.default_rng(1)
  frame = random.integers(0, 256, (400, 300, 3), np.uint8)
  for box in ((40, 10, 200, 200), (-20, -90, 150, 180), (9, 300, 99, 170)):
    rows = frame[: max(rois.num_rows(box), 1)]
    for down in (0, 16 * box[2] // motion.REACH_DIVISOR):
      shift = motion.Shift(0, down)
      whole = rois.cut_face(frame, box, shift=shift)
      part = rois.cut_face(rows, box, shift=shift)
      np.testing.assert_array_equal(whole.rois, part.rois)
      np.testing.assert_array_equal(whole.mid_face_rgb, part.mid_face_rgb)
  # 95 % of the box, a quarter of its width, and a row that is taken in part.
  assert rois.num_rows((40, 10, 200, 200)) == 10 + 190 + 50 + 1


@pytest.mark.parametrize('num_threads', [1, 3])
def test_ordered_map_keeps_the_order_and_reads_only_a_little_ahead(num_threads):
  read, running = itertools.count(), set()

  def square(number):
    running.add(threading.get_ident())
    time.sleep(0.002 * (number % 3 == 0))
    return number * number

  def numbers():
    for _ in range(60):
      yield next(read)

  results = ordered_map.ordered_map(square, numbers(), num_threads)
  assert next(results) == 0
  assert next(read) <= 4 * num_threads
  read = itertools.count(1)
  assert list(results)[:3] == [1, 4, 9]
  assert (threading.get_ident() in running) == (num_threads == 1)
  assert len(running) <= num_threads


def test_ordered_map_begins_no_more_than_it_is_told_and_leaves_the_pool():
  begun = []
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    results = ordered_map.ordered_map(begun.append, range(9), 2, pool, 3)
    next(results)
    assert len(begun) <= 3
    results.close()
    assert len(begun) <= 3
    assert pool.submit(len, begun).result() == len(begun)


@pytest.mark.parametrize('num_threads', [1, 3])
@pytest.mark.parametrize('place', ['items', 'function'])
def test_ordered_map_raises_after_the_results_before(num_threads, place):
  def items():
    yield from range(20)
    if place == 'items':
      raise InputError('broken')
    yield -1
    yield from range(20)

  def check(number):
    if number < 0:
      raise InputError('broken')
    return number

  got = []
  with pytest.raises(InputError, match='broken'):
    for number in ordered_map.ordered_map(check, items(), num_threads):
      got.append(number)
  assert got == list(range(20))


def test_a_stage_ahead_gives_all_and_then_raises():
  def items():
    yield from range(50)
    raise InputError('broken')

  got = []
  with pytest.raises(InputError, match='broken'):
    for item in prefetch.ahead(items(), 4):
      got.append(item)
  assert got == list(range(50))


def test_a_stage_ahead_ends_when_nobody_listens():
  closed = []

  def items():
    try:
      while True:
        yield 1
    finally:
      closed.append(True)

  stage = prefetch.ahead(items(), 2)
  next(stage)
  stage.close()
  deadline = time.monotonic() + 10
  while not closed and time.monotonic() < deadline:
    time.sleep(0.01)
  assert closed
