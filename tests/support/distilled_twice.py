"""One student of a run directory and one of the table that it predicts.

  python -m tests.support.distilled_twice FOLDER

writes FOLDER/students.npz, the weights of both after two steps. In a process
of its own: on several threads TensorFlow's sums are not the same twice.
"""

import pathlib
import sys

import numpy as np
import tensorflow as tf

from rppg_tf.data import clips, dataset, pipeline
from rppg_tf.distillation import network as distillation_network
from rppg_tf.distillation import table as teacher_table
from rppg_tf.distillation import teacher
from rppg_tf.keras_compat import keras
from rppg_tf.model import network
from rppg_tf.model.spatial_cnn import build_spatial_cnn
from rppg_tf.signals import background
from rppg_tf.training import objective, sources
from tests.support import synthetic_examples, untrained_run

_SPLIT = {'train': ['subject1', 'subject2'], 'test': ['subject3']}


def main(folder: pathlib.Path) -> None:
  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)
  examples = [
    synthetic_examples.example(number, 335, f'subject{number}')
    for number in (1, 2)
  ]
  dataset.load_recordings = lambda *_: synthetic_examples.dataset(examples)
  dataset.recording_times = lambda *_: [
    (one['subject'].decode(), one['timestamp_s']) for one in examples
  ]
  run_dir = untrained_run.write(folder / 'run')
  table = teacher.predictions(run_dir, 'data', 'inner', _SPLIT['train'])
  teacher_table.write(folder / 'table.npz', table)
  students = {}
  for name in ('run', 'table.npz'):
    for index, values in enumerate(_student(folder / name)):
      students[f'{name}_{index}'] = values
  np.savez(folder / 'students.npz', **students)


def _student(named: pathlib.Path) -> list[np.ndarray]:
  """Trains as rppg_tf.train does; returns the weights of both parts."""
  columns = teacher.columns(named, 'data', 'inner', _SPLIT)
  keras.utils.set_random_seed(1)
  recordings = sources.prepared_recordings(
    'data', 'inner', 'normalise', _SPLIT['train'], columns
  )
  shape = clips.ClipShape(teacher_weight=0.5)
  batches = pipeline.training_clips(recordings, shape, 1, 1, seed=1)
  cnn, head = build_spatial_cnn(), network.build_head('pulse')
  joined = network.build_network(
    cnn, head, background.input_quantisation('normalise')
  )
  joined = distillation_network.with_teacher(
    joined, teacher.num_values(columns)
  )
  loss = objective.TeacherLoss(True, 2.0, 0.5)
  objective.compile_network(joined, 2e-3, 2, 2.0, 1.0, loss)
  # Validation has labels alone.
  validation = pipeline.validation_clips(
    pipeline.prepare(dataset.load_recordings().take(1), 'normalise'), shape, 1
  )
  history = joined.fit(batches, validation_data=validation, verbose=0).history
  assert np.isfinite(history['val_loss']).all(), history
  assert 'teacher_features_loss' in history, history
  return [*cnn.get_weights(), *head.get_weights()]


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1]))
