"""Distillation: what --teacher names → targets beside the labels.

A run directory, a Keras or TFLite file or a table of predictions: all become
the same per-frame columns, computed once and joined to the recordings before
clips are cut. A model as teacher is the table of what it predicts.
"""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tqdm

from rppg_tf import files, run_directory
from rppg_tf.data import dataset
from rppg_tf.data.teacher_targets import TEACHER
from rppg_tf.distillation import models
from rppg_tf.distillation import table as teacher_table
from rppg_tf.distillation.table import Table
from rppg_tf.errors import InputError
from rppg_tf.keras_compat import tf

# Of each recording, in the order in which they are read: float32 by name of
# teacher_table.COLUMNS, [frames] or [frames, values].
Columns = list[dict[str, np.ndarray]]


def predictions(
  teacher: pathlib.Path,
  data_dir: str,
  roi_geometry: str,
  subjects: Sequence[str],
) -> Table:
  """Reads a table, or has a model predict one.

  Args:
    teacher: run directory, .keras, .h5, .tflite, .npz or .csv.
    data_dir: the --data_dir of `tfds build`.
    roi_geometry: the dataset that a file reads; a run reads its own.
    subjects: of whom a model predicts; a table is read whole.

  Raises:
    InputError: nothing of that kind, or not usable.
  """
  if not teacher.exists():
    raise InputError(f'{teacher}: no such teacher')
  if teacher.is_dir():
    values = run_directory.read_flags(teacher)
    split = files.read_json(teacher / run_directory.SPLIT)
    trained_on = (*split['train'], *split['validation'])
    predict = models.run_predictor(teacher)
    roi_geometry = values['roi_geometry']
  elif teacher.suffix in teacher_table.SUFFIXES:
    return teacher_table.read(teacher)
  elif teacher.suffix in models.SUFFIXES:
    trained_on, predict = (), models.file_predictor(teacher)
  else:
    suffixes = (*models.SUFFIXES, *teacher_table.SUFFIXES)
    raise InputError(
      f'{teacher}: expected a run directory or a file that ends in one of '
      f'{" ".join(suffixes)}'
    )
  examples = dataset.load_recordings(data_dir, roi_geometry, subjects)
  names, tracks = [], []
  for example in tqdm.tqdm(
    examples.as_numpy_iterator(),
    'teacher',
    total=len(subjects),
    unit='recording',
    disable=None,  # only on a terminal
  ):
    names.append(example['subject'].decode())
    tracks.append(predict(example))
  keys = teacher_table.numbered(names)
  return Table(dict(zip(keys, tracks, strict=True)), trained_on)


def columns(
  teacher: pathlib.Path,
  data_dir: str,
  roi_geometry: str,
  split: Mapping[str, Sequence[str]],
) -> Columns:
  """Returns the teacher columns of the training recordings.

  Args:
    teacher: as for `predictions`.
    data_dir: the --data_dir of `tfds build`.
    roi_geometry: the dataset's configuration, `inner` or `original`.
    split: subjects of train, validation and test of the student.

  Raises:
    InputError: as `predictions` and teacher_table.join; or the teacher has
      learnt from subjects that the student is tested on.
  """
  table = predictions(teacher, data_dir, roi_geometry, split['train'])
  leaked = sorted(set(table.trained_on) & set(split.get('test', [])))
  if leaked:
    raise InputError(
      f'{teacher}: has learnt from {leaked[0]}, whom the student is tested on; '
      'train it on the same split'
    )
  recordings = dataset.recording_times(data_dir, roi_geometry, split['train'])
  return teacher_table.join(table, recordings, str(teacher))


def num_values(columns: Columns | None) -> dict[str, int]:
  """Returns how many values a frame has by name; nothing without a teacher."""
  if columns is None:
    return {}
  return {
    name: values.shape[1] if values.ndim > 1 else 1
    for name, values in columns[0].items()
  }


def attach(recordings: tf.data.Dataset, columns: Columns) -> tf.data.Dataset:
  """Puts the columns beside the labels, teacher_NAME each.

  Args:
    recordings: examples of tfds_ubfc, in the order of the columns.
    columns: of `columns`.
  """
  names = list(columns[0])
  shapes = [columns[0][name].shape[1:] for name in names]

  def add(index, example):
    values = tf.numpy_function(
      lambda number: [columns[number][name] for name in names],
      [index],
      [tf.float32] * len(names),
    )
    for name, value, shape in zip(names, values, shapes, strict=True):
      example[f'{TEACHER}{name}'] = tf.ensure_shape(value, [None, *shape])
    return example

  return recordings.enumerate().map(add)


def attach_missing(
  recordings: tf.data.Dataset, columns: Columns
) -> tf.data.Dataset:
  """As `attach`, for recordings without teacher outputs: all NaN."""
  shapes = {name: values.shape[1:] for name, values in columns[0].items()}

  def add(example):
    num_frames = tf.shape(example['timestamp_s'])[0]
    for name, shape in shapes.items():
      value = tf.fill((num_frames, *shape), np.float32(np.nan))
      example[f'{TEACHER}{name}'] = tf.ensure_shape(value, [None, *shape])
    return example

  return recordings.map(add)
