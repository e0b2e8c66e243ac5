"""A function over a stream of items by several threads, results in order."""

import concurrent.futures
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')

# Items begun per thread: no thread is to wait while one item takes longer, or
# while the caller makes the next one, as long as eight take.
_BEGUN_PER_THREAD = 4


def ordered_map(
  function: Callable[[Item], Result],
  items: Iterable[Item],
  num_threads: int,
  pool: concurrent.futures.Executor | None = None,
) -> Iterator[Result]:
  """Yields function(item) of each item, in the order of the items.

  What is raised by `items` or by `function` is raised here, after the results
  before it. Closing this iterator waits for what has been begun.

  Args:
    function: called by several threads at a time; of use only if it lets go
      of Python's lock, as OpenCV does.
    items: read by the caller's thread, a few more than have been yielded.
    num_threads: at least 1; with 1 and no pool there is no other thread at
      all.
    pool: whose threads, num_threads of them, others use too; None for threads
      of its own.
  """
  if num_threads == 1 and pool is None:
    yield from map(function, items)
    return
  items = iter(items)
  error = None
  begun: deque[concurrent.futures.Future[Result]] = deque()
  if pool is None:
    own = concurrent.futures.ThreadPoolExecutor(num_threads)
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
      if len(begun) == _BEGUN_PER_THREAD * num_threads:
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
