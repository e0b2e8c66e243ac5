"""Memory that is freed is there for who asks next, its pages with it."""

import subprocess
import sys

from tests import commands

# A block is filled, freed and filled again; how many pages Linux had to give
# for the second time.
_SCRIPT = """
import ctypes
import resource
import sys

from rppg_tf import allocator

if sys.argv[1:] == ['keep']:
  allocator.keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
num_bytes = 100 << 20


def fill():
  block = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(num_bytes)))
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  libc.memset(block, 1, ctypes.c_size_t(num_bytes))
  after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  libc.free(block)
  return after - before


fill()
print(fill())
"""


def _faults(*words):
  done = subprocess.run(
    [sys.executable, '-c', _SCRIPT, *words],
    cwd=commands.ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  return int(done.stdout)


def test_a_block_that_was_freed_costs_no_page_again():
  assert _faults() >= 50  # 2 MB each at most
  assert _faults('keep') == 0
