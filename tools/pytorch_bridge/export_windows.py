"""A build of tfds_ubfc → windows as UltraLightRPPG was trained on.

samples float32 (N, 8, 3, 36, 36, 3), pixels / 255, RGB; labels float32 (N,),
BPM of each window's fifth frame. Windows whose labels are unknown, outside of
40-160 BPM or deviate by 15 BPM are left out, as UltraLightRPPG did.
"""

import os
import pathlib
import tempfile
import zipfile
from collections.abc import Iterator

import numpy as np

from rppg_tf import contract
from rppg_tf.data import clips
from rppg_tf.errors import InputError
from rppg_tf.keras_compat import tf

_WINDOW = contract.SEED_WINDOW_FRAMES
_SHAPE = (_WINDOW, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)
_BLOCK_WINDOWS = 256
SUFFIXES = ('.npz', '.pt')


def export(recordings: tf.data.Dataset, stride: int, path: pathlib.Path) -> int:
  """Writes windows, a block at a time, and beside them whose each is.

  Args:
    recordings: examples of tfds_ubfc; read twice.
    stride: frames from one window to the next, at least 1.
    path: ends in one of SUFFIXES; .pt needs PyTorch. PATH.subjects.txt gets
      the subject of each window in a line, as `dataset --subjects` reads it.

  Returns:
    Number of windows.

  Raises:
    InputError: another suffix, or no window has a label.
  """
  if path.suffix not in SUFFIXES:
    raise InputError(f'{path}: expected a name that ends in .npz or .pt')
  subjects, labels = [], []
  for example in recordings.as_numpy_iterator():
    _, known_labels = _labelled(example, stride)
    labels.append(known_labels)
    subjects += [example['subject'].decode()] * len(known_labels)
  labels_bpm = np.concatenate([*labels, np.zeros(0, np.float32)])
  if not subjects:
    raise InputError('no window with a label in these recordings')
  write = _write_npz if path.suffix == '.npz' else _write_pt
  path.parent.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory(dir=path.parent, prefix='.') as folder:
    beside = pathlib.Path(folder) / path.name
    names = pathlib.Path(folder) / f'{path.name}.subjects.txt'
    write(beside, labels_bpm, _samples(recordings, stride))
    names.write_text(''.join(f'{name}\n' for name in subjects))
    names.replace(path.with_name(names.name))
    beside.replace(path)
  return len(subjects)


def _labelled(example: dict, stride: int) -> tuple[np.ndarray, np.ndarray]:
  """Returns first frames and labels of a recording's windows that have one."""
  if len(example['heart_rate_bpm']) < _WINDOW:
    return np.zeros(0, np.int64), np.zeros(0, np.float32)
  shape = clips.clip_shape('window', _WINDOW, 1)
  labels, weights = clips.window_labels(example['heart_rate_bpm'], shape)
  starts = np.flatnonzero(weights.numpy()[::stride]) * stride
  return starts, labels.numpy()[starts]


def _samples(recordings: tf.data.Dataset, stride: int) -> Iterator[np.ndarray]:
  """Yields blocks of windows, float32 (n, 8, 3, 36, 36, 3)."""
  for example in recordings.as_numpy_iterator():
    starts, _ = _labelled(example, stride)
    for first in range(0, len(starts), _BLOCK_WINDOWS):
      block = starts[first : first + _BLOCK_WINDOWS, np.newaxis]
      frames = example['frames'][block + np.arange(_WINDOW)]
      yield frames.astype(np.float32) / np.float32(255)


def _write_npz(
  path: pathlib.Path, labels_bpm: np.ndarray, samples: Iterator[np.ndarray]
) -> None:
  """As np.savez would, without all samples in memory."""
  with zipfile.ZipFile(path, 'w') as archive:
    with archive.open('samples.npy', 'w', force_zip64=True) as file:
      header = {
        'descr': np.lib.format.dtype_to_descr(np.dtype(np.float32)),
        'fortran_order': False,
        'shape': (len(labels_bpm), *_SHAPE),
      }
      np.lib.format.write_array_header_1_0(file, header)
      for block in samples:
        file.write(np.ascontiguousarray(block).data.cast('B'))
    with archive.open('labels.npy', 'w') as file:
      np.lib.format.write_array(file, labels_bpm)


def _write_pt(
  path: pathlib.Path, labels_bpm: np.ndarray, samples: Iterator[np.ndarray]
) -> None:
  """As torch.save would, without all samples in memory.

  torch.save lays the file out for tensors that hold nothing; their bytes are
  then put in place. The archive's checksums, which PyTorch does not read,
  stay those of an empty file.
  """
  # Optional: .npz is written without it.
  import torch
  from torch._subclasses.fake_tensor import FakeTensorMode

  with FakeTensorMode():
    content = {
      'samples': torch.empty(len(labels_bpm), *_SHAPE),
      'labels': torch.empty(len(labels_bpm)),
    }
  with torch.serialization.skip_data(materialize_fake_tensors=True):
    torch.save(content, path)
  with FakeTensorMode():
    offsets = {
      name: tensor.untyped_storage()._checkpoint_offset
      for name, tensor in torch.load(path).items()
    }
  with open(path, 'r+b') as file:
    file.seek(offsets['samples'], os.SEEK_SET)
    for block in samples:
      file.write(np.ascontiguousarray(block).data.cast('B'))
    file.seek(offsets['labels'], os.SEEK_SET)
    file.write(labels_bpm.tobytes())
