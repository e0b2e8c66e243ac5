"""ROI frames from which the ranges of activations are taken.

A pool thins the training recordings out (neighbouring frames are nearly the
same image); sets are drawn from it.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np

from rppg_tf import contract
from rppg_tf.errors import InputError

# Every tenth frame: a third of a second.
_FRAME_SPACING = 10
# Width of a stratum of heart rates.
_STRATUM_BPM = 10.0


@dataclasses.dataclass(frozen=True)
class Pool:
  """ROI frames to draw from.

  Attributes:
    codes: int8 [n, 36, 36, 3], as the NPU reads them.
    heart_rate_bpm: float32 [n], of the frame; NaN where it is not known.
  """

  codes: np.ndarray
  heart_rate_bpm: np.ndarray


def pool(recordings: Iterable[dict]) -> Pool:
  """Thins recordings out, all ROIs of every tenth frame.

  Args:
    recordings: with codes, int8 [frames, 3, 36, 36, 3], and heart_rate_bpm,
      float32 [frames], as clips.prepare and evaluation.estimated give them.
  """
  codes, rates = [], []
  for recording in recordings:
    kept = recording['codes'][::_FRAME_SPACING]
    # A copy: a view would keep the whole recording in memory.
    codes.append(kept.reshape(-1, *contract.ROI_FRAME_SHAPE).copy())
    known = recording['heart_rate_bpm'][::_FRAME_SPACING]
    rates.append(np.repeat(known, contract.NUM_ROIS))
  return Pool(np.concatenate(codes), np.concatenate(rates))


def joined(pools: Iterable[Pool]) -> Pool:
  """Puts pools together."""
  parts = [(part.codes, part.heart_rate_bpm) for part in pools]
  return Pool(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def at_random(drawn_from: Pool, num_images: int, seed: int) -> np.ndarray:
  """Draws int8 [num_images, 36, 36, 3], every ROI frame as likely.

  Raises:
    InputError: the pool has fewer.
  """
  everything = np.arange(len(drawn_from.codes))
  _check_enough(len(everything), num_images, 'ROI frames')
  order = np.random.default_rng(seed).permutation(everything)
  return drawn_from.codes[order[:num_images]]


def stratified(drawn_from: Pool, num_images: int, seed: int) -> np.ndarray:
  """Draws int8 [num_images, 36, 36, 3], as many of each 10 BPM of heart rate.

  Strata that run out leave their share to the others.

  Raises:
    InputError: the pool has fewer with a known heart rate.
  """
  rates_bpm = drawn_from.heart_rate_bpm
  known = np.flatnonzero(np.isfinite(rates_bpm))
  _check_enough(len(known), num_images, 'ROI frames with a heart rate')
  order = np.random.default_rng(seed).permutation(known)
  stratum = np.floor(rates_bpm[order] / _STRATUM_BPM)
  # Which one of its stratum each is: the first of all come first.
  turn = np.empty(len(order), np.int64)
  for value in np.unique(stratum):
    members = np.flatnonzero(stratum == value)
    turn[members] = np.arange(len(members))
  return drawn_from.codes[order[np.argsort(turn, kind='stable')][:num_images]]


def _check_enough(num_there: int, num_wanted: int, what: str) -> None:
  if num_there < num_wanted:
    raise InputError(
      f'calibration: {num_wanted} {what} wanted, the training recordings give '
      f'{num_there}; ask for fewer or add recordings'
    )


def values(
  codes: np.ndarray, input_quantisation: tuple[float, int]
) -> np.ndarray:
  """Returns what int8 codes stand for, float32 of the same shape."""
  scale, zero_point = input_quantisation
  return (codes.astype(np.float32) - zero_point) * np.float32(scale)
