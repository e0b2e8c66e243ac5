"""Estimates of a model for a recording, and the 10 s windows they are for."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rppg_tf import contract
from rppg_tf.signals import resampling

_STRIDE = contract.WINDOW_STRIDE_S * contract.GRID_RATE_HZ


@dataclasses.dataclass(frozen=True)
class Estimates:
  """What a model says of one recording.

  Attributes:
    heart_rate_bpm: float32 [windows], of the 10 s up to each window's end.
    pulse: float32 [samples] on the 30 Hz grid; None if the head has none.
    confidence: float32 [windows] in [0, 1]; None if the head has none.
  """

  heart_rate_bpm: np.ndarray
  pulse: np.ndarray | None = None
  confidence: np.ndarray | None = None


# Takes a recording: what estimators.with_codes returns.
Estimator = Callable[[dict], Estimates]


def window_ends(num_samples: int) -> np.ndarray:
  """Returns the last sample of each 10 s window, int64 [windows]."""
  return np.arange(contract.WINDOW_SAMPLES - 1, num_samples, _STRIDE)


def pulse_windows(
  values: np.ndarray, length: int = contract.WINDOW_SAMPLES
) -> np.ndarray:
  """Cuts the last `length` samples up to the end of each 10 s window.

  Args:
    values: float [samples] on the 30 Hz grid.
    length: samples; ends before which there are fewer are left out.

  Returns:
    float [windows, length].
  """
  ends = window_ends(len(values))
  ends = ends[ends + 1 >= length]
  return values[ends[:, np.newaxis] + np.arange(1 - length, 1)]


def first_estimate_s(timestamp_s: np.ndarray) -> float | None:
  """Returns how long after its first frame a recording has an estimate.

  That is the frame at or after the 300th grid time; computing comes on top.
  None if the recording ends before.
  """
  _, newer, _ = resampling.grid_positions(timestamp_s)
  if len(newer) < contract.WINDOW_SAMPLES:
    return None
  return float(timestamp_s[newer[contract.WINDOW_SAMPLES - 1]] - timestamp_s[0])


def median_of_windows(step_bpm: np.ndarray, num_samples: int) -> np.ndarray:
  """Medians of a short-window head's estimates over each 10 s.

  Args:
    step_bpm: float32 [steps], one estimate a sample, the last one at the
      last sample.
    num_samples: samples in the recording.

  Returns:
    float32 [windows], of the estimates that lie whole within the 10 s.
  """
  lead = num_samples - len(step_bpm)
  starts = window_ends(num_samples) + 1 - contract.WINDOW_SAMPLES
  steps = contract.WINDOW_SAMPLES - lead
  return np.array(
    [np.median(step_bpm[start : start + steps]) for start in starts],
    np.float32,
  )


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
