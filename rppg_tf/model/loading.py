"""Keras models of a run directory: built by its flags, with its weights."""

import os
import pathlib
from typing import Any

from rppg_tf import run_directory
from rppg_tf.errors import InputError

_TRAIN = '`python -m rppg_tf.train`'


def save_weights(model, path: pathlib.Path) -> None:
  """Saves Keras weights (.weights.h5), whole or not at all."""
  beside = path.with_name(f'.{path.name}')
  model.save_weights(beside)
  os.replace(beside, path)


def head_arguments(flags: dict[str, Any]) -> dict[str, int]:
  """Returns the arguments of the head's builder that the flags stand for."""
  if flags['head'] == 'pulse':
    return {'width': flags['width']}
  return {'window': flags['window'], 'frame_stride': flags['frame_stride']}


def load_float(run_dir: pathlib.Path):
  """Returns the best float model: (spatial CNN, head).

  Weights from elsewhere may have batch norm folded away already.
  """
  from rppg_tf.model.spatial_cnn import build_spatial_cnn

  path = run_dir / run_directory.SPATIAL_WEIGHTS
  spatial_cnn = build_spatial_cnn(
    batch_norm=not _is_folded(path),
    width=run_directory.read_flags(run_dir)['width'],
  )
  _load_weights(spatial_cnn, path, _TRAIN)
  return spatial_cnn, _load_head(run_dir, run_directory.HEAD_WEIGHTS, _TRAIN)


def _is_folded(path: pathlib.Path) -> bool:
  """Whether a file of CNN weights is there and has no batch norm."""
  import h5py

  try:
    with h5py.File(path) as file:
      return not any('norm' in name for name in file.get('layers', ['norm']))
  except OSError:
    # _load_weights says what is wrong.
    return False


def load_int8_head(run_dir: pathlib.Path):
  """Returns the head that was fine-tuned with the INT8 spatial CNN."""
  return _load_head(
    run_dir,
    run_directory.INT8_HEAD_WEIGHTS,
    '`python -m tools.export_tflite` in a checkout',
  )


def _load_head(run_dir: pathlib.Path, name: str, made_by: str):
  from rppg_tf.model.network import build_head

  flags = run_directory.read_flags(run_dir)
  head = build_head(flags['head'], **head_arguments(flags))
  _load_weights(head, run_dir / name, made_by)
  return head


def _load_weights(model, path: pathlib.Path, made_by: str) -> None:
  if not path.is_file():
    raise InputError(f'{path}: not there; run {made_by} first')
  try:
    model.load_weights(path)
  except (ValueError, OSError) as error:
    first_line = str(error).splitlines()[0]
    raise InputError(
      f'{path}: does not hold the weights of this model ({first_line})'
    ) from None
