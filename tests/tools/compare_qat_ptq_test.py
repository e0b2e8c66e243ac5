"""The comparison of float, PTQ and QAT: known answers, one small run."""

import json

import numpy as np
import pandas
import pytest
import tensorflow as tf

from rppg_tf import files, run_directory
from rppg_tf.data import dataset
from rppg_tf.errors import InputError
from rppg_tf.evaluation import pulse_correlation
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.model import loading, network
from rppg_tf.quantisation import calibration, convert
from rppg_tf.signals import background
from tests.support import commands, int8_models
from tools.quantisation import case as quantisation_case
from tools.quantisation import codes as quantisation_codes
from tools.quantisation import comparison, layers, report, sweep

_TIME_S = np.arange(600) / 30
_INPUT = background.input_quantisation('normalise')


def _ppg(rate_bpm=72.0, delay_s=0.0):
  return np.sin(2 * np.pi * rate_bpm / 60 * (_TIME_S - delay_s))


# --- Codes -------------------------------------------------------------------


def _usage(codes: np.ndarray) -> quantisation_codes.Usage:
  collector = quantisation_codes.Collector()
  collector.add(codes, {'ppg': _ppg(), 'timestamp_s': _TIME_S})
  return collector.usage()


def test_a_pulse_is_measured_in_codes_whatever_its_delay():
  # 12 codes peak to peak, with the PPG, against it, and a third late.
  codes = np.stack(
    [6 * _ppg(), -6 * _ppg(), 6 * _ppg(delay_s=0.28), 6 * _ppg(110.0)], 1
  )
  found = _usage(np.rint(codes).astype(np.int8))
  # At another rate than the PPG's it is no pulse.
  np.testing.assert_allclose(found.pulse_codes[:3], 12, rtol=0.05)
  assert found.pulse_codes[3] < 1
  np.testing.assert_allclose(found.range_codes, 12)
  np.testing.assert_allclose(found.deviation_codes, 6 / 2**0.5, rtol=0.05)


def test_small_dead_and_clipped_features_are_called_out():
  codes = np.zeros((600, 48), np.int8)
  codes[:, 1:] = np.rint(5 * _ppg()).astype(np.int8)[:, np.newaxis]
  rng = np.random.default_rng(1)
  # 0.2 codes of pulse in a code of noise; and one at its end half the time.
  codes[:, 17] = np.rint(0.1 * _ppg() + rng.normal(0, 1, 600)).astype(np.int8)
  codes[:, 35] = np.where(_ppg() > 0, 127, 100)
  found = _usage(codes)
  assert np.flatnonzero(found.is_dead).tolist() == [0]
  assert np.flatnonzero(found.is_lost).tolist() == [17]
  assert np.flatnonzero(found.is_clipped).tolist() == [35]
  assert report.called_out(found) == 'left_cheek 1'
  summary = found.summary()
  assert summary['pulse_below_one_code'] == summary['dead'] == 1
  assert summary['median_pulse_codes'] == pytest.approx(10, rel=0.05)


def test_noise_of_many_recordings_is_no_pulse():
  rng = np.random.default_rng(2)
  collector = quantisation_codes.Collector()
  for _ in range(20):
    codes = rng.normal(0, 3, (600, 4))
    collector.add(codes, {'ppg': _ppg(), 'timestamp_s': _TIME_S})
  assert np.all(collector.usage().pulse_codes < 0.5)


def test_a_ppg_that_stands_still_has_no_response():
  response = quantisation_codes.pulse_response(
    np.ones((600, 2)), np.zeros(600), _TIME_S
  )
  np.testing.assert_array_equal(response, 0)


# --- Layers ------------------------------------------------------------------


def test_signal_to_noise_known_answers():
  signal = np.array([3.0, -4.0])
  ratio_db = layers.signal_to_noise_db
  assert ratio_db(signal, signal * 1.1) == pytest.approx(20)
  assert ratio_db(signal, [3.3, -4.4]) == pytest.approx(20)
  assert ratio_db(signal, signal) == np.inf
  assert np.isnan(ratio_db(np.zeros(2), signal))


def test_the_files_own_weights_in_float_are_nearest_to_it():
  cnn = int8_models.trained_cnn()
  codes = int8_models.random_codes(32)
  noise_db = layers.noise_by_layer(
    convert.post_training(cnn, codes.repeat(4, axis=0), _INPUT),
    convert.fold_batch_norm(cnn),
    codes,
    _INPUT,
  )
  assert len(noise_db['float']) == len(layers.LAYERS)
  # 8 bits: 6 dB each of a full-scale sine, less of what is mostly small.
  assert all(30 < value < 60 for value in noise_db['float'])
  for exact, own in zip(
    noise_db['float'], noise_db['same_weights'], strict=True
  ):
    assert own > exact


def test_what_is_said_of_the_shipped_file():
  described = layers.describe(int8_models.shipped())
  assert [entry['layer'] for entry in described] == [
    'input',
    *layers.LAYERS,
  ]
  assert described[0]['scale'] == 1 / 128
  assert [entry['output_shape'][-1] for entry in described] == [
    *(3, 16, 16, 32, 32, 16, 16)
  ]
  assert described[1]['weight_zero_points'] == [0]
  # 9,648 weights and 64 biases of 4 bytes.
  assert layers.num_weight_bytes(int8_models.shipped()) == 9_904


# --- Errors ------------------------------------------------------------------


def _rows(float_bpm, qat_bpm):
  subject = [f's{index}' for index in range(len(float_bpm))]
  rates = {'reference_bpm': 70.0, 'float': float_bpm, 'qat': qat_bpm}
  return pandas.DataFrame({'subject': subject} | rates)


def test_paired_difference_is_narrower_than_the_maes():
  # Everybody gets worse by 0.5, however good or bad they are.
  rows = _rows([71.0, 75.0, 60.0, 70.5], [71.5, 75.5, 59.5, 71.0])
  found = quantisation_case.paired_difference(rows, 'qat', 'float')
  assert found['mae_difference_bpm'] == pytest.approx(0.5)
  np.testing.assert_allclose(found['interval_bpm'], 0.5)


@pytest.mark.parametrize(
  ('qat_bpm', 'is_met', 'words'),
  [
    (0.60, True, 'QAT is within PTQ + 0.02 and float + 0.1'),
    (0.64, False, 'QAT exceeds PTQ + 0.02'),
    (0.72, False, 'QAT exceeds PTQ + 0.02 and float + 0.1'),
  ],
)
def test_verdict(qat_bpm, is_met, words):
  maes = {'float': 0.59, 'ptq': 0.61, 'qat': qat_bpm}
  found = report.verdict(
    {name: {'mae_bpm': mae_bpm} for name, mae_bpm in maes.items()}
  )
  assert found['is_met'] is is_met
  assert found['line'] == (
    f'verdict: QAT {qat_bpm:.2f}, PTQ 0.61, float 0.59 BPM: {words}'
  )


def test_pulse_correlation_of_a_known_wave():
  recording = {
    'subject': b's',
    'heart_rate_bpm': np.full(600, 72, np.float32),
    'ppg': _ppg().astype(np.float32),
    'timestamp_s': _TIME_S,
  }
  # 20 s: eleven windows of 10 s.
  bpm = np.full(11, 72, np.float32)
  estimates = {
    'with': inference_estimates.Estimates(bpm, 3 * _ppg() + 1),
    'against': inference_estimates.Estimates(bpm, -_ppg()),
    'flat': inference_estimates.Estimates(bpm, np.zeros(600)),
    'none': inference_estimates.Estimates(bpm),
  }
  rows = pulse_correlation.window_rows(recording, estimates)
  found = {
    name: pulse_correlation.summarise(rows, name).get('pulse_r')
    for name in estimates
  }
  assert found['with'] == pytest.approx(1, abs=1e-5)
  assert found['against'] == pytest.approx(-1, abs=1e-5)
  assert found['flat'] == 0
  assert found['none'] is None


def test_sweep_puts_seeds_together():
  results = [
    {'num_images': 10, 'draw': 'random', 'mae_bpm': mae, 'features_db': 30.0}
    for mae in (1.0, 2.0, 4.5)
  ]
  (group,) = sweep.by_size(results)
  assert group['seeds'] == 3
  assert group['mae_bpm'] == [1.0, 2.5, 4.5]


# --- The command -------------------------------------------------------------


def _recording(name: str, rate_bpm: float) -> dict:
  """12 s of noisy patches whose green beats by half a grey level."""
  rng = np.random.default_rng(int(rate_bpm))
  num_frames = 360
  ppg = _ppg(rate_bpm)[:num_frames].astype(np.float32)
  still = rng.uniform(90, 180, (1, 3, 36, 36, 3))
  beat = 0.5 * ppg[:, np.newaxis, np.newaxis, np.newaxis, np.newaxis]
  noise = rng.normal(0, 2, (num_frames, 3, 36, 36, 3))
  frames = np.rint(still + beat + noise).astype(np.uint8)
  return {
    'subject': name.encode(),
    'frames': frames,
    'mid_face_rgb': frames.mean((1, 2, 3), np.float32),
    'timestamp_s': _TIME_S[:num_frames],
    'face_found': np.ones(num_frames, bool),
    'ppg': ppg,
    'heart_rate_bpm': np.full(num_frames, rate_bpm, np.float32),
  }


_SPLIT = {'train': ['a', 'b'], 'validation': ['c'], 'test': ['d', 'e']}


def _write_run(folder, mode: str):
  """A run directory of an untrained model of both kinds."""
  folder.mkdir()
  cnn, head = int8_models.trained_cnn(), network.build_head('pulse')
  values = {
    **{'head': 'pulse', 'window': 8, 'frame_stride': 1},
    **{'background': mode, 'roi_geometry': 'inner'},
  }
  files.write_json(folder / run_directory.FLAGS, values)
  files.write_json(folder / run_directory.SPLIT, _SPLIT)
  loading.save_weights(cnn, folder / run_directory.SPATIAL_WEIGHTS)
  loading.save_weights(head, folder / run_directory.HEAD_WEIGHTS)
  loading.save_weights(head, folder / run_directory.INT8_HEAD_WEIGHTS)
  files.write_bytes(folder / run_directory.INT8_MODEL, int8_models.aware(mode))
  return folder


@pytest.fixture
def data(monkeypatch):
  """Puts synthetic recordings where those of `tfds build` are read."""
  made = {
    name: _recording(name, rate_bpm)
    for name, rate_bpm in zip('abcde', (55, 72, 90, 63, 84), strict=True)
  }
  signature = {
    name: tf.TensorSpec(np.shape(value), np.asarray(value).dtype)
    for name, value in made['a'].items()
    if name != 'subject'
  }
  signature['subject'] = tf.TensorSpec((), tf.string)

  def load(data_dir, geometry, subjects):
    assert (data_dir, geometry) == ('synthetic', 'inner')
    return tf.data.Dataset.from_generator(
      lambda: (made[name] for name in subjects), output_signature=signature
    )

  monkeypatch.setattr(dataset, 'load_recordings', load)
  monkeypatch.setattr(
    dataset, 'subjects_by_split', lambda data_dir, geometry: {'all': list(made)}
  )


def _compare(run_dir, output_dir, raw_run_dir=None):
  comparison.compare(
    run_dir, 'synthetic', output_dir, raw_run_dir, num_sweep_seeds=1
  )


@pytest.mark.slow
def test_everything_is_compared(data, tmp_path, capsys, monkeypatch):
  # 216 ROI frames of two training subjects: too few for 300.
  monkeypatch.setattr(sweep, 'SIZES', (10, 300))
  output_dir = tmp_path / 'output'
  run_dir = _write_run(tmp_path / 'run', 'normalise')
  _compare(
    run_dir,
    output_dir,
    _write_run(tmp_path / 'raw', 'none'),
  )
  lines = capsys.readouterr().out.strip().splitlines()
  results = json.loads((output_dir / 'comparison.json').read_text())
  assert lines[-1] == results['verdict']['line']
  for name in ('errors', 'layers', 'codes', 'calibration'):
    content = (output_dir / f'{name}.png').read_bytes()
    assert content.startswith(b'\x89PNG')
  # 12 s: two or three windows of 10 s of each test subject, not of others.
  assert results['test_subjects'] == ['d', 'e']
  for forms in (results['forms'], results['raw_forms']):
    assert list(forms) == ['float', 'ptq', 'qat']
    assert {errors['windows'] for errors in forms.values()} <= {4, 6}
  assert set(results['differences']) == {'qat-ptq', 'qat-float', 'ptq-float'}
  size = (run_dir / run_directory.INT8_MODEL).stat().st_size
  assert results['files']['qat']['bytes'] == size
  # The reason for dividing the background out.
  pulse_codes = {
    name: codes['median_pulse_codes']
    for name, codes in results['codes'].items()
  }
  assert pulse_codes['input, none'] < 1.5 < 3 < pulse_codes['input, normalise']
  sizes = {(trial['num_images'], trial['draw']) for trial in results['sweep']}
  assert sizes == {(10, 'stratified'), (10, 'random')}
  assert len((output_dir / 'ptq.tflite').read_bytes()) <= 16 * 1024


@pytest.mark.slow
def test_runs_that_cannot_be_compared(data, tmp_path):
  run = _write_run(tmp_path / 'run', 'normalise')
  output_dir = tmp_path / 'output'
  with pytest.raises(InputError, match='a run of --background=none beside'):
    _compare(run, output_dir, raw_run_dir=run)
  files.write_json(run / run_directory.SPLIT, {**_SPLIT, 'test': ['d', 'x']})
  with pytest.raises(InputError, match='holds 1 of the 2 test subjects'):
    _compare(run, output_dir)
  files.write_json(run / run_directory.SPLIT, {**_SPLIT, 'test': ['a', 'd']})
  with pytest.raises(InputError, match='tests people that it was trained on'):
    _compare(run, output_dir)
  (run / run_directory.INT8_MODEL).unlink()
  with pytest.raises(InputError, match=r'run `python -m tools.export_tflite`'):
    _compare(run, output_dir)


@pytest.mark.slow
def test_the_command_says_which_data_are_missing(tmp_path):
  done = commands.run(
    'tools.compare_qat_ptq',
    '--data_dir=/nowhere',
    f'--output_dir={tmp_path / "output"}',
  )
  commands.assert_refused(done, '/nowhere', 'tfds build')


@pytest.mark.slow
def test_the_pool_of_synthetic_recordings(data):
  pool = quantisation_case.training_pool('synthetic', 'inner', ['a'], 'none')
  assert pool.codes.shape == (108, 36, 36, 3)
  raw = calibration.values(pool.codes, background.input_quantisation('none'))
  assert 70 / 255 < raw.min() < raw.max() < 200 / 255
