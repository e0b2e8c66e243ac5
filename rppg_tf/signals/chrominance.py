"""Mean colour of the mid face → four features that motion moves little.

Motion and shade change red, green and blue alike; blood does not. So beside
the CNN's features the pulse head reads the projections that POS and CHROM are
made of, of the colour's change against its running background, c = (x - b) /
(b + 1) with b as background.py has it for each pixel:

  POS (Wang 2017):      g - b,       -2 r + g + b       times 128
  CHROM (de Haan 2013): 3 r - 2 g,    1.5 r + g - 1.5 b  times 64

in int16 codes, q standing for q / 1024: a step is a hundredth of a weak pulse,
and the range that of a face that turns away from its lamp. (In int8, as the
CNN's features are, a fifth of the samples of moving heads clipped.) The head
divides each by its running deviation: the weights that POS and CHROM give
their two signals are then within its reach, and others too. All arithmetic is
float32 in the order written. NumPy only.
"""

import numpy as np

from rppg_tf import contract
from rppg_tf.signals.background import RunningBackground

_POS_GAIN = 128.0
_CHROM_GAIN = 64.0
# Rows: features; columns: red, green, blue. Gain and 1 / scale in one factor;
# powers of two and small multiples of them, so this is exact.
PROJECTIONS = np.array(
  [
    [0.0, _POS_GAIN, -_POS_GAIN],
    [-2 * _POS_GAIN, _POS_GAIN, _POS_GAIN],
    [3 * _CHROM_GAIN, -2 * _CHROM_GAIN, 0.0],
    [1.5 * _CHROM_GAIN, _CHROM_GAIN, -1.5 * _CHROM_GAIN],
  ],
  np.float32,
) / np.float32(contract.CHROMINANCE_SCALE)


class ChrominanceStream:
  """Chrominance codes, one frame at a time."""

  def __init__(self):
    self._background = RunningBackground((contract.NUM_CHANNELS,))

  def push(
    self, mid_face_rgb: np.ndarray, timestamp_s: float, face_found: bool
  ) -> np.ndarray:
    """Takes the next frame.

    Args:
      mid_face_rgb: float32 [3], mean R, G, B of the mid face, 0-255.
      timestamp_s: its time in seconds, not before the last one's.
      face_found: where False, the codes are 0 and the background starts anew.

    Returns:
      int16 [4] codes of scale 1/1024 and zero-point 0.
    """
    if not face_found:
      self._background.reset()
      return np.zeros(contract.NUM_CHROMINANCE, np.int16)
    background = self._background.push(mid_face_rgb, timestamp_s)
    change = mid_face_rgb - background
    change /= background + np.float32(1.0)
    red, green, blue = change
    by_red, by_green, by_blue = PROJECTIONS.T
    codes = np.rint(by_red * red + by_green * green + by_blue * blue)
    limits = np.iinfo(np.int16)
    return np.clip(codes, limits.min, limits.max).astype(np.int16)


def chrominance_codes(
  mid_face_rgb: np.ndarray, timestamp_s: np.ndarray, face_found: np.ndarray
) -> np.ndarray:
  """Turns a recording's mid-face colour into features.

  Args:
    mid_face_rgb: float32 [num_frames, 3], 0-255.
    timestamp_s: float64 [num_frames], seconds, never decreasing.
    face_found: bool [num_frames], as ChrominanceStream.push.

  Returns:
    int16 [num_frames, 4].
  """
  stream = ChrominanceStream()
  codes = np.empty((len(mid_face_rgb), contract.NUM_CHROMINANCE), np.int16)
  for index, rgb in enumerate(mid_face_rgb):
    codes[index] = stream.push(
      rgb, float(timestamp_s[index]), face_found[index]
    )
  return codes


def append(features: np.ndarray, codes: np.ndarray) -> np.ndarray:
  """Puts a frame's chrominance behind its features of the ROIs.

  Args:
    features: [num_frames, 48], int8 codes of the CNN or float32 features.
    codes: int16 [num_frames, 4].

  Returns:
    [num_frames, 52], int16 codes or float32 features: what the pulse head
    reads.
  """
  if features.dtype != np.int8:
    codes = codes * np.float32(contract.CHROMINANCE_SCALE)
  return np.concatenate([features, codes], axis=1)
