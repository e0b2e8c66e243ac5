"""feature_timeline.grid_positions for frames that come in chunks.

Whatever the chunks, the samples are those of the whole recording: the frames
that the next sample may lie between are kept for the next chunk.
"""

from typing import NamedTuple

import numpy as np

from rppg_tf import contract
from rppg_tf.signals import resampling


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
    if self._values is None:
      self._start_s = timestamp_s[0]
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
    grid_s = resampling.grid_times(elapsed_s[-1], self._next_sample)
    self._next_sample += len(grid_s)
    return resampling.positions_at(grid_s, elapsed_s)

  def _keep(self, values, elapsed_s):
    """Keeps the frames from the next sample's `older` one on."""
    next_s = self._next_sample / contract.GRID_RATE_HZ
    first = max(np.searchsorted(elapsed_s, next_s, side='left') - 1, 0)
    self._values = values[first:].copy()
    self._elapsed_s = elapsed_s[first:]
