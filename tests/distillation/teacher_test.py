"""Distillation: what a teacher makes of a student, and who may be one."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from rppg_tf.data import clips, pipeline
from rppg_tf.distillation import network as distillation_network
from rppg_tf.distillation import teacher
from rppg_tf.distillation.table import Table, Track
from rppg_tf.errors import InputError
from rppg_tf.keras_compat import keras
from rppg_tf.model import network
from rppg_tf.training import losses, objective
from tests.support import commands, synthetic_examples
from tests.support.synthetic_teacher import (
  SHAPE,
  cut,
  every_column,
  prepared,
  rates_alone,
)

pytestmark = pytest.mark.slow


def test_recordings_without_a_teacher_go_beside_those_with_one():
  """As --patch_recordings do."""
  columns = every_column()
  example = tf.data.Dataset.from_tensors(synthetic_examples.example())
  with_outputs = teacher.attach(example, [columns])
  without = teacher.attach_missing(example, [columns])
  joined = pipeline.prepare(with_outputs.concatenate(without), 'normalise')
  shares = [float(cut(item)[2]['teacher_heart_rate_bpm'][0]) for item in joined]
  assert shares == [0.25, 0.0]


def _head_network(head_name, columns, shape):
  """A head that a teacher's columns are held against, and a clip for it."""
  keras.utils.set_random_seed(1)
  item = prepared(columns)
  item = {n: item[n] for n in item if n not in ('codes', 'chrominance')}
  noise = np.random.default_rng(1).normal(
    size=(synthetic_examples.NUM_FRAMES, 52)
  )
  item['features'] = noise.astype(np.float32)
  batches = pipeline.validation_clips(
    tf.data.Dataset.from_tensors(item), shape, 1
  )
  joined = distillation_network.with_teacher(
    network.build_head_network(network.build_head(head_name)),
    teacher.num_values([columns]),
  )
  objective.compile_network(
    joined, 0.01, 60, 2.0, 1.0, objective.TeacherLoss(False, 2.0, 0.5)
  )
  return joined, batches.cache()


def test_a_teacher_with_rates_alone_is_held_against_as_a_label_is():
  shape = dataclasses.replace(SHAPE, teacher_weight=1.0)
  joined, batches = _head_network('pulse', rates_alone(90.0), shape)
  found = joined.evaluate(batches, verbose=0, return_dict=True)
  ((inputs, _, _),) = batches
  outputs = joined(inputs, training=False)
  expected = {
    'teacher_heart_rate_bpm': losses.HuberBpm(),
    'teacher_rate_probability': losses.RateCrossEntropy(),
  }
  for name, loss in expected.items():
    value = loss(tf.constant([[90.0]]), outputs[name]).numpy()
    assert found[f'{name}_loss'] == pytest.approx(value, rel=1e-3)
  # All the weight is the teacher's where there are outputs; there are none for
  # the pulse.
  assert found['heart_rate_bpm_loss'] == found['rate_probability_loss'] == 0
  assert found['pulse_loss'] > 0 and 'teacher_pulse_loss' not in found


def test_a_head_follows_its_teacher():
  """Labels say 80, the teacher 90: with all the weight it wins."""
  shape = dataclasses.replace(
    clips.clip_shape('window', 8, 1), teacher_weight=1.0
  )
  joined, batches = _head_network('window', rates_alone(90.0), shape)
  joined.fit(batches.repeat(), epochs=1, steps_per_epoch=40, verbose=0)
  ((inputs, _, _),) = batches
  found = joined(inputs, training=False)['heart_rate_bpm'].numpy()
  assert np.median(found) == pytest.approx(90, abs=3)


def test_the_table_of_a_run_makes_the_student_that_the_run_makes(tmp_path):
  done = commands.run('tests.support.distilled_twice', tmp_path)
  assert done.returncode == 0, done.stderr
  weights = np.load(tmp_path / 'students.npz')
  of_run = {n: w for n, w in weights.items() if n.startswith('run_')}
  assert len(of_run) == len(weights) / 2 == 28
  for name, values in of_run.items():
    np.testing.assert_array_equal(
      values, weights[name.replace('run_', 'table.npz_')]
    )


def test_a_teacher_that_has_seen_the_test_is_refused(monkeypatch):
  table = Table(
    {('s1', 0): Track(synthetic_examples.TIMES_S, rates_alone())}, ('s1', 's3')
  )
  monkeypatch.setattr(teacher, 'predictions', lambda *_: table)
  split = {'train': ['s1'], 'validation': ['s2'], 'test': ['s3']}
  with pytest.raises(InputError, match='has learnt from s3'):
    teacher.columns('run', 'data', 'inner', split)


def test_names_that_are_no_teacher(tmp_path):
  path = tmp_path / 'teacher.pth'
  path.touch()
  with pytest.raises(InputError, match='expected a run directory or a file'):
    teacher.predictions(path, 'data', 'inner', [])
  with pytest.raises(InputError, match=r'is .* a run directory'):
    teacher.predictions(tmp_path, 'data', 'inner', [])
