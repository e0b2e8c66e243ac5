"""Losses and metrics with known answers, of labels and of teachers."""

import numpy as np
import pytest
import tensorflow as tf

from rppg_tf.training import losses
from tests.support.synthetic_teacher import peak


def test_pearson_loss_known_answers():
  time_s = np.arange(300, dtype=np.float32) / 30
  wave = np.sin(2 * np.pi * 1.2 * time_s)[np.newaxis].astype(np.float32)
  loss = losses.NegativePearson()
  assert loss(wave, 5 * wave + 3).numpy() == pytest.approx(0, abs=1e-5)
  assert loss(wave, -wave).numpy() == pytest.approx(2, abs=1e-5)
  assert loss(wave, 0 * wave).numpy() == pytest.approx(1, abs=1e-5)


def test_huber_loss_known_answers():
  loss = losses.HuberBpm(reduction='none')
  errors = loss(np.zeros((1, 3), 'f'), np.array([[1.0, 5.0, 15.0]], 'f'))
  np.testing.assert_allclose(errors, [[0.1, 2.5, 12.5]], rtol=1e-6)


def test_windows_without_a_label_do_not_count_in_the_metrics():
  mae = losses.MeanAbsoluteErrorBpm()
  rmse = losses.RootMeanSquaredErrorBpm()
  labels = np.array([[70.0, 0.0, 80.0]], 'f')
  estimates = np.array([[73.0, 99.0, 76.0]], 'f')
  weights = np.array([[1.0, 0.0, 1.0]], 'f')
  for metric in (mae, rmse):
    metric.update_state(labels, estimates, weights)
  assert mae.result().numpy() == pytest.approx(3.5)
  assert rmse.result().numpy() == pytest.approx(12.5**0.5)


def test_rates_like_the_teachers_cost_nothing():
  loss = losses.RateDistillation(2.0, reduction='none')
  rates = np.stack([peak(70), peak(120, 10)])[np.newaxis]
  np.testing.assert_allclose(loss(rates, rates), np.zeros((1, 2)), atol=1e-6)


def test_divergence_is_that_of_the_softened_distributions():
  teacher_p, student_p = (
    np.full(71, 1e-6, np.float32),
    np.full(71, 1e-6, np.float32),
  )
  teacher_p[:2], student_p[:2] = (0.8, 0.2), (0.2, 0.8)
  for temperature in (1.0, 2.0):
    soft = [
      (p + 1e-7) ** (1 / temperature) / ((p + 1e-7) ** (1 / temperature)).sum()
      for p in (teacher_p.astype(np.float64), student_p.astype(np.float64))
    ]
    expected = temperature**2 * np.sum(soft[0] * np.log(soft[0] / soft[1]))
    found = losses.RateDistillation(temperature)(
      teacher_p[None, None], student_p[None, None]
    )
    assert found.numpy() == pytest.approx(expected, rel=1e-4)


def test_the_gradient_leads_to_the_teacher_and_keeps_its_size():
  target = tf.constant(peak(100.0)[None, None])
  steps = {}
  for temperature in (2.0, 8.0):
    logits = tf.Variable(np.log(peak(90.0, 8.0) + 1e-7)[None, None])
    with tf.GradientTape() as tape:
      loss = losses.RateDistillation(temperature)(target, tf.nn.softmax(logits))
    step = -tape.gradient(loss, logits).numpy()[0, 0]
    assert step[30] > 0 > step[22]  # up at 100 BPM, down at 84
    steps[temperature] = np.abs(step).max()
  assert 0.2 < steps[8.0] / steps[2.0] < 5


def test_features_count_by_their_changes():
  rng = np.random.default_rng(1)
  features = rng.normal(size=(2, 300, 5)).astype(np.float32)
  loss = losses.FeatureDistillation(reduction='none')
  np.testing.assert_allclose(loss(features, 3 * features + 7), 0, atol=1e-4)
  np.testing.assert_allclose(loss(features, -features), 2, atol=1e-4)
