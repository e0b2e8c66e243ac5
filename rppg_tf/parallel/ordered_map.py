"""A function over a stream of items by several workers, results in order."""

import concurrent.futures
import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')

# Items begun per worker: none is to wait while one item takes longer, or while
# the caller makes the next one, as long as eight take.
_BEGUN_PER_WORKER = 4


def ordered_map(
  function: Callable[[Item], Result],
  items: Iterable[Item],
  num_workers: int,
  pool: concurrent.futures.Executor | None = None,
  num_begun: int | None = None,
) -> Generator[Result, None, None]:
  """Yields function(item) of each item, in the order of the items.

  What is raised by `items` or by `function` is raised here, after the results
  before it. Closing this iterator waits for what has been begun.

  Args:
    function: called by several workers at a time; threads are of use only if
      it lets go of Python's lock, as OpenCV does.
    items: read by the caller's thread, a few more than have been yielded.
    num_workers: at least 1; with 1 and no pool there is no other thread at
      all.
    pool: of threads or processes, num_workers of them, which others may use
      too; None for threads of its own.
    num_begun: items and results held at a time, the one that was yielded last
      included; None for four times num_workers.
  """
  if num_workers == 1 and pool is None:
    yield from map(function, items)
    return
  num_begun = num_begun or _BEGUN_PER_WORKER * num_workers
  items = iter(items)
  error = None
  begun: deque[concurrent.futures.Future[Result]] = deque()
  if pool is None:
    own = concurrent.futures.ThreadPoolExecutor(num_workers)
  else:
    own = contextlib.nullcontext(pool)
  with own as pool, _all_ended(begun):
    while True:
      try:
        item = next(items)
      except StopIteration:
        break
      except Exception as raised:
        error = raised
        break
      begun.append(pool.submit(function, item))
      if len(begun) == num_begun:
        yield begun.popleft().result()
    while begun:
      yield begun.popleft().result()
  if error is not None:
    raise error


@contextlib.contextmanager
def _all_ended(begun: deque[concurrent.futures.Future]) -> Iterator[None]:
  """Leaves nothing of what was begun to a pool that lives on."""
  try:
    yield
  finally:
    for future in begun:
      future.cancel()
    concurrent.futures.wait(begun)
