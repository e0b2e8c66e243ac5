"""The emitted C head, compiled for this machine and driven from NumPy.

evaluate and predict run the very C that the board runs; the firmware's tests
compare with it. No TensorFlow here.
"""

import contextlib
import ctypes
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile
from typing import NamedTuple

import numpy as np

from rppg_tf import contract
from rppg_tf.errors import InputError
from rppg_tf.evaluation import windows
from rppg_tf.signals import chrominance, grid_stream

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


class NoCompilerError(InputError):
  """There is no C compiler on this machine."""


class HeadRun(NamedTuple):
  """What a head gave for one recording, or for the next frames of one.

  Attributes:
    pulse: float32 [samples] on the 30 Hz grid; 0 for the window head.
    heart_rate_bpm: float32 [windows].
    confidence: float32 [windows] in [0, 1]; 0 for the window head.
  """

  pulse: np.ndarray
  heart_rate_bpm: np.ndarray
  confidence: np.ndarray


class HeadDifference(NamedTuple):
  """How far the C head is from the Keras head; pulse 0 for the window head.

  Attributes:
    num_windows: estimates compared.
    max_bpm, mean_bpm: absolute difference of the heart rates.
    max_relative_pulse: largest absolute difference of the pulse, as a share
      of its largest absolute value.
  """

  num_windows: int
  max_bpm: float
  mean_bpm: float
  max_relative_pulse: float


class CompiledHead:
  """temporal_head.{h,c} of a folder, compiled with the system's `cc`.

  What was compiled before is found again in ~/.cache/rppg_tf.

  Attributes:
    window_samples: grid samples before the first estimate.
    num_features: of each frame's features, how many it reads.
    has_pulse: False for the window head.
    input_scale: float32, of the feature codes that it was emitted for.
    input_zero_point: of those codes.
  """

  def __init__(self, c_dir: pathlib.Path | str):
    """Compiles, unless that was done before.

    Args:
      c_dir: folder that holds temporal_head.c and temporal_head.h.

    Raises:
      NoCompilerError: no C compiler.
      InputError: the compiler refused the source.
      FileNotFoundError: no temporal_head.c in c_dir.
    """
    self._library = _load(pathlib.Path(c_dir))
    self.window_samples: int = self._library.head_window_samples()
    self.num_features: int = self._library.head_num_features()
    self.has_pulse = bool(self._library.head_is_pulse_head())
    self.input_scale = np.float32(self._library.head_input_scale())
    self.input_zero_point: int = self._library.head_input_zero_point()

  def stream(
    self, window_stride: int = contract.WINDOW_STRIDE_S * contract.GRID_RATE_HZ
  ) -> 'HeadStream':
    """Returns a fresh state to push frames to.

    Args:
      window_stride: grid samples from one estimate to the next; the first is
        made at sample window_samples - 1.
    """
    return HeadStream(self._library, window_stride)

  def run(
    self,
    feature_codes: np.ndarray,
    timestamp_s: np.ndarray,
    window_stride: int = contract.WINDOW_STRIDE_S * contract.GRID_RATE_HZ,
  ) -> HeadRun:
    """Runs the head over a recording, from a fresh state.

    Args:
      feature_codes: int16 [num_frames, 52]; a head that reads fewer takes the
        first.
      timestamp_s: float64 [num_frames], seconds, never decreasing.
      window_stride: grid samples from one estimate to the next; the first is
        made at sample window_samples - 1.
    """
    return self.stream(window_stride).push(feature_codes, timestamp_s)

  def estimates(
    self, feature_codes: np.ndarray, timestamp_s: np.ndarray
  ) -> windows.Estimates:
    """Estimates over 10 s every 1 s; see evaluation.head_estimates."""
    if self.has_pulse:
      result = self.run(feature_codes, timestamp_s)
      return windows.Estimates(
        result.heart_rate_bpm, result.pulse, result.confidence
      )
    result = self.run(feature_codes, timestamp_s, window_stride=1)
    return windows.Estimates(
      windows.median_of_windows(result.heart_rate_bpm, len(result.pulse))
    )


class HeadStream:
  """The C head over frames as they come, in bounded memory.

  However the frames are cut into pushes, the results joined are, bit for bit,
  those of one push of all. A stream belongs to one thread at a time.
  """

  def __init__(self, library: ctypes.CDLL, window_stride: int):
    """Starts; call CompiledHead.stream instead."""
    if window_stride < 1:
      raise ValueError(
        f'window_stride: expected at least 1, got {window_stride}'
      )
    self._library = library
    self._stride = window_stride
    self._until_next = library.head_window_samples()
    self._num_features = library.head_num_features()
    self._grid = grid_stream.GridStream()
    # float64 for its alignment, which is enough for any member.
    self._state = np.zeros(-(-library.head_stream_bytes() // 8), np.float64)
    library.head_stream_init(self._state)

  def push(self, feature_codes: np.ndarray, timestamp_s: np.ndarray) -> HeadRun:
    """Takes the next frames.

    Args:
      feature_codes: int16 [num_frames, 52]; a head that reads fewer takes the
        first.
      timestamp_s: float64 [num_frames], seconds, never decreasing, from push
        to push neither.

    Returns:
      The pulse of the grid samples that these frames complete, and the
      estimates that fall due.
    """
    expected = (len(timestamp_s), contract.NUM_FRAME_FEATURES)
    if feature_codes.dtype != np.int16 or feature_codes.shape != expected:
      raise ValueError(
        f'feature_codes: expected int16 {expected}, got '
        f'{feature_codes.dtype} {feature_codes.shape}'
      )
    feature_codes = feature_codes[:, : self._num_features]
    chunk = self._grid.push(feature_codes, timestamp_s)
    num_samples = len(chunk.fraction)
    ready = max(num_samples - self._until_next + 1, 0)
    num_windows = -(-ready // self._stride)
    self._until_next += num_windows * self._stride - num_samples
    result = HeadRun(
      np.empty(num_samples, np.float32),
      np.empty(num_windows, np.float32),
      np.empty(num_windows, np.float32),
    )
    status = self._library.head_stream_push(
      self._state,
      np.ascontiguousarray(chunk.values),
      *chunk[1:],
      num_samples,
      self._stride,
      *result,
    )
    if status:
      raise RuntimeError(f'temporal_head: status {status} in this recording')
    return result


def compare_with_keras(
  compiled: CompiledHead,
  head,
  feature_codes: np.ndarray,
  timestamp_s: np.ndarray,
  scale: float,
  zero_point: int,
) -> HeadDifference:
  """Compares every window of a recording.

  Args:
    compiled: the C of `head`.
    head: Keras model of build_pulse_head or build_window_head.
    feature_codes: int16 [num_frames, 52], long enough for a window.
    timestamp_s: float64 [num_frames], seconds.
    scale, zero_point: of the CNN's 48 feature codes.
  """
  codes, colour = np.split(feature_codes, [contract.NUM_ROI_FEATURES], axis=1)
  shifted = codes.astype(np.float32) - np.float32(zero_point)
  features = chrominance.append(shifted * np.float32(scale), colour)
  outputs = windows.head_outputs(head, features, timestamp_s)
  expected_bpm = outputs['heart_rate_bpm']
  window_stride = (
    head.get_layer('last_seconds').stride if compiled.has_pulse else 1
  )
  result = compiled.run(feature_codes, timestamp_s, window_stride)
  difference = np.abs(result.heart_rate_bpm.astype(np.float64) - expected_bpm)
  max_relative_pulse = 0.0
  if compiled.has_pulse:
    pulse = outputs['pulse'].astype(np.float64)
    worst = np.max(np.abs(result.pulse - pulse))
    max_relative_pulse = float(worst / np.max(np.abs(pulse)))
  return HeadDifference(
    len(difference),
    float(np.max(difference)),
    float(np.mean(difference)),
    max_relative_pulse,
  )


def _array_of(dtype):
  return np.ctypeslib.ndpointer(dtype, flags='C_CONTIGUOUS')


def _load(c_dir: pathlib.Path) -> ctypes.CDLL:
  """Loads the head and its driver, compiled now or at an earlier time."""
  source = c_dir / 'temporal_head.c'
  if not source.is_file():
    raise FileNotFoundError(
      f'{source}: not there; run `python -m tools.emit_temporal_head` first'
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
    loaded = _declare(ctypes.CDLL(os.fspath(library)))
    # Who cannot write there pays for the compiler each time.
    with contextlib.suppress(OSError):
      library.rename(kept)
      _remove_old(kept.parent)
  return loaded


def _kept_library(c_dir: pathlib.Path, compiler: str) -> pathlib.Path:
  """Where the library of these very sources, by this compiler, is kept."""
  found = os.stat(compiler)
  parts = [
    *((c_dir / f'temporal_head.{end}').read_bytes() for end in 'ch'),
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
    return tempfile.TemporaryDirectory(dir=beside)
  except OSError:
    return tempfile.TemporaryDirectory()


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
  source = c_dir / 'temporal_head.c'
  command = [compiler, *_FLAGS, f'-I{c_dir}', str(driver), str(source)]
  command += ['-o', str(library), '-lm']
  result = subprocess.run(command, capture_output=True, text=True)
  if result.returncode:
    raise InputError(f'{source}: does not compile\n{result.stderr}')
  return library


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
