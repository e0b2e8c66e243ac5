"""Shapes, parameters and batch-independence of the models; INT8 conversion."""

import numpy as np
import pytest

from rppg_tf import contract
from rppg_tf.distillation import network as distillation_network
from rppg_tf.inference import estimates, estimators
from rppg_tf.inference.int8_cnn import Int8SpatialCnn
from rppg_tf.keras_compat import keras
from rppg_tf.model import network
from rppg_tf.model.spatial_cnn import build_spatial_cnn, fold_batch_norm
from rppg_tf.quantisation import convert
from rppg_tf.signals import background, chrominance, resampling
from tests.support import int8_models

_INPUT = background.input_quantisation('normalise')


@pytest.fixture(scope='module')
def trained_cnn():
  return int8_models.trained_cnn()


def test_parameters_by_part():
  assert build_spatial_cnn().count_params() == 9_904
  assert network.build_head('pulse').count_params() == 6_405
  assert network.build_head('window').count_params() == 10_353


def test_a_wider_model_says_as_many_features(trained_cnn):
  wide = build_spatial_cnn(width=2)
  assert wide.get_layer('conv2').filters == 64
  assert wide.output_shape == trained_cnn.output_shape == (None, 16)
  assert fold_batch_norm(wide).get_layer('conv1').filters == 32
  head = network.build_head('pulse', width=2)
  assert head.get_layer('pulse_conv1').filters == 32
  assert head.get_layer('rate_conv2').filters == 16
  joined = network.build_network(wide, head, _INPUT)
  assert joined.count_params() == 28_960 + 16_517


def test_layers_are_named_and_none_is_time_distributed(trained_cnn):
  for head in network.HEADS:
    model = network.build_network(trained_cnn, network.build_head(head), _INPUT)
    for layer in model.layers:
      assert not isinstance(
        layer, (keras.layers.TimeDistributed, keras.layers.Lambda)
      )


def test_a_model_over_100k_parameters_is_refused(trained_cnn):
  head = network.build_head('window', window=200)
  with pytest.raises(ValueError, match='under 100000 parameters'):
    network.build_network(trained_cnn, head, _INPUT)


def test_nothing_of_the_teacher_is_in_the_student():
  cnn, head = build_spatial_cnn(), network.build_head('pulse')
  joined = network.build_network(cnn, head, _INPUT)
  distilled = distillation_network.with_teacher(
    joined, {'heart_rate_bpm': 1, 'features': 7}
  )
  assert distilled.output_shape['teacher_features'] == (None, None, 7)
  assert 'teacher_pulse' not in distilled.output
  assert distilled.count_params() - joined.count_params() == 48 * 7 + 7
  assert (cnn.count_params(), head.count_params()) == (9_904, 6_405)
  distilled = distillation_network.with_teacher(
    joined, {'heart_rate_bpm': 1, 'features': 48}
  )
  assert distilled.count_params() == 9_904 + 6_405


def test_folding_batch_norm_changes_nothing(trained_cnn):
  images = int8_models.random_codes(64) / np.float32(128)
  folded = fold_batch_norm(trained_cnn)
  assert folded.count_params() == 9_712
  np.testing.assert_allclose(
    folded(images), trained_cnn(images), rtol=1e-4, atol=1e-5
  )


@pytest.mark.parametrize('head_name', network.HEADS)
def test_a_clip_gives_what_its_frames_give_one_by_one(trained_cnn, head_name):
  rng = np.random.default_rng(3)
  codes = int8_models.random_codes(3 * 340).reshape(340, 3, 36, 36, 3)
  colour = rng.integers(-1024, 1024, (340, 4), np.int16)
  timestamp_s = np.cumsum(rng.uniform(0.02, 0.05, 340))
  head = network.build_head(head_name)
  joined = network.build_network(trained_cnn, head, _INPUT)
  older, newer, fraction = resampling.grid_positions(timestamp_s)
  inputs = {
    'codes': codes[np.newaxis],
    'chrominance': colour[np.newaxis],
    'older': older[np.newaxis],
    'newer': newer[np.newaxis],
    'fraction': fraction[np.newaxis],
  }
  clip = joined(inputs)['heart_rate_bpm'].numpy()[0]
  features = estimators.float_features(trained_cnn, _INPUT, codes)
  assert features.shape == (340, contract.NUM_ROI_FEATURES)
  features = chrominance.append(features, colour)
  assert features.shape == (340, contract.NUM_FRAME_FEATURES)
  alone = estimators.head_outputs(head, features, timestamp_s)
  alone = alone['heart_rate_bpm']
  np.testing.assert_allclose(clip, alone, atol=2e-2)


def test_host_batches_give_the_bytes_of_single_frames(trained_cnn, tmp_path):
  images = int8_models.random_codes(201)
  aware = convert.quantisation_aware(trained_cnn, images, _INPUT)
  path = tmp_path / 'spatial_int8.tflite'
  path.write_bytes(convert.convert(aware))
  codes = images.reshape(67, 3, 36, 36, 3)
  together = Int8SpatialCnn(path).frame_features(codes)
  one_by_one = Int8SpatialCnn(path)
  for index in (0, 31, 32, 66):
    alone = one_by_one.frame_features(codes[index : index + 1])
    np.testing.assert_array_equal(alone[0], together[index])


def test_median_of_a_short_window_head_over_ten_seconds():
  steps = np.arange(340 - 7, dtype=np.float32)
  medians = estimates.median_of_windows(steps, 340)
  # The first 10 s hold the estimates 0 ... 292, the next 30 ... 322.
  assert medians.tolist() == [146.0, 176.0]
