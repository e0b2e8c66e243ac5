"""Features at measured frame times → features on the uniform 30 Hz grid.

Cameras do not keep time: UBFC has 23-30 fps, duplicate stamps, gaps. Features
are interpolated linearly between the two frames around each grid time. That
is causal with one frame of delay: grid times up to and including the newest
frame's are known when that frame arrives, so the board does the same.
"""

from typing import NamedTuple

import numpy as np

from rppg_tf import contract


def grid_positions(
  timestamp_s: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Finds where the grid times lie between the frames.

  Grid time k is timestamp_s[0] + k / 30 s, up to the last frame.

  Args:
    timestamp_s: float64 [num_frames], seconds, never decreasing.

  Returns:
    older: int32 [num_samples], last frame before the grid time (frame 0 for
      the first grid time);
    newer: int32 [num_samples], first frame at or after it;
    fraction: float32 [num_samples] in (0, 1], the weight of `newer`.
  """
  elapsed_s = np.asarray(timestamp_s, np.float64)
  elapsed_s = elapsed_s - elapsed_s[0]
  return positions_at(grid_times(elapsed_s[-1]), elapsed_s)


def grid_times(last_s: float, first_sample: int = 0) -> np.ndarray:
  """Returns the grid times up to `last_s`, float64 seconds.

  Args:
    last_s: seconds from the first frame to the newest one.
    first_sample: number of the grid time to begin with.
  """
  rate_hz = contract.GRID_RATE_HZ
  # One more than needed, then cut: the product may round either way.
  times_s = np.arange(first_sample, int(last_s * rate_hz) + 2) / rate_hz
  return times_s[times_s <= last_s]


def positions_at(
  grid_s: np.ndarray, elapsed_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Finds where given times lie between frames; see grid_positions.

  Args:
    grid_s: float64 [num_samples], none after the last frame.
    elapsed_s: float64 [num_frames], times of the frames on the same clock.
  """
  newer = np.searchsorted(elapsed_s, grid_s, side='left')
  older = np.maximum(newer - 1, 0)
  span_s = elapsed_s[newer] - elapsed_s[older]
  fraction = np.ones(len(grid_s), np.float32)
  np.divide(
    grid_s - elapsed_s[older],
    span_s,
    out=fraction,
    where=span_s > 0,
    casting='unsafe',
  )
  return older.astype(np.int32), newer.astype(np.int32), fraction


def to_grid(values: np.ndarray, timestamp_s: np.ndarray) -> np.ndarray:
  """Interpolates per-frame values to the grid.

  Args:
    values: float32 [num_frames, ...]; NaN spreads to the neighbours.
    timestamp_s: float64 [num_frames], seconds, never decreasing.

  Returns:
    float32 [num_samples, ...].
  """
  older, newer, fraction = grid_positions(timestamp_s)
  fraction = fraction.reshape(-1, *[1] * (values.ndim - 1))
  start = values[older]
  return start + fraction * (values[newer] - start)


class GridChunk(NamedTuple):
  """The grid samples that a chunk of frames completes.

  Attributes:
    values: [num_kept + num_frames, ...], the frames kept and the chunk's.
    older: int32 [num_samples], index into values.
    newer: int32 [num_samples], index into values.
    fraction: float32 [num_samples] in (0, 1], the weight of `newer`.
  """

  values: np.ndarray
  older: np.ndarray
  newer: np.ndarray
  fraction: np.ndarray


class GridStream:
  """Places grid samples between frames, in bounded memory."""

  def __init__(self):
    self._start_s: float | None = None
    self._elapsed_s = np.empty(0)
    self._values: np.ndarray | None = None
    self._next_sample = 0

  def push(self, values: np.ndarray, timestamp_s: np.ndarray) -> GridChunk:
    """Takes the next frames.

    Args:
      values: [num_frames, ...], at least one frame.
      timestamp_s: float64 [num_frames], seconds, never decreasing, from chunk
        to chunk neither.

    Raises:
      ValueError: not as many times as frames, none, or a time decreases.
    """
    if len(values) != len(timestamp_s) or not len(values):
      raise ValueError(
        f'timestamp_s: expected one for each of the frames, got '
        f'{len(timestamp_s)} for {len(values)}'
      )
    if self._values is None or self._start_s is None:
      self._start_s = float(timestamp_s[0])
      self._values = values[:0]
    elapsed_s = np.concatenate(
      [self._elapsed_s, np.asarray(timestamp_s, np.float64) - self._start_s]
    )
    if np.any(np.diff(elapsed_s) < 0):
      raise ValueError('timestamp_s: expected never to decrease')
    values = np.concatenate([self._values, values])
    chunk = GridChunk(values, *self._positions(elapsed_s))
    self._keep(values, elapsed_s)
    return chunk

  def _positions(self, elapsed_s):
    grid_s = grid_times(elapsed_s[-1], self._next_sample)
    self._next_sample += len(grid_s)
    return positions_at(grid_s, elapsed_s)

  def _keep(self, values, elapsed_s):
    """Keeps the frames from the next sample's `older` one on."""
    next_s = self._next_sample / contract.GRID_RATE_HZ
    first = max(np.searchsorted(elapsed_s, next_s, side='left') - 1, 0)
    self._values = values[first:].copy()
    self._elapsed_s = elapsed_s[first:]
