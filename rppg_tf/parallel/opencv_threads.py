"""OpenCV's own threads, held back where frames are decoded on all cores."""

import contextlib
from collections.abc import Iterator

import cv2


@contextlib.contextmanager
def one_opencv_thread() -> Iterator[None]:
  """Keeps OpenCV from starting threads of its own beside ours."""
  num_threads = cv2.getNumThreads()
  cv2.setNumThreads(1)
  try:
    yield
  finally:
    cv2.setNumThreads(num_threads)
