"""Files of torch.save, read as tensors and nothing else.

A pickle may run any code. `weights_only=True` builds tensors and plain
containers and refuses the rest, or puts in its place what it is told to.
Needs PyTorch: `pip install -e .[pytorch]`.
"""

import gc
import pathlib
import pickle
import re
import zipfile
from collections.abc import Sequence

import numpy as np
import torch

from rppg_tf import contract
from rppg_tf.errors import InputError

WINDOW_SHAPE = (
  contract.SEED_WINDOW_FRAMES,
  contract.NUM_ROIS,
  *contract.ROI_FRAME_SHAPE,
)
_WINDOW_BYTES = 4 * int(np.prod(WINDOW_SHAPE))  # float32
# A file of PyTorch before 1.6 begins with a pickle of this number.
_LEGACY_MAGIC = torch.serialization.MAGIC_NUMBER.to_bytes(10, 'little')
# Of torch.load and zipfile, with damaged files.
_READ_ERRORS = (
  *(RuntimeError, ValueError, KeyError, EOFError, TypeError, AttributeError),
  *(IndexError, AssertionError, zipfile.BadZipFile),
)
# Pages of the mapped file count as our memory until it is mapped anew.
_MAX_MAPPED_BYTES = 1 << 28
# How far a pixel may be from a multiple of 1/255: float32 rounding is 6e-8.
_PIXEL_TOLERANCE = 1e-6


def load(path: pathlib.Path, stand_ins: Sequence[tuple[type, str]] = ()):
  """Loads what torch.save wrote, onto the CPU; memory-mapped if it can be.

  Args:
    path: of the file, a zip archive or of PyTorch before 1.6.
    stand_ins: (type, name) for what the pickle names and is to be replaced.

  Raises:
    InputError: no such file, not a whole one, a TorchScript program, or
      anything in it that is neither a tensor, a plain container nor replaced.
  """
  is_zip = _check_archive(path)
  try:
    with torch.serialization.safe_globals(list(stand_ins)):
      return torch.load(
        path, map_location='cpu', mmap=is_zip, weights_only=True
      )
  except pickle.UnpicklingError as error:
    named = re.search(r'GLOBAL (\S+)', str(error))
    what = f' ({named[1]})' if named else ''
    raise InputError(
      f'{path}: refused, it holds more than tensors{what} and could run code; '
      'save the tensors alone'
    ) from None
  except _READ_ERRORS as error:
    raise InputError(f'{path}: cannot be read ({_first_line(error)})') from None


def unknown_names(path: pathlib.Path) -> list[str]:
  """Names in a file's pickle that `load` refuses; none before PyTorch 1.6.

  Raises:
    InputError: as `load`.
  """
  if not _check_archive(path):
    return []
  try:
    return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
  except pickle.UnpicklingError:
    return []  # load says it
  except _READ_ERRORS as error:
    raise InputError(f'{path}: cannot be read ({_first_line(error)})') from None


def _check_archive(path: pathlib.Path) -> bool:
  """Whether a file is a zip archive of torch.save; otherwise an old one."""
  if path.is_dir():
    raise InputError(f'{path}: a folder; give a file of torch.save')
  if not path.is_file():
    raise InputError(f'{path}: no such file')
  if not zipfile.is_zipfile(path):
    with open(path, 'rb') as file:
      if _LEGACY_MAGIC in file.read(32):
        return False
    raise InputError(
      f'{path}: not a whole file of torch.save; copy it again, or save it anew'
    )
  with zipfile.ZipFile(path) as archive:
    names = {name.rpartition('/')[2] for name in archive.namelist()}
  if 'constants.pkl' in names:
    raise InputError(
      f'{path}: a TorchScript program, which is not run; in PyTorch, '
      'torch.save(torch.jit.load(PATH).state_dict(), NEW) and give that'
    )
  if 'data.pkl' not in names:
    raise InputError(f'{path}: a zip archive, but not of torch.save')
  return True


def _first_line(error: Exception) -> str:
  return (str(error).splitlines() or [type(error).__name__])[0]


class WindowFile:
  """UltraLightRPPG's ubfc_processed.pt: {samples, labels}.

  samples are float32 (N, 8, 3, 36, 36, 3), pixels / 255; labels (N,) BPM.

  Attributes:
    path: of the file.
    num_windows: N.
    labels_bpm: float32 (N,); NaN where not known.
  """

  def __init__(self, path: pathlib.Path):
    """Maps the file and checks types and shapes.

    Raises:
      InputError: as `load`, or what it holds is something else.
    """
    self.path = path
    if not _check_archive(path):
      raise InputError(
        f'{path}: of PyTorch before 1.6, which cannot be read piece by piece; '
        'save it anew'
      )
    content = load(path)
    if not isinstance(content, dict) or not all(
      isinstance(content.get(name), torch.Tensor)
      for name in ('samples', 'labels')
    ):
      raise InputError(
        f'{path}: expected a dictionary of two tensors, samples and labels'
      )
    self._samples = content['samples']
    self._first_mapped = 0
    _check_samples(path, self._samples)
    self.num_windows = len(self._samples)
    self.labels_bpm = _labels(path, content['labels'], self.num_windows)

  def read(self, start: int, stop: int) -> np.ndarray:
    """Returns windows start ... stop - 1, uint8 (n, 8, 3, 36, 36, 3).

    Raises:
      InputError: a value is not a multiple of 1/255 in [0, 1].
    """
    span_bytes = (stop - self._first_mapped) * _WINDOW_BYTES
    # What lies between windows read is mapped too: the kernel reads ahead.
    if start < self._first_mapped or span_bytes > _MAX_MAPPED_BYTES:
      # The old mapping has to go first; torch.load leaves it in a cycle.
      del self._samples
      gc.collect()
      self._samples = load(self.path)['samples']
      self._first_mapped = start
    pixels = np.empty((stop - start, *WINDOW_SHAPE), np.uint8)
    for row, window in enumerate(self._samples[start:stop]):
      pixels[row] = self._pixels(start + row, window.numpy())
    return pixels

  def _pixels(self, index: int, window: np.ndarray) -> np.ndarray:
    """Checks and rounds one window."""
    levels = window * np.float32(255)
    rounded = np.rint(levels)
    levels -= rounded
    np.abs(levels, out=levels)
    # NaN fails every comparison.
    if not (
      levels.max() <= 255 * _PIXEL_TOLERANCE
      and rounded.min() >= 0
      and rounded.max() <= 255
    ):
      raise InputError(
        f'{self.path}: samples[{index}] is not pixels / 255 in [0, 1]; give '
        'windows that are neither normalised nor augmented'
      )
    return rounded.astype(np.uint8)


def _check_samples(path: pathlib.Path, samples: torch.Tensor) -> None:
  shape = tuple(samples.shape)
  if samples.dtype != torch.float32 or shape[1:] != WINDOW_SHAPE:
    raise InputError(
      f'{path}: samples: expected float32 {("N", *WINDOW_SHAPE)}, got '
      f'{str(samples.dtype).removeprefix("torch.")} {shape}'.replace("'", '')
    )
  if not shape[0]:
    raise InputError(f'{path}: samples: no window')


def _labels(
  path: pathlib.Path, labels: torch.Tensor, num_windows: int
) -> np.ndarray:
  """Checked labels; outside of what a label may be, they are not known."""
  shape = tuple(labels.shape)
  if shape != (num_windows,) or labels.dtype not in (
    torch.float32,
    torch.float64,
  ):
    raise InputError(
      f'{path}: labels: expected float32 or float64 ({num_windows},), one a '
      f'sample, got {str(labels.dtype).removeprefix("torch.")} {shape}'
    )
  # A copy: the mapping is let go while windows are read.
  bpm = np.array(labels.numpy(), np.float32)
  low, high = contract.MIN_LABEL_BPM, contract.MAX_LABEL_BPM
  known = (bpm >= low) & (bpm <= high)
  if not np.any(known):
    raise InputError(
      f'{path}: labels: none within {low:g}-{high:g}; are they BPM?'
    )
  return np.where(known, bpm, np.float32(np.nan))
