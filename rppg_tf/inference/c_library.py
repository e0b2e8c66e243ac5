"""The emitted head's C source, compiled into a library that NumPy calls."""

import contextlib
import ctypes
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile

import numpy as np

from rppg_tf import run_directory
from rppg_tf.errors import InputError

_COMPILER = 'cc'

_FLAGS = (
  '-std=c99',
  # The bits of -O2, as fast, in two thirds of the compiler's time: predict's
  # first frame waits for it.
  '-O1',
  # As on the board: no multiply-add but those that the source asks for.
  '-ffp-contract=off',
  '-shared',
  '-fPIC',
)

# Libraries of other heads that are kept: 50 kB each.
_MAX_KEPT = 16

# The loop over frames, in C because ctypes takes longer than a push.
_DRIVER = """\
#include <stddef.h>
#include "temporal_head.h"

int32_t head_num_features(void) { return TEMPORAL_HEAD_NUM_FEATURES; }
int32_t head_window_samples(void) { return TEMPORAL_HEAD_WINDOW_SAMPLES; }
int32_t head_is_pulse_head(void) { return TEMPORAL_HEAD_IS_PULSE_HEAD; }
float head_input_scale(void) { return TEMPORAL_HEAD_INPUT_SCALE; }
int32_t head_input_zero_point(void) { return TEMPORAL_HEAD_INPUT_ZERO_POINT; }

typedef struct {
  temporal_head_state_t head;
  int32_t until_next; /* samples before the next estimate */
} stream_t;

size_t head_stream_bytes(void) { return sizeof(stream_t); }

void head_stream_init(stream_t *stream) {
  temporal_head_init(&stream->head);
  stream->until_next = TEMPORAL_HEAD_WINDOW_SAMPLES;
}

/* Pushes every grid sample; estimates at the first sample that is possible
 * and every `stride` samples after it. Returns the first bad status, or OK.
 */
int32_t head_stream_push(stream_t *stream, const int16_t *codes,
                         const int32_t *older, const int32_t *newer,
                         const float *fraction, int32_t num_samples,
                         int32_t stride, float *pulse, float *heart_rate_bpm,
                         float *confidence) {
  temporal_head_estimate_t estimate;
  for (int32_t sample = 0; sample < num_samples; ++sample) {
    temporal_head_status_t status = temporal_head_push(
        &stream->head,
        codes + (size_t)older[sample] * TEMPORAL_HEAD_NUM_FEATURES,
        codes + (size_t)newer[sample] * TEMPORAL_HEAD_NUM_FEATURES,
        fraction[sample]);
    if (status != TEMPORAL_HEAD_OK) return (int32_t)status;
    pulse[sample] = temporal_head_pulse(&stream->head);
    if (--stream->until_next > 0) continue;
    stream->until_next = stride;
    status = temporal_head_estimate(&stream->head, &estimate);
    if (status != TEMPORAL_HEAD_OK) return (int32_t)status;
    *heart_rate_bpm++ = estimate.heart_rate_bpm;
    *confidence++ = estimate.confidence;
  }
  return TEMPORAL_HEAD_OK;
}
"""


# Compiles wherever there are a C compiler and the C library's headers. macOS
# without its developer tools has a `cc` that only says so.
_PROBE = """\
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
int32_t probe(void) { return 0; }
"""


class NoCompilerError(InputError):
  """There is no C compiler on this machine whose libraries load here."""


def _array_of(dtype):
  return np.ctypeslib.ndpointer(dtype, flags='C_CONTIGUOUS')


def load(c_dir: pathlib.Path) -> ctypes.CDLL:
  """Loads the head and its driver, compiled now or at an earlier time.

  Raises:
    NoCompilerError: no C compiler, or none that works.
    InputError: the source does not compile.
    FileNotFoundError: there is no source.
  """
  source = c_dir / run_directory.HEAD_SOURCE
  if not source.is_file():
    raise FileNotFoundError(
      f'{source}: not there; run `python -m tools.emit_temporal_head` in a '
      'checkout first'
    )
  compiler = shutil.which(_COMPILER)
  if compiler is None:
    raise NoCompilerError(
      f'no C compiler: {_COMPILER!r} is not on PATH; install gcc or clang'
    )
  kept = _kept_library(c_dir, compiler)
  # Not there, or of no use: compiled again.
  with contextlib.suppress(OSError):
    return _declare(ctypes.CDLL(os.fspath(kept)))
  with _temporary_folder(kept.parent) as folder:
    library = _compile(c_dir, compiler, pathlib.Path(folder))
    # The loaded library outlives its file.
    try:
      loaded = _declare(ctypes.CDLL(os.fspath(library)))
    except OSError as error:
      raise NoCompilerError(
        f'{compiler}: its libraries do not load here ({error}); install the '
        'gcc or clang of this machine'
      ) from None
    # Who cannot write there pays for the compiler each time.
    with contextlib.suppress(OSError):
      library.rename(kept)
      _remove_old(kept.parent)
  return loaded


def _kept_library(c_dir: pathlib.Path, compiler: str) -> pathlib.Path:
  """Where the library of these very sources, by this compiler, is kept."""
  found = os.stat(compiler)
  parts = [
    (c_dir / run_directory.HEAD_SOURCE).read_bytes(),
    (c_dir / run_directory.HEAD_HEADER).read_bytes(),
    repr((_DRIVER, _FLAGS, platform.machine())).encode(),
    repr((os.path.realpath(compiler), found.st_size, found.st_mtime)).encode(),
  ]
  digest = hashlib.sha256(b'\0'.join(parts)).hexdigest()
  home = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
  return pathlib.Path(home) / 'rppg_tf' / f'temporal_head_{digest[:32]}.so'


def _temporary_folder(beside: pathlib.Path) -> tempfile.TemporaryDirectory:
  """A folder that goes away, in `beside` if that can be written."""
  try:
    beside.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Windows does not remove a library while it is loaded.
    return tempfile.TemporaryDirectory(dir=beside, ignore_cleanup_errors=True)
  except OSError:
    return tempfile.TemporaryDirectory(ignore_cleanup_errors=True)


def _remove_old(folder: pathlib.Path) -> None:
  """Leaves the libraries that were compiled last."""
  kept = sorted(folder.glob('*.so'), key=lambda path: path.stat().st_mtime)
  for library in kept[:-_MAX_KEPT]:
    library.unlink(missing_ok=True)


def _compile(
  c_dir: pathlib.Path, compiler: str, folder: pathlib.Path
) -> pathlib.Path:
  """Compiles the head and its driver into a library in `folder`."""
  driver, library = folder / 'driver.c', folder / 'temporal_head.so'
  driver.write_text(_DRIVER)
  source = c_dir / run_directory.HEAD_SOURCE
  failure = _failure(compiler, library, f'-I{c_dir}', driver, source)
  if failure is None:
    return library
  driver.write_text(_PROBE)
  reason = _failure(compiler, library, driver)
  if reason is not None:
    raise NoCompilerError(
      f'{compiler}: compiles nothing here ({reason}); install gcc or clang'
    )
  raise InputError(
    f'{source}: does not compile ({failure}); emit the head again'
  )


def _failure(
  compiler: str, library: pathlib.Path, *words: str | pathlib.Path
) -> str | None:
  """Compiles into a library; returns what went wrong, in a line, or None."""
  command = [compiler, *_FLAGS, *map(str, words), '-o', str(library), '-lm']
  try:
    done = subprocess.run(
      command, capture_output=True, text=True, errors='replace'
    )
  except OSError as error:
    return str(error)
  if not done.returncode:
    return None
  lines = done.stderr.splitlines() or [f'exit code {done.returncode}']
  return next((line for line in lines if 'error' in line), lines[0])


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
  library.head_input_scale.restype = ctypes.c_float
  library.head_stream_bytes.restype = ctypes.c_size_t
  library.head_stream_init.argtypes = [_array_of(np.float64)]
  library.head_stream_init.restype = None
  library.head_stream_push.argtypes = [
    _array_of(np.float64),
    _array_of(np.int16),
    _array_of(np.int32),
    _array_of(np.int32),
    _array_of(np.float32),
    ctypes.c_int32,
    ctypes.c_int32,
    _array_of(np.float32),
    _array_of(np.float32),
    _array_of(np.float32),
  ]
  return library
