"""The leaky protocol: which windows are on which side, and what is compared."""

import numpy as np
import tensorflow as tf

from rppg_tf import contract
from rppg_tf.data import clips, splits
from rppg_tf.data import window_split as data_window_split
from rppg_tf.evaluation import window_split
from rppg_tf.inference import estimates as inference_estimates

_SHAPE = clips.clip_shape('window', 8, 1)


def _prepared(num_frames=400):
  """One recording as clips.prepare gives it, its labels at 72 BPM."""
  time_s = np.arange(num_frames) / 30
  codes = np.zeros(
    (num_frames, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE), np.int8
  )
  values = {
    'codes': codes,
    'chrominance': np.zeros((num_frames, contract.NUM_CHROMINANCE), np.int16),
    'timestamp_s': time_s,
    'ppg': np.sin(time_s).astype(np.float32),
    'heart_rate_bpm': np.full(num_frames, 72, np.float32),
  }
  return tf.data.Dataset.from_tensors(values)


def test_every_frame_is_in_one_split():
  time_s = np.arange(10_000) / 30
  sides = [data_window_split.is_in(s, time_s).numpy() for s in splits.SPLITS]
  np.testing.assert_array_equal(np.sum(sides, axis=0), 1)
  np.testing.assert_allclose(np.mean(sides, axis=1), (0.7, 0.1, 0.2), atol=0.02)
  # Neighbours are on different sides: what leaks.
  trained, _, tested = sides
  beside = trained[:-2] | trained[2:]
  assert np.mean(beside[tested[1:-1]]) > 0.85


def test_in_a_graph_it_is_the_same():
  time_s = np.random.default_rng(0).uniform(0, 60, 500)
  in_graph = tf.function(lambda t: data_window_split.is_in('test', t))(time_s)
  np.testing.assert_array_equal(
    in_graph, data_window_split.is_in('test', time_s)
  )


def test_only_training_windows_weigh_in_training():
  batches = data_window_split.training_clips(_prepared(), _SHAPE, 2, 4, seed=1)
  weights = np.concatenate([w['heart_rate_bpm'] for _, _, w in batches])
  assert weights.shape == (4, 293)
  assert set(np.unique(weights)) == {0, 1}
  assert 0.6 < weights.mean() < 0.8


def test_windows_weigh_by_the_frame_that_they_end_at():
  (batch,) = data_window_split.validation_clips(_prepared(330), _SHAPE, 1)
  inputs, targets, weights = batch
  # 300 samples up to the last frame; the window of 8 ends at each from 7 on.
  end_frames = inputs['newer'][0].numpy()[7:]
  np.testing.assert_allclose(end_frames, 30 + np.arange(7, 300), atol=1)
  end_s = end_frames / 30
  np.testing.assert_array_equal(
    weights['heart_rate_bpm'][0],
    data_window_split.is_in('validation', end_s).numpy().astype(np.float32),
  )
  np.testing.assert_allclose(targets['heart_rate_bpm'], 72, rtol=1e-6)
  assert inputs['codes'].shape == (1, 330, 3, 36, 36, 3)


def test_a_clip_of_the_pulse_head_weighs_as_its_window_does():
  shape = clips.clip_shape('pulse', 8, 1)
  batches = data_window_split.training_clips(_prepared(), shape, 1, 40, seed=1)
  kept = []
  for _, _, weights in batches:
    assert weights['heart_rate_bpm'].shape == (1, 1)
    kept.append(weights['pulse'].numpy().item())
    assert weights['heart_rate_bpm'].numpy().item() == kept[-1]
  assert 0.4 < np.mean(kept) < 0.95


def test_rows_are_of_test_windows_after_10_s():
  num_frames = 450
  time_s = np.arange(num_frames) / 30
  rising = 70 + time_s
  recording = {
    'subject': b'subject9',
    'timestamp_s': time_s,
    'heart_rate_bpm': rising.astype(np.float32),
  }
  estimates = {
    'model': inference_estimates.Estimates(
      np.arange(num_frames - 7, dtype=np.float32)
    ),
    'pos': inference_estimates.Estimates(
      np.zeros(6, np.float32), np.sin(2 * np.pi * 1.5 * time_s)
    ),
  }
  rows = window_split.window_rows(recording, estimates, _SHAPE, 100.0)
  tested = data_window_split.is_in('test', time_s).numpy()
  ends = [end for end in range(299, num_frames) if tested[end]]
  assert [round(30 * time_s) - 1 for time_s in rows['time_s']] == ends
  for (_, row), end in zip(rows.iterrows(), ends, strict=True):
    assert row['model'] == end - 7
    # The label is that of the frame in the middle: 3 before the last.
    np.testing.assert_allclose(row['reference_bpm'], rising[end - 3], rtol=1e-5)
    np.testing.assert_allclose(row['pos'], 90, atol=0.1)
    assert row['subject_was_trained_on'] == 1
    assert row['train_mean'] == 100
  trained = data_window_split.is_in('train', time_s[7:]).numpy()
  np.testing.assert_allclose(
    rows['subject_mean'][0], rising[4:-3][trained].mean(), rtol=1e-5
  )
