"""Quantisation: what the files hold, ranges that settle, any run's weights."""

import numpy as np
import pytest

from rppg_tf import run_directory
from rppg_tf.errors import InputError
from rppg_tf.files import write_json
from rppg_tf.inference import estimators
from rppg_tf.model import loading, network
from rppg_tf.model.spatial_cnn import build_spatial_cnn, fold_batch_norm
from rppg_tf.quantisation import calibration, convert
from rppg_tf.signals import background
from tests.support import int8_models
from tools.quantisation import keep_best as keep_best_int8
from tools.quantisation import layers
from tools.tflite import graph, reader

pytestmark = pytest.mark.slow

_INPUT = background.input_quantisation('normalise')
_FILES = {
  'shipped': int8_models.shipped,
  'aware': int8_models.aware,
  'aware_raw': lambda: int8_models.aware('none'),
  'post_training': int8_models.post_training,
  'post_training_raw': lambda: int8_models.post_training('none'),
}


@pytest.mark.parametrize('name', _FILES)
def test_the_file_is_what_the_npu_takes(name):
  content = _FILES[name]()
  assert len(content) <= 16 * 1024
  graph = reader.read(content)
  assert graph.operator_names() == [
    'CONV_2D',
    'MAX_POOL_2D',
    'CONV_2D',
    'MAX_POOL_2D',
    'CONV_2D',
    'MEAN',
  ]
  (read,) = (graph.tensors[index] for index in graph.inputs)
  (written,) = (graph.tensors[index] for index in graph.outputs)
  assert (read.dtype, read.shape) == ('INT8', (1, 36, 36, 3))
  assert (written.dtype, written.shape) == ('INT8', (1, 16))
  # The very bytes of signals/background.py go in.
  scale, zero_point = (1 / 255, -128) if 'raw' in name else (1 / 128, 0)
  assert read.scales == (np.float32(scale),)
  assert read.zero_points == (zero_point,)
  for operator in graph.operators:
    # Nothing is below 0 after a ReLU: all 256 codes are for what is above.
    assert graph.output(operator).zero_points == (-128,)
    if operator.name == 'CONV_2D':
      kernel = graph.input(operator, 1)
      assert len(kernel.scales) == kernel.shape[0]
      assert set(kernel.zero_points) == {0}
  keep_best_int8.check(content)


def test_export_refuses_what_the_npu_would_not_run():
  with pytest.raises(
    InputError, match=r'spatial_int8.tflite: refused readable'
  ):
    keep_best_int8.check(b'no model')


def test_export_refuses_another_sequence_of_operators(monkeypatch):
  monkeypatch.setattr(graph, 'KNOWN_OPERATORS', ['CONV_2D', 'MEAN'])
  with pytest.raises(InputError, match='expected the operators CONV_2D, MEAN'):
    keep_best_int8.check(int8_models.shipped())


def test_the_first_ranges_are_those_of_the_data():
  cnn, codes = int8_models.trained_cnn(), int8_models.random_codes(96)
  content = int8_models.aware()
  images = calibration.values(codes, _INPUT)
  highest = [
    outputs.max()
    for outputs in layers.float_outputs(fold_batch_norm(cnn), images)
  ]
  # The pools take over the scale of what they read.
  highest[1], highest[3] = highest[0], highest[2]
  scales = [layer['scale'] for layer in layers.describe(content)[1:]]
  np.testing.assert_allclose(scales, np.array(highest) / 255, rtol=1e-4)


def test_ranges_settle_in_fine_tuning():
  """Training moves them little; no feature dies or sticks at its end."""
  aware = convert.quantisation_aware(
    int8_models.trained_cnn(), int8_models.random_codes(96), _INPUT
  )
  content = int8_models.aware()
  before = layers.describe(content)
  codes = int8_models.random_codes(64, seed=6)
  lived = _is_alive(content, codes)
  assert lived.sum() >= 12  # of an untrained network some may be dead
  aware.compile('sgd', 'mse')
  images = calibration.values(int8_models.random_codes(64, seed=5), _INPUT)
  aware.fit(images, aware(images), epochs=5, batch_size=8, verbose=0)
  content = convert.convert(aware)
  for old, new in zip(before, layers.describe(content), strict=True):
    assert new['zero_point'] == old['zero_point']
    assert new['scale'] == pytest.approx(old['scale'], rel=0.05)
  assert np.all(_is_alive(content, codes)[lived])
  features = layers.int8_outputs(content, codes)[-1]
  highest = 255 * layers.describe(content)[-1]['scale']
  assert np.mean(features >= highest * 0.999) < 0.01


def _is_alive(content: bytes, codes: np.ndarray) -> np.ndarray:
  """Whether each of the 16 features changes at all, bool [16]."""
  return layers.int8_outputs(content, codes)[-1].std(axis=0) > 0


@pytest.mark.parametrize('quantised', ['aware', 'post_training'])
def test_folded_weights_give_the_same_file(quantised):
  folded = fold_batch_norm(int8_models.trained_cnn())
  assert fold_batch_norm(folded) is folded
  if quantised == 'aware':
    codes = int8_models.random_codes(96)
    content = convert.convert(convert.quantisation_aware(folded, codes, _INPUT))
  else:
    codes = int8_models.random_codes(100)
    content = convert.post_training(folded, codes, _INPUT)
  images = int8_models.random_codes(8, seed=3)
  for normed, plain in zip(
    layers.int8_outputs(_FILES[quantised](), images),
    layers.int8_outputs(content, images),
    strict=True,
  ):
    np.testing.assert_array_equal(normed, plain)


@pytest.mark.parametrize('head_name', network.HEADS)
@pytest.mark.parametrize('folded', [False, True])
def test_a_run_may_hold_folded_weights(head_name, folded, tmp_path):
  cnn = int8_models.trained_cnn()
  written = fold_batch_norm(cnn) if folded else cnn
  values = {'head': head_name, 'window': 8, 'frame_stride': 1}
  write_json(tmp_path / run_directory.FLAGS, values)
  for name, model in (
    (run_directory.SPATIAL_WEIGHTS, written),
    (run_directory.HEAD_WEIGHTS, network.build_head(head_name)),
  ):
    loading.save_weights(model, tmp_path / name)
  read, _ = loading.load_float(tmp_path)
  assert read.count_params() == (9_712 if folded else 9_904)
  images = int8_models.random_codes(6) / np.float32(128)
  np.testing.assert_allclose(read(images), cnn(images), rtol=1e-4, atol=1e-5)


def test_no_weights_are_refused_in_one_line(tmp_path):
  values = {'head': 'pulse', 'window': 8, 'frame_stride': 1}
  write_json(tmp_path / run_directory.FLAGS, values)
  with pytest.raises(InputError, match='not there'):
    loading.load_float(tmp_path)
  (tmp_path / run_directory.SPATIAL_WEIGHTS).write_bytes(b'no weights')
  with pytest.raises(InputError, match='does not hold the weights'):
    loading.load_float(tmp_path)


def test_calibration_leaves_its_images_alone():
  codes = int8_models.random_codes(10)
  before = codes.copy()
  convert.post_training(build_spatial_cnn(), codes, _INPUT)
  np.testing.assert_array_equal(codes, before)


def test_the_epoch_of_the_lowest_mae_is_kept(tmp_path, monkeypatch):
  write_json(tmp_path / run_directory.FLAGS, {'background': 'normalise'})
  files = [int8_models.shipped() + bytes([epoch]) for epoch in range(3)]
  errors = [
    {'mae_bpm': 1.10, 'pulse_r': 0.80},
    {'mae_bpm': 1.09, 'pulse_r': 0.70},
    {'mae_bpm': 1.095, 'pulse_r': 0.90},
  ]
  by_epoch = zip(files, errors, strict=True)
  now = {}

  def next_epoch(_):
    now['file'], now['errors'] = next(by_epoch)
    return now['file']

  monkeypatch.setattr(convert, 'convert', next_epoch)
  monkeypatch.setattr(
    keep_best_int8.KeepBestInt8, '_errors', lambda *_: now['errors']
  )
  head = network.build_head('window')
  keep_best = keep_best_int8.KeepBestInt8(None, head, tmp_path, [])
  for epoch in (-1, 0, 1):
    keep_best.on_epoch_end(epoch)
  assert keep_best.best == errors[1]
  assert (tmp_path / run_directory.INT8_MODEL).read_bytes() == files[1]
  assert (tmp_path / run_directory.INT8_HEAD_WEIGHTS).exists()
  assert not list(tmp_path.glob('.spatial*'))


def test_int8_features_are_the_float_ones():
  cnn, codes = int8_models.trained_cnn(), int8_models.random_codes(96)
  exact = estimators.float_features(cnn, _INPUT, codes).reshape(-1, 16)
  for content in (int8_models.aware(), int8_models.post_training()):
    features = layers.int8_outputs(content, codes)[-1]
    assert layers.signal_to_noise_db(exact, features) > 30
