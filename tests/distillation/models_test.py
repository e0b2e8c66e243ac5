"""Models as teachers: Keras and TFLite files, runs, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf

from rppg_tf import run_directory
from rppg_tf.distillation import models
from rppg_tf.errors import InputError
from rppg_tf.inference import estimators
from rppg_tf.keras_compat import keras
from rppg_tf.model import loading
from tests.support import synthetic_examples, untrained_run


def _window_model(package, shape=(8, 3, 36, 36, 3)):
  """Green of frame 1 of the window, times 60, plus 60."""
  windows = package.layers.Input(shape)
  x = package.layers.Flatten()(windows)
  x = package.layers.Dense(1)(x)
  model = package.Model(windows, x)
  kernel = np.zeros(shape, np.float32)
  kernel[1, ..., 1] = 60 / kernel[1, ..., 1].size
  model.layers[-1].set_weights([kernel.reshape(-1, 1), np.array([60.0])])
  return model


def _expected_bpm(frames):
  """What _window_model says of each frame: the fifth of its window."""
  green = frames[..., 1].astype(np.float64).mean((1, 2, 3)) / 255 * 60 + 60
  rates = np.full(len(frames), np.nan)
  rates[4:-3] = green[1:-6]
  return rates


def _keras3():
  import keras as keras3

  return keras3


@pytest.mark.parametrize('package', [lambda: keras, _keras3])
@pytest.mark.parametrize('suffix', ['.keras', '.h5'])
def test_a_keras_file_says_the_rate_of_the_fifth_frame(
  tmp_path, package, suffix
):
  path = tmp_path / f'model{suffix}'
  _window_model(package()).save(path)
  example = synthetic_examples.example(num_frames=50)
  track = models.file_predictor(path)(example)
  np.testing.assert_allclose(
    track.columns['heart_rate_bpm'], _expected_bpm(example['frames']), rtol=1e-5
  )


@pytest.mark.parametrize('batch', [None, 1, 4])
def test_a_tflite_file_of_any_batch(tmp_path, batch):
  path = _tflite(tmp_path, batch)
  example = synthetic_examples.example(num_frames=50)
  track = models.file_predictor(path)(example)
  np.testing.assert_allclose(
    track.columns['heart_rate_bpm'], _expected_bpm(example['frames']), rtol=1e-5
  )
  short = models.file_predictor(path)(synthetic_examples.example(num_frames=5))
  assert np.all(np.isnan(short.columns['heart_rate_bpm']))


def _tflite(tmp_path, batch, shape=(8, 3, 36, 36, 3)):
  model = _window_model(keras, shape)
  spec = tf.TensorSpec((batch, *shape), tf.float32)
  concrete = tf.function(model).get_concrete_function(spec)
  converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
  path = tmp_path / 'model.tflite'
  path.write_bytes(converter.convert())
  return path


def test_models_that_are_refused(tmp_path):
  expected = r'expected float32 \(batch, T, 3, 36, 36, 3\) to \(batch, 1\), got'
  path = tmp_path / 'model.keras'
  _window_model(keras, (8, 3, 24, 24, 3)).save(path)
  with pytest.raises(InputError, match=rf'{expected} .*24, 24'):
    models.file_predictor(path)
  with pytest.raises(InputError, match=rf'{expected} .*24, 24'):
    models.file_predictor(_tflite(tmp_path, 1, (8, 3, 24, 24, 3)))
  ours = run_directory.PRETRAINED / run_directory.INT8_MODEL
  with pytest.raises(InputError, match=rf'{expected} int8 \(1, 36, 36, 3\)'):
    models.file_predictor(ours)
  for suffix in models.SUFFIXES:
    path = tmp_path / f'damaged{suffix}'
    path.write_bytes(b'nothing of the kind')
    with pytest.raises(InputError, match=f'damaged{suffix}: no'):
      models.file_predictor(path)


@pytest.mark.parametrize('suffix', ['.keras', '.h5'])
def test_code_in_a_keras_file_is_not_run(tmp_path, suffix):
  windows = keras.layers.Input((8, 3, 36, 36, 3))
  x = keras.layers.Lambda(lambda x: x)(windows)
  x = keras.layers.Dense(1)(keras.layers.Flatten()(x))
  path = tmp_path / f'model{suffix}'
  keras.Model(windows, x).save(path)
  with pytest.raises(InputError, match='Lambda layer, which is code'):
    models.file_predictor(path)


def test_a_run_says_what_evaluation_says(tmp_path):
  run_dir = untrained_run.write(tmp_path / 'run', width=2)
  example = synthetic_examples.example()
  predict = models.run_predictor(run_dir)
  columns = predict(example).columns
  assert columns['features'].shape == (synthetic_examples.NUM_FRAMES, 48)
  assert columns['rate_probability'].shape == (
    synthetic_examples.NUM_FRAMES,
    71,
  )
  # Windows of 300 samples: no rate where half of one does not fit.
  known = np.isfinite(columns['heart_rate_bpm'])
  assert known[152:206].all() and not known[:146].any()
  assert not known[214:].any()
  estimate = estimators.float_estimator(
    *loading.load_float(run_dir),
    run_directory.input_quantisation(run_dir),
  )(estimators.with_codes(example, 'normalise'))
  np.testing.assert_allclose(
    columns['heart_rate_bpm'][[150, 180, 210]],
    estimate.heart_rate_bpm,
    atol=1e-2,
  )
  np.testing.assert_allclose(columns['pulse'], estimate.pulse, atol=1e-3)
  # Of less than a window there is no rate.
  columns = predict(synthetic_examples.example(num_frames=200)).columns
  assert np.all(np.isnan(columns['heart_rate_bpm']))
  assert np.all(np.isfinite(columns['pulse']))
