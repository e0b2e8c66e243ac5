"""Recordings → clips: what the network is trained on."""

import dataclasses

import numpy as np
import tensorflow as tf

from rppg_tf import contract
from rppg_tf.data import augmentation, clips, pipeline
from rppg_tf.model import network
from rppg_tf.model.spatial_cnn import build_spatial_cnn
from rppg_tf.signals import background, resampling
from rppg_tf.training import sources
from tests.support import synthetic_examples, synthetic_teacher

_SHAPE = clips.ClipShape(num_samples=320, num_frames=360)


def _recording(rate_hz=30.0, num_frames=500, bpm=72.0):
  """A recording whose codes hold the frame's number in every pixel."""
  frames = np.empty((num_frames, 3, 36, 36, 3), np.uint8)
  frames[:] = (np.arange(num_frames) % 128)[:, None, None, None, None]
  timestamp_s = np.arange(num_frames) / rate_hz
  return {
    'frames': frames,
    'timestamp_s': timestamp_s,
    'face_found': np.ones(num_frames, bool),
    'mid_face_rgb': np.full((num_frames, 3), 100, np.float32),
    'ppg': np.sin(2 * np.pi * bpm / 60 * timestamp_s).astype(np.float32),
    'heart_rate_bpm': np.full(num_frames, bpm, np.float32),
  }


def _prepared(*recordings, mode='none'):
  examples = [
    tf.data.Dataset.from_tensors(recording) for recording in recordings
  ]
  joined = examples[0]
  for example in examples[1:]:
    joined = joined.concatenate(example)
  return pipeline.prepare(joined, mode).cache()


def test_whole_clip_at_speed_1_is_the_grid_of_the_recording():
  item = next(iter(_prepared(_recording(25.0))))
  inputs, targets, weights = clips.cut_clip(
    item, tf.constant(0), tf.constant(1.0, tf.float64), _SHAPE
  )
  older = inputs['older'].numpy()
  assert inputs['codes'].dtype == tf.int8
  assert older[-1] == 358  # the grid ends with the clip's last frame
  positions = older + inputs['fraction'].numpy()
  np.testing.assert_allclose(np.diff(positions), 25 / 30, atol=1e-5)
  np.testing.assert_allclose(targets['heart_rate_bpm'], 72.0, rtol=1e-6)
  assert weights['heart_rate_bpm'].numpy().tolist() == [1.0]


def test_the_clips_grid_is_feature_timelines():
  item = next(iter(_prepared(_recording(30.0, 330))))
  shape = dataclasses.replace(_SHAPE, num_samples=330, num_frames=330)
  inputs, _, _ = clips.cut_clip(
    item, tf.constant(0), tf.constant(1.0, tf.float64), shape
  )
  older, newer, fraction = resampling.grid_positions(np.arange(330) / 30)
  features = np.random.default_rng(1).normal(size=330)
  ours = features[inputs['older']] * (1 - inputs['fraction'].numpy())
  ours += features[inputs['newer']] * inputs['fraction'].numpy()
  theirs = features[older] * (1 - fraction) + features[newer] * fraction
  np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_faster_clip_has_a_higher_rate_and_a_faster_pulse():
  item = next(iter(_prepared(_recording())))
  _, targets, _ = clips.cut_clip(
    item, tf.constant(100), tf.constant(1.1, tf.float64), _SHAPE
  )
  np.testing.assert_allclose(targets['heart_rate_bpm'], 79.2, rtol=1e-6)
  spectrum = np.abs(np.fft.rfft(targets['pulse'] * np.hanning(320), 18000))
  assert abs(np.argmax(spectrum) * 1800 / 18000 - 79.2) <= 0.6


def test_turning_shuffles_rois_and_mirrors_alike_in_every_frame():
  codes = np.zeros((2, 3, 36, 36, 3), np.int8)
  codes[:, :, 5, 0] = np.array([10, 20, 30])[:, np.newaxis]
  seen = set()
  for seed in range(200):
    turned = augmentation.turn_codes(codes, tf.constant([seed, 0])).numpy()
    assert turned.sum() == codes.sum()
    np.testing.assert_array_equal(turned[0], turned[1])
    (row,), (column,) = {5, 30} & set(_where(turned, 1)), set(_where(turned, 2))
    order = tuple(turned[0, :, row, column, 0])
    seen.add((order, row, column))
  # 6 orders of the ROIs, upside down or not, mirrored or not.
  assert len(seen) == 24
  assert {column for _, _, column in seen} == {0, 35}


def _where(codes, axis: int) -> list[int]:
  """Returns the coordinates along an axis of frame 0 that are not zero."""
  return np.unique(np.nonzero(codes[0])[axis]).tolist()


def test_windows_without_a_steady_known_rate_weigh_nothing():
  shape = clips.ClipShape(window=8, window_stride=8, label='middle')
  rates = np.full(40, 80, np.float32)
  rates[4] = 84.0  # middle of window 0
  rates[9] = np.nan
  rates[17] = 39.0
  rates[24:32] = [60, 60, 60, 60, 90, 90, 90, 90]  # deviates by exactly 15
  labels, weights = clips.window_labels(tf.constant(rates), shape)
  assert weights.numpy().tolist() == [1, 0, 0, 0, 1]
  assert labels.numpy().tolist() == [84, 0, 0, 0, 80]


def test_seed_windows_at_any_frame_stride():
  shape = clips.ClipShape(
    window=8, window_spacing=4, window_stride=1, label='middle'
  )
  rates = tf.range(60, 100, dtype=tf.float32)
  labels, _ = clips.window_labels(rates, shape)
  assert labels.shape == (40 - 28,)
  assert labels.numpy()[0] == 60 + 4 * 4  # frame T // 2 of 0, 4, ... 28


def test_fast_cameras_are_thinned_and_slow_ones_are_not():
  for rate_hz, kept_hz in ((25, 25), (30, 30), (60, 30), (120, 30)):
    item = next(iter(_prepared(_recording(float(rate_hz), 480))))
    step_s = np.diff(item['timestamp_s']).mean()
    np.testing.assert_allclose(1 / step_s, kept_hz, rtol=1e-6)


def test_batches_are_reproducible_and_differ_between_epochs():
  prepared = _prepared(_recording(), _recording(bpm=100.0))
  runs = []
  for _ in range(2):
    batches = pipeline.training_clips(prepared, _SHAPE, 2, 2, seed=3)
    epochs = [
      [inputs['codes'].numpy()[:, 0, 0, 0, 0, 0] for inputs, _, _ in batches]
      for _ in range(2)
    ]
    runs.append(np.array(epochs))
  np.testing.assert_array_equal(runs[0], runs[1])
  assert (runs[0][0] != runs[0][1]).any()
  assert runs[0].shape == (2, 2, 2)


def test_validation_covers_each_recording_once():
  prepared = _prepared(_recording(30.0, 720), _recording(30.0, 100))
  starts = [
    int(inputs['codes'][0, 0, 0, 0, 0, 0]) + 128
    for inputs, _, _ in pipeline.validation_clips(prepared, _SHAPE, 1)
  ]
  assert starts == [0, 360 % 128]  # and the short one gives none


def test_the_contract_fits_the_clip():
  shape = clips.ClipShape()
  assert shape.num_samples >= contract.WINDOW_SAMPLES
  clip_s = shape.num_samples / contract.GRID_RATE_HZ
  assert shape.num_frames >= clip_s * pipeline.MAX_TRAINING_RATE_HZ


def test_a_head_on_encoded_recordings_sees_what_the_whole_network_sees():
  cnn, head = build_spatial_cnn(), network.build_head('pulse')
  quantisation = background.input_quantisation('normalise')
  prepared = _prepared(_recording(30.0), mode='normalise')
  encoded = sources.encoded_recordings(prepared, cnn, quantisation)
  outputs = []
  for recordings, joined in (
    (prepared, network.build_network(cnn, head, quantisation)),
    (encoded, network.build_head_network(head)),
  ):
    ((inputs, targets, _),) = pipeline.validation_clips(recordings, _SHAPE, 1)
    assert set(targets) == set(_SHAPE.targets)
    outputs.append(joined(inputs, training=False)['pulse'].numpy())
  assert outputs[0].shape == (1, _SHAPE.num_samples)
  np.testing.assert_allclose(*outputs, atol=1e-3)


def test_shuffled_features_keep_rois_whole_and_chrominance_behind():
  features = np.tile(np.arange(52, dtype=np.float32), (5, 1))
  seen = set()
  for seed in range(20):
    turned = augmentation.shuffle_features(
      tf.constant(features), [seed, 1]
    ).numpy()
    np.testing.assert_array_equal(turned[:, 48:], features[:, 48:])
    rois = turned[0, :48].reshape(3, 16)
    np.testing.assert_array_equal(rois % 16, np.tile(np.arange(16), (3, 1)))
    seen.add(tuple(rois[:, 0].tolist()))
  assert len(seen) > 3


def test_features_go_with_their_rois():
  columns = synthetic_teacher.every_column()
  columns['features'] = np.tile(
    np.repeat([1.0, 2, 3], 16), (synthetic_examples.NUM_FRAMES, 1)
  )
  columns['features'] = columns['features'].astype(np.float32)
  item = synthetic_teacher.prepared(columns)
  # Each ROI one colour, so that its place in the clip can be told.
  item['codes'] = tf.ones_like(item['codes']) * tf.reshape(
    tf.constant([1, 2, 3], tf.int8), (1, 3, 1, 1, 1)
  )
  orders = set()
  for seed in range(8):
    inputs, targets, _ = augmentation.random_clip(
      item, [seed, 0], synthetic_teacher.SHAPE
    )
    codes = inputs['codes'][0, :, 0, 0, 0].numpy()
    np.testing.assert_allclose(targets['teacher_features'][0, ::16], codes)
    orders.add(tuple(codes))
  assert len(orders) > 2
