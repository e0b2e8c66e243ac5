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


class BackgroundNormaliser:
  """Causal, per-pixel background normalisation, one frame at a time."""

  def __init__(self):
    self._background = np.zeros(
      (contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE), np.float32
    )
    self._frames_seen = 0
    self._last_timestamp_s = 0.0

  def reset(self) -> None:
    """Forgets the background: the face was lost."""
    self._frames_seen = 0

  def push(self, roi_frames: np.ndarray, timestamp_s: float) -> np.ndarray:
    """Normalises one video frame's ROI frames, then learns from them.

    Args:
      roi_frames: uint8 [3, 36, 36, 3], grey levels.
      timestamp_s: time of the frame in seconds, not before the last one's.

    Returns:
      int8 [3, 36, 36, 3] codes of scale 1/128 and zero-point 0.
    """
    pixels = roi_frames.astype(np.float32)
    self._frames_seen += 1
    if self._frames_seen == 1:
      np.copyto(self._background, pixels)
      elapsed_s = 0.0
    else:
      elapsed_s = timestamp_s - self._last_timestamp_s
    self._last_timestamp_s = timestamp_s
    codes = pixels / (self._background + _ONE)
    codes -= _ONE
    codes *= _CODE_GAIN
    np.rint(codes, out=codes)
    np.clip(codes, -128, 127, out=codes)
    pixels -= self._background
    pixels *= update_weight(elapsed_s, self._frames_seen)
    self._background += pixels
    return codes.astype(np.int8)


def update_weight(elapsed_s: float, frames_seen: int) -> np.float32:
  """The share of a new frame in the background, in (0, 1]."""
  decay = math.exp(-elapsed_s / contract.BACKGROUND_TIME_CONSTANT_S)
  return np.float32(max(1.0 - decay, 1.0 / frames_seen))


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
    face_found: bool [num_frames]; where False, the codes are those of no
      signal (value 0) and the background starts anew.
    mode: one of MODES.

  Returns:
    int8 [num_frames, 3, 36, 36, 3].
  """
  if mode not in MODES:
    raise ValueError(f'background mode: expected one of {MODES}, got {mode!r}')
  if mode == 'none':
    return (frames ^ np.uint8(128)).view(np.int8)
  codes = np.zeros(frames.shape, np.int8)
  normaliser = BackgroundNormaliser()
  for index in range(len(frames)):
    if face_found[index]:
      codes[index] = normaliser.push(frames[index], float(timestamp_s[index]))
    else:
      normaliser.reset()
  return codes


def input_quantisation(mode: str) -> tuple[float, int]:
  """Returns (scale, zero_point) of the codes that `mode` writes."""
  if mode == 'none':
    return contract.RAW_SCALE, contract.RAW_ZERO_POINT
  return contract.NORMALISED_SCALE, contract.NORMALISED_ZERO_POINT
