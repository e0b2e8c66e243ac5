"""ROI patches over time → the int8 codes that the NPU reads.

The pulse moves a pixel by about 0.1 grey level; int8 over raw pixels loses
it. So the slowly varying part of every pixel, its background b, is divided
out before quantisation (mode `normalise`):

  code = clip(rint((x / (b + 1) - 1) * 1280), -128, 127)      (then)
  b   += a * (x - b),   a = max(1 - exp(-dt / tau), 1 / frames seen)

with b starting as the first frame. A code q stands for q / 128. Mode `none`
keeps raw pixels (code = pixel - 128, standing for pixel / 255) as
UltraLightRPPG had them.

All arithmetic is float32 in the order written, `a` excepted (float64, rounded
once), so that C code compiled without contraction gives the same bytes. NumPy
only: predict and the firmware tests use this without TensorFlow.
"""

import math

import numpy as np

from rppg_tf import contract

MODES = ('normalise', 'none')

_ONE = np.float32(1.0)
# Gain and 1 / scale in one factor; 128 is a power of two, so this is exact.
_CODE_GAIN = np.float32(contract.BACKGROUND_GAIN / contract.NORMALISED_SCALE)


class RunningBackground:
  """What stands still of values that come frame by frame: their slow mean."""

  def __init__(self, shape: tuple[int, ...]):
    self._background = np.zeros(shape, np.float32)
    self._frames_seen = 0
    self._last_timestamp_s = 0.0

  def reset(self) -> None:
    """Forgets the background: the face was lost."""
    self._frames_seen = 0

  def push(self, values: np.ndarray, timestamp_s: float) -> np.ndarray:
    """Returns the background so far, then learns from the next values.

    Args:
      values: float32 of the shape given, grey levels; not changed.
      timestamp_s: time of the frame in seconds, not before the last one's.

    Returns:
      float32 of that shape, a new array: before the first values, these.
    """
    self._frames_seen += 1
    if self._frames_seen == 1:
      np.copyto(self._background, values)
      elapsed_s = 0.0
    else:
      elapsed_s = timestamp_s - self._last_timestamp_s
    self._last_timestamp_s = timestamp_s
    before = self._background.copy()
    change = values - before
    change *= update_weight(elapsed_s, self._frames_seen)
    self._background += change
    return before


class BackgroundNormaliser:
  """Causal, per-pixel background normalisation, one frame at a time."""

  def __init__(self):
    self._background = RunningBackground(
      (contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)
    )

  def reset(self) -> None:
    """Forgets the background: the face was lost."""
    self._background.reset()

  def push(self, roi_frames: np.ndarray, timestamp_s: float) -> np.ndarray:
    """Normalises one video frame's ROI frames, then learns from them.

    Args:
      roi_frames: uint8 [3, 36, 36, 3], grey levels.
      timestamp_s: time of the frame in seconds, not before the last one's.

    Returns:
      int8 [3, 36, 36, 3] codes of scale 1/128 and zero-point 0.
    """
    pixels = roi_frames.astype(np.float32)
    divisor = self._background.push(pixels, timestamp_s)
    divisor += _ONE
    pixels /= divisor
    pixels -= _ONE
    pixels *= _CODE_GAIN
    return to_codes(pixels)


def to_codes(values: np.ndarray) -> np.ndarray:
  """Rounds float32 values (which are overwritten) into int8 codes."""
  np.rint(values, out=values)
  np.clip(values, -128, 127, out=values)
  return values.astype(np.int8)


def update_weight(elapsed_s: float, frames_seen: int) -> np.float32:
  """The share of a new frame in the background, in (0, 1]."""
  decay = math.exp(-elapsed_s / contract.BACKGROUND_TIME_CONSTANT_S)
  return np.float32(max(1.0 - decay, 1.0 / frames_seen))


class InputCoder:
  """ROI frames of a video → codes, in one of MODES, frame by frame."""

  def __init__(self, mode: str):
    if mode not in MODES:
      raise ValueError(
        f'background mode: expected one of {MODES}, got {mode!r}'
      )
    self._mode = mode
    self._normaliser = BackgroundNormaliser()

  def push(
    self, roi_frames: np.ndarray, timestamp_s: float, face_found: bool
  ) -> np.ndarray:
    """Takes the next frame.

    Args:
      roi_frames: uint8 [3, 36, 36, 3], grey levels.
      timestamp_s: its time in seconds, not before the last one's.
      face_found: where False, the codes are those of no signal (value 0) and
        the background starts anew.

    Returns:
      int8 [3, 36, 36, 3].
    """
    if self._mode == 'none':
      return (roi_frames ^ np.uint8(128)).view(np.int8)
    if face_found:
      return self._normaliser.push(roi_frames, timestamp_s)
    self._normaliser.reset()
    return np.zeros(roi_frames.shape, np.int8)


def input_codes(
  frames: np.ndarray,
  timestamp_s: np.ndarray,
  face_found: np.ndarray,
  mode: str = 'normalise',
) -> np.ndarray:
  """Turns a recording's ROI frames into the codes that the NPU reads.

  Args:
    frames: uint8 [num_frames, 3, 36, 36, 3], grey levels.
    timestamp_s: float64 [num_frames], seconds, never decreasing.
    face_found: bool [num_frames], as InputCoder.push.
    mode: one of MODES.

  Returns:
    int8 [num_frames, 3, 36, 36, 3].
  """
  coder = InputCoder(mode)
  codes = np.empty(frames.shape, np.int8)
  for index, frame in enumerate(frames):
    codes[index] = coder.push(
      frame, float(timestamp_s[index]), face_found[index]
    )
  return codes


def input_quantisation(mode: str) -> tuple[float, int]:
  """Returns (scale, zero_point) of the codes that `mode` writes."""
  if mode == 'none':
    return contract.RAW_SCALE, contract.RAW_ZERO_POINT
  return contract.NORMALISED_SCALE, contract.NORMALISED_ZERO_POINT
