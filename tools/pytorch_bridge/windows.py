"""Overlapping windows → the frame sequences that they were cut from.

Cut at stride 1, a window of 8 frames shares 7 with the next, and a minute of
video is stored eight times. A chain is a run of windows each of which shares
frames with the one before; the stride is found from the data. NumPy only.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rppg_tf import contract

_WINDOW = contract.SEED_WINDOW_FRAMES
# UltraLightRPPG's label of a window is the rate of this frame of it.
LABELLED_FRAME = _WINDOW // 2
# A longer run is cut: a recording is held whole in memory (105 MB).
MAX_RECORDING_FRAMES = 9000
# Root mean square of the change of the patches' hues, log(colour / grey).
# Light and shade hardly do: of `make demo`'s recordings nothing that is up to
# 5 s apart is above, 3 % of the changes of person are below; a real face that
# talks reached 0.0234 in 7 s.
SAME_PERSON_HUE = 0.025


class Fingerprints(NamedTuple):
  """What windows are compared by.

  Attributes:
    frames: uint64 (windows, 8), a hash of each frame's bytes.
    colours: float32 (windows, 3, 3), mean RGB of each ROI, 0-255.
  """

  frames: np.ndarray
  colours: np.ndarray


class Chain(NamedTuple):
  """Windows that share frames.

  Attributes:
    first_window: index of its first window; the others follow.
    starts: int64 (windows,), first frame of each, counted from the first's.
  """

  first_window: int
  starts: np.ndarray

  @property
  def num_frames(self) -> int:
    """How many frames the windows hold between them."""
    return int(self.starts[-1]) + _WINDOW


def fingerprints(windows: np.ndarray) -> Fingerprints:
  """Takes what windows are compared by.

  Args:
    windows: uint8 (windows, 8, 3, 36, 36, 3), C-contiguous.
  """
  hashes = [
    [hashlib.blake2b(frame, digest_size=8).digest() for frame in window]
    for window in windows
  ]
  return Fingerprints(
    np.frombuffer(b''.join(map(b''.join, hashes)), np.uint64).reshape(
      -1, _WINDOW
    ),
    windows.mean(axis=(1, 3, 4), dtype=np.float32),
  )


def find_stride(frames: np.ndarray) -> int | None:
  """Returns the stride that most windows follow one another at, 1-7.

  Args:
    frames: uint64 (windows, 8) of `fingerprints`.

  Returns:
    None if no window shares frames with the next: they were cut at 8 or
    more, or put into random order.
  """
  counts = [
    np.count_nonzero(_follows(frames, shift)) for shift in range(1, _WINDOW)
  ]
  return int(np.argmax(counts)) + 1 if any(counts) else None


def find_chains(
  frames: np.ndarray,
  stride: int | None,
  subjects: Sequence[str] | None = None,
) -> list[Chain]:
  """Finds the runs of windows that share frames, in the order of the file.

  A window that was filtered out breaks no chain as long as its neighbours
  still overlap.

  Args:
    frames: uint64 (windows, 8) of `fingerprints`.
    stride: of find_stride; None makes each window a chain.
    subjects: name for each window, where known; another name ends a chain.
  """
  shifts = np.zeros(len(frames) - 1, np.int64)
  # Smallest last, so that it wins; `stride` is the smallest.
  for shift in range(_WINDOW - 1, 0, -1):
    if stride and shift % stride == 0:
      shifts[_follows(frames, shift)] = shift
  if subjects is not None:
    names = np.array(subjects)
    shifts[names[1:] != names[:-1]] = 0
  chains = []
  for run in np.split(np.arange(len(frames)), np.flatnonzero(shifts == 0) + 1):
    starts = np.cumsum(np.concatenate([[0], shifts[run[0] : run[-1]]]))
    cuts = np.flatnonzero(np.diff(starts // MAX_RECORDING_FRAMES)) + 1
    for first, part in zip(
      np.concatenate([[0], cuts]), np.split(starts, cuts), strict=True
    ):
      chains.append(Chain(int(run[first]), part - part[0]))
  return chains


def _follows(frames: np.ndarray, shift: int) -> np.ndarray:
  """Whether each window begins `shift` frames before the next one."""
  return np.all(frames[:-1, shift:] == frames[1:, :-shift], axis=1)


def windows_to_read(chain: Chain) -> list[int]:
  """Returns as few of a chain's windows as hold all of its frames."""
  chosen = [0]
  while chain.starts[chosen[-1]] + _WINDOW < chain.num_frames:
    end = chain.starts[chosen[-1]] + _WINDOW
    chosen.append(int(np.searchsorted(chain.starts, end, side='right')) - 1)
  return chosen


def frame_labels(
  chain: Chain, labels_bpm: np.ndarray, stride: int | None
) -> np.ndarray:
  """Gives each frame of a chain its label.

  A window's label is that of its fifth frame. At a stride of 2 or more the
  frames between two windows get what lies between their labels; where windows
  were filtered out, and at both ends, the rate is not known.

  Args:
    chain: of find_chains.
    labels_bpm: float32 (windows of the file,); NaN where not known.
    stride: of find_stride.

  Returns:
    float32 (frames,), BPM or NaN.
  """
  last = chain.first_window + len(chain.starts)
  labels_bpm = labels_bpm[chain.first_window : last]
  frames = chain.starts + LABELLED_FRAME
  rates_bpm = np.full(chain.num_frames, np.nan, np.float32)
  rates_bpm[frames] = labels_bpm
  neighbours = np.flatnonzero(np.diff(chain.starts) == stride)
  rise_bpm = labels_bpm[1:] - labels_bpm[:-1]
  num_steps = stride or 1
  for step in range(1, num_steps):
    rates_bpm[frames[neighbours] + step] = labels_bpm[neighbours] + rise_bpm[
      neighbours
    ] * np.float32(step / num_steps)
  return rates_bpm


def chain_subjects(
  chains: Sequence[Chain],
  colours: np.ndarray,
  subjects: Sequence[str] | None = None,
) -> list[str]:
  """Says whose each chain is.

  Pieces of one person on both sides of a split would be a leak, two people
  taken for one are none. So a chain is of the same person as the one before
  it unless the hue of the skin differs by more than SAME_PERSON_HUE; patches
  that are black (no face) say nothing.

  Args:
    chains: of find_chains.
    colours: float32 (windows, 3, 3) of `fingerprints`.
    subjects: name for each window, where known.

  Returns:
    A name for each chain: the given one, or pytorch1, pytorch2, ...
  """
  if subjects is not None:
    return [subjects[chain.first_window] for chain in chains]
  number = 1
  names = []
  last_seen = None
  for chain in chains:
    first, last = (
      colours[chain.first_window + index]
      for index in (0, len(chain.starts) - 1)
    )
    if last_seen is not None and first.any():
      number += hue_change(last_seen, first) > SAME_PERSON_HUE
    names.append(f'pytorch{number}')
    if last.any():
      last_seen = last
  return names


def hue_change(before: np.ndarray, after: np.ndarray) -> float:
  """Compares two float32 (3, 3) mean colours of the ROIs; 0: the same hue."""
  # A few levels more, so that black is no hue.
  change = np.log((after + 8) / (before + 8))
  change -= change.mean(axis=1, keepdims=True)
  return float(np.sqrt(np.mean(np.square(change))))
