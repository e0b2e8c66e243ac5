"""Worker processes that never outlive the process that they work for."""

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor


def process_pool(num_workers: int) -> ProcessPoolExecutor:
  """Returns a pool of fresh interpreters.

  A killed process cannot end its workers; these see it go, and end.

  Args:
    num_workers: at least 1.
  """
  return ProcessPoolExecutor(
    num_workers,
    mp_context=multiprocessing.get_context('spawn'),
    initializer=_end_with_parent,
  )


def _end_with_parent() -> None:
  threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
  parent = multiprocessing.parent_process()
  assert parent is not None
  parent.join()
  os._exit(1)
