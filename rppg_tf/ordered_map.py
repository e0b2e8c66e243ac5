"""A function over a stream of items by several threads, results in order."""

import concurrent.futures
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')

# Items begun per thread: one that takes longer then keeps no thread waiting.
_BEGUN_PER_THREAD = 2


def ordered_map(
  function: Callable[[Item], Result], items: Iterable[Item], num_threads: int
) -> Iterator[Result]:
  """Yields function(item) of each item, in the order of the items.

  What is raised by `items` or by `function` is raised here, after the results
  before it. Closing this iterator waits for what has been begun.

  Args:
    function: called by several threads at a time; of use only if it lets go
      of Python's lock, as OpenCV does.
    items: read by the caller's thread, a few more than have been yielded.
    num_threads: at least 1; with 1 there is no other thread at all.
  """
  if num_threads == 1:
    yield from map(function, items)
    return
  items = iter(items)
  error = None
  begun: deque[concurrent.futures.Future[Result]] = deque()
  with concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
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
