"""A stage of a pipeline in a thread of its own."""

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar('Item')

# How often a stage that nobody listens to any more looks whether that is so.
_POLL_S = 0.05


class _End:
  """Comes after the last item; holds what the stage raised, if anything."""

  def __init__(self, error: BaseException | None = None):
    self.error = error


def ahead(items: Iterator[Item], depth: int) -> Iterator[Item]:
  """Yields `items`, made by a thread that is up to `depth` of them ahead.

  What the thread raises is raised here, after the items before it. Closing
  this iterator ends the thread, and closes `items` if it is a generator.

  Args:
    items: used by the thread alone from now on.
    depth: items that may wait; at least 1.
  """
  waiting: queue.Queue = queue.Queue(depth)
  stopped = threading.Event()
  worker = threading.Thread(
    # A camera that hangs must not keep the program from ending.
    target=_work,
    args=(items, waiting, stopped),
    daemon=True,
  )
  worker.start()
  try:
    while not isinstance(item := waiting.get(), _End):
      yield item
    if item.error is not None:
      raise item.error
  finally:
    stopped.set()


def _work(
  items: Iterator, waiting: queue.Queue, stopped: threading.Event
) -> None:
  end = _End()
  try:
    for item in items:
      if not _put(waiting, item, stopped):
        break
  except BaseException as error:
    end = _End(error)
  finally:
    close = getattr(items, 'close', None)
    if close is not None:
      close()
  _put(waiting, end, stopped)


def _put(waiting: queue.Queue, item: object, stopped: threading.Event) -> bool:
  """Puts when there is room; False if nobody listens any more."""
  while not stopped.is_set():
    try:
      waiting.put(item, timeout=_POLL_S)
      return True
    except queue.Full:
      continue
  return False
