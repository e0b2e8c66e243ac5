"""What the C library does with memory that TensorFlow frees.

By default glibc gives large blocks back to Linux, which has to clear their
pages when the next step of a training asks for them again: 640,000 page faults
and 29 % of the CPU time of a step (CNN and pulse head, batch of 4;
`python -m tools.benchmark_steps`).
"""

import ctypes

# Numbers of glibc's malloc.h, and values; see mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_MAX_BYTES = (1 << 31) - 1
_OPTIONS = (
  # Large blocks are taken from the heap, and the heap is kept.
  (_M_MMAP_THRESHOLD, _MAX_BYTES),
  (_M_TRIM_THRESHOLD, _MAX_BYTES),
  # One for all threads: those of other threads cannot hold large blocks.
  (_M_ARENA_MAX, 1),
)


def keep_freed_memory() -> None:
  """Keeps memory that is freed for who asks next, in a process that trains.

  The process holds its peak until it ends. To be called before TensorFlow
  computes anything. Does nothing where the C library has no mallopt.
  """
  mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
  if mallopt is None:
    return
  for option, value in _OPTIONS:
    mallopt(option, value)
