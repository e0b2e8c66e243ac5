"""The emitted C head, compiled for this machine and driven from NumPy.

evaluate and predict run the very C that the board runs; the firmware's tests
compare with it. No TensorFlow here.
"""

import ctypes
import pathlib
from typing import NamedTuple

import numpy as np

from rppg_tf import contract
from rppg_tf.inference import c_library, estimates, estimators
from rppg_tf.signals import chrominance, resampling


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
    self._library = c_library.load(pathlib.Path(c_dir))
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
  ) -> estimates.HeadRun:
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
  ) -> estimates.Estimates:
    """Estimates over 10 s every 1 s; see evaluation.head_estimates."""
    if self.has_pulse:
      result = self.run(feature_codes, timestamp_s)
      return estimates.Estimates(
        result.heart_rate_bpm, result.pulse, result.confidence
      )
    result = self.run(feature_codes, timestamp_s, window_stride=1)
    return estimates.Estimates(
      estimates.median_of_windows(result.heart_rate_bpm, len(result.pulse))
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
    self._grid = resampling.GridStream()
    # float64 for its alignment, which is enough for any member.
    self._state = np.zeros(-(-library.head_stream_bytes() // 8), np.float64)
    library.head_stream_init(self._state)

  def push(
    self, feature_codes: np.ndarray, timestamp_s: np.ndarray
  ) -> estimates.HeadRun:
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
    result = estimates.HeadRun(
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
  outputs = estimators.head_outputs(head, features, timestamp_s)
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
