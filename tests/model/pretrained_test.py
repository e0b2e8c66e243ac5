"""The shipped model on a fresh rendered recording of exactly 72 BPM."""

import numpy as np
import pytest

from rppg_tf import run_directory
from rppg_tf.data import recordings
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.inference import estimators
from rppg_tf.inference.c_head import CompiledHead, compare_with_keras
from rppg_tf.inference.int8_cnn import Int8SpatialCnn
from rppg_tf.keras_compat import keras
from rppg_tf.model import loading
from rppg_tf.model.pulse_head import build_pulse_head
from rppg_tf.model.window_head import build_window_head
from rppg_tf.signals import chrominance
from tests.support import commands
from tools.codegen.temporal_head import render_temporal_head

pytestmark = pytest.mark.slow

_RUN = run_directory.PRETRAINED


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
  """45 s of a face that no training has seen, its heart at 72 BPM."""
  folder = tmp_path_factory.mktemp('rendered')
  commands.run_well(
    'tools.render_recordings',
    f'--output_dir={folder}',
    '--num_recordings=1',
    '--first_subject=7072',
    '--seed=72',
    '--heart_rate_bpm=72',
    '--duration_s=45',
    '--fps=15',
  )
  read = recordings.read_recording(folder / 'DATASET_2' / 'subject7072')
  return estimators.with_codes(read, 'normalise')


@pytest.fixture(scope='module')
def int8_cnn():
  """The shipped INT8 CNN."""
  return Int8SpatialCnn(_RUN / run_directory.INT8_MODEL)


def test_72_bpm_reads_72_through_the_labels(recording):
  rates = recording['heart_rate_bpm']
  assert np.isfinite(rates).all()
  assert abs(rates.mean() - 72) <= 1


def test_72_bpm_reads_72_through_the_float_network(recording):
  estimator = estimators.float_estimator(
    *loading.load_float(_RUN), run_directory.input_quantisation(_RUN)
  )
  _assert_reads_72(estimator(recording))


def test_72_bpm_reads_72_through_int8_and_c(recording, int8_cnn):
  estimator = estimators.int8_c_estimator(int8_cnn, CompiledHead(_RUN))
  _assert_reads_72(estimator(recording))


def _assert_reads_72(estimates: inference_estimates.Estimates) -> None:
  bpm = estimates.heart_rate_bpm
  assert len(bpm) in (35, 36)
  assert abs(np.mean(bpm) - 72) <= 1
  assert abs(np.median(bpm) - 72) <= 1


def _features(recording, int8_cnn) -> np.ndarray:
  features = int8_cnn.frame_features(recording['codes'])
  return chrominance.append(features, recording['chrominance'])


def test_pulse_head_in_c_is_keras_on_real_features(recording, int8_cnn):
  every_sample = build_pulse_head(window_stride=1)
  shipped = loading.load_int8_head(_RUN)
  every_sample.set_weights(shipped.get_weights())
  difference = compare_with_keras(
    CompiledHead(_RUN),
    every_sample,
    _features(recording, int8_cnn),
    recording['timestamp_s'],
    int8_cnn.output_scale,
    int8_cnn.output_zero_point,
  )
  assert difference.num_windows >= 1_000
  assert difference.max_bpm <= 1e-3


def test_window_head_in_c_is_keras_on_real_features(
  recording, int8_cnn, tmp_path
):
  keras.utils.set_random_seed(1)
  head = build_window_head()
  quantisation = (int8_cnn.output_scale, int8_cnn.output_zero_point)
  for name, text in render_temporal_head(head, *quantisation).items():
    (tmp_path / name).write_text(text)
  difference = compare_with_keras(
    CompiledHead(tmp_path),
    head,
    _features(recording, int8_cnn),
    recording['timestamp_s'],
    *quantisation,
  )
  assert difference.num_windows >= 1_000
  assert difference.max_bpm <= 1.6e-5
  assert difference.mean_bpm <= 5e-6


def test_the_shipped_c_is_what_the_shipped_weights_emit(int8_cnn):
  head = loading.load_int8_head(_RUN)
  files = render_temporal_head(
    head, int8_cnn.output_scale, int8_cnn.output_zero_point
  )
  for name, text in files.items():
    assert (_RUN / name).read_text() == text
