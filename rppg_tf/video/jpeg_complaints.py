"""What libjpeg says of a damaged JPEG: told to the caller, not to stderr.

libjpeg prints `Corrupt JPEG data: ...` on C's stderr, decodes on, and OpenCV
returns a picture of which a part is grey or out of place. C's `stderr` is a
variable: while JPEGs are decoded it is a stream of our own (glibc's
fopencookie), whose lines come to us in the thread that decodes. File
descriptor 2 and Python's sys.stderr are left alone, and lines of other threads
go where they would have gone. With another C library nothing is heard, and the
lines go to stderr.
"""

import contextlib
import ctypes
import functools
import os
import platform
import re
import threading
from collections.abc import Iterator

_UNBUFFERED = 2  # _IONBF of stdio.h
# Cameras pad their JPEGs with a few bytes, which harm nothing.
_MAX_PADDING_BYTES = 16
_PADDING = re.compile(rb'(\d+) extraneous bytes before marker 0xd9')

_WRITE = ctypes.CFUNCTYPE(
  ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t
)
_own = threading.local()
_lock = threading.Lock()
_num_listening = 0


class _Functions(ctypes.Structure):
  """cookie_io_functions_t of stdio.h."""

  _fields_ = (
    ('read', ctypes.c_void_p),
    ('write', _WRITE),
    ('seek', ctypes.c_void_p),
    ('close', ctypes.c_void_p),
  )


@contextlib.contextmanager
def heard() -> Iterator[list[bytes]]:
  """Yields a list that gets what this thread's libjpeg complains of."""
  _own.complaints = complaints = []
  _listen(1)
  try:
    yield complaints
  finally:
    _listen(-1)
    _own.complaints = None


def is_damage(complaint: bytes) -> bool:
  """Whether a picture with this complaint is not as it was taken."""
  padding = _PADDING.search(complaint)
  return padding is None or int(padding[1]) > _MAX_PADDING_BYTES


@_WRITE
def _take(_, text: int, num_bytes: int) -> int:
  complaints = getattr(_own, 'complaints', None)
  said = ctypes.string_at(text, num_bytes)
  if complaints is None:
    os.write(2, said)
  else:
    complaints.append(said)
  return num_bytes


def _listen(change: int) -> None:
  """Puts our stream in place for the first listener, away after the last."""
  global _num_listening
  with _lock:
    streams = _streams()
    if streams is None:
      return
    variable, ours, real = streams
    _num_listening += change
    variable.value = ours if _num_listening else real


@functools.cache
def _streams() -> tuple[ctypes.c_void_p, int, int | None] | None:
  """C's variable `stderr`, our stream and the real one; None without glibc."""
  if platform.libc_ver()[0] != 'glibc':
    return None
  libc = ctypes.CDLL(None)
  libc.fopencookie.restype = ctypes.c_void_p
  libc.fopencookie.argtypes = ctypes.c_void_p, ctypes.c_char_p, _Functions
  libc.setvbuf.argtypes = (
    *(ctypes.c_void_p, ctypes.c_char_p),
    *(ctypes.c_int, ctypes.c_size_t),
  )
  ours = libc.fopencookie(None, b'w', _Functions(write=_take))
  libc.setvbuf(ours, None, _UNBUFFERED, 0)
  variable = ctypes.c_void_p.in_dll(libc, 'stderr')
  return variable, ours, variable.value
