"""Both heads' layers against known answers; streaming against batch."""

import numpy as np
import pytest
import tensorflow as tf

from rppg_tf import contract
from rppg_tf.inference.pulse_stream import PulseStream
from rppg_tf.keras_compat import keras
from rppg_tf.model.pulse_head import build_pulse_head
from rppg_tf.model.pulse_layers import (
  ExchangeSpectra,
  LastSeconds,
  PulseWaves,
  RunningStandardisation,
  WaveSpectra,
)
from rppg_tf.model.window_head import (
  FrameWindows,
  SigmoidToBpm,
  build_window_head,
)
from rppg_tf.signals.chrominance import PROJECTIONS
from rppg_tf.signals.pulse_constants import DEVIATION_FLOOR, VARIANCE_FLOOR
from rppg_tf.signals.spectrum import fourier_basis, rates_bpm


def _features(num_samples: int, seed: int) -> np.ndarray:
  """float32 [num_samples, 52]: an offset, a pulse, drift and noise."""
  rng = np.random.default_rng(seed)
  time_s = np.arange(num_samples) / contract.GRID_RATE_HZ
  phase = 2 * np.pi * 1.2 * time_s[:, None] + rng.normal(0, 0.4, 52)
  values = rng.uniform(0.1, 0.6, 52) + 0.06 * np.sin(phase)
  values += 0.05 * np.sin(time_s / 3)[:, None] * rng.normal(0, 1, 52)
  values += rng.normal(0, 0.02, values.shape)
  return np.maximum(values, 0).astype(np.float32)


@pytest.mark.parametrize('rate_bpm', [40, 72, 110, 180])
def test_spectrum_of_a_tone_peaks_at_its_rate(rate_bpm):
  time_s = np.arange(contract.WINDOW_SAMPLES) / contract.GRID_RATE_HZ
  tone = 5 + np.sin(2 * np.pi * rate_bpm / 60 * time_s + 0.7)
  other = 3 * np.sin(2 * np.pi * 90 / 60 * time_s)
  waves = np.stack([tone, other], -1)[np.newaxis, np.newaxis]
  spectra = WaveSpectra()(waves.astype(np.float32))
  assert spectra.shape == (1, 1, contract.NUM_RATES, 2)
  peaks = rates_bpm()[np.argmax(spectra[0, 0], axis=0)]
  np.testing.assert_array_equal(peaks, [rate_bpm, 90])


def test_spectrum_does_not_depend_on_the_size_of_the_wave():
  rng = np.random.default_rng(1)
  waves = rng.normal(size=(2, 3, 300, 3)).astype(np.float32)
  spectra = WaveSpectra()
  np.testing.assert_allclose(spectra(waves), spectra(40 * waves), atol=1e-4)
  assert np.isfinite(spectra(0 * waves)).all()


def test_last_seconds_are_slices_without_gradient():
  samples = tf.constant(_features(330, 8)[np.newaxis, :, :5])
  with tf.GradientTape() as tape:
    tape.watch(samples)
    windows = LastSeconds(stride=15)(samples)
  assert windows.shape == (1, 3, 300, 5)
  for number, start in enumerate([0, 15, 30]):
    expected = samples[:, start : start + 300]
    np.testing.assert_array_equal(windows[:, number], expected)
  assert tape.gradient(windows, samples) is None


def test_waves_of_colour_are_the_sums_of_their_parts():
  """PulseWaves against its docstring, part by part, in float64."""
  rng = np.random.default_rng(9)
  samples = rng.normal(size=(300, 5))
  hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(48) / 48)
  expected = np.zeros((300, 3))
  expected[:, 0] = samples[:, 0]
  for start in range(0, 300 - 48 + 1, 12):
    part = samples[start : start + 48, 1:]
    part = part - part.mean(axis=0)
    s1, s2, x, y = part.T
    alpha = s1.std() / (s2.std() + DEVIATION_FLOOR)
    expected[start : start + 48, 1] += (s1 + alpha * s2) * hann
    alpha = x.std() / (y.std() + DEVIATION_FLOOR)
    expected[start : start + 48, 2] += (x - alpha * y) * hann
  got = PulseWaves()(samples[np.newaxis, np.newaxis].astype(np.float32))
  np.testing.assert_allclose(got[0, 0], expected, atol=2e-5)


def test_waves_of_colour_keep_the_pulse_and_lose_the_light():
  """A pulse under light that moves ten times as much, in mean skin colour."""
  time_s = np.arange(300) / contract.GRID_RATE_HZ
  pulse = np.sin(2 * np.pi * 1.3 * time_s)
  light = 10 * np.sin(2 * np.pi * 0.9 * time_s + 1)
  # Blood's shares in red, green, blue: de Haan 2014; light moves all alike.
  change = 0.01 * (
    pulse[:, np.newaxis] * [0.33, 0.77, 0.53] + light[:, np.newaxis]
  )
  chrominance = change @ PROJECTIONS.T * contract.CHROMINANCE_SCALE
  samples = np.concatenate([0 * pulse[:, np.newaxis], chrominance], 1)
  waves = PulseWaves()(samples[np.newaxis, np.newaxis].astype(np.float32))
  # The ends have fewer parts over them. CHROM takes most of the light away:
  # the deviations whose ratio it weighs by have the pulse in them, too.
  inner = slice(48, 252)
  for number in (1, 2):
    wave = waves[0, 0, inner, number]
    assert abs(np.corrcoef(wave, pulse[inner])[0, 1]) > 0.95


def test_spectra_are_exchanged_in_training_alone():
  spectra = tf.reshape(tf.range(4.0 * 2 * 71 * 3), (4, 2, 71, 3))
  next_one = np.roll(spectra, 1, axis=0)
  layer = ExchangeSpectra((0.0, 1.0, 0.5))
  np.testing.assert_array_equal(layer(spectra), spectra)
  exchanged = layer(spectra, training=True).numpy()
  np.testing.assert_array_equal(exchanged[..., 0], spectra[..., 0])
  np.testing.assert_array_equal(exchanged[..., 1], next_one[..., 1])
  # Whole windows: each its own or the next recording's.
  own = np.all(exchanged[..., 2] == spectra[..., 2], axis=-1)
  other = np.all(exchanged[..., 2] == next_one[..., 2], axis=-1)
  assert np.all(own ^ other)


def test_fourier_basis_is_exact_at_every_phase():
  time_s = np.arange(contract.WINDOW_SAMPLES) / contract.GRID_RATE_HZ
  phase = 2 * np.pi * np.outer(time_s, rates_bpm().astype(np.float64) / 60)
  expected = np.concatenate([np.cos(phase), np.sin(phase)], 1)
  np.testing.assert_allclose(fourier_basis(), expected, atol=1e-7)


def test_standardisation_is_the_recursion_of_its_docstring():
  features = _features(2500, 2)
  mean = np.zeros(52)
  variance = np.zeros(52)
  expected = np.empty(features.shape)
  settled = 1 - np.exp(-1 / 75)
  for index, value in enumerate(features.astype(np.float64)):
    weight = max(settled, 1 / (index + 1))
    change = value - mean
    mean += weight * change
    variance = (1 - weight) * (variance + weight * change * change)
    expected[index] = (value - mean) / np.sqrt(variance + VARIANCE_FLOOR)
  got = RunningStandardisation()(features[np.newaxis])[0]
  # float32 means of offset 0.6 divided by deviations of 0.03: 2e-5 each.
  np.testing.assert_allclose(got, expected, atol=5e-5)


def test_standardisation_forgets_offset_and_scale():
  features = _features(900, 3)
  standardise = RunningStandardisation()
  got = standardise(features[np.newaxis])
  shifted = standardise(4 + features[np.newaxis])
  # 4 has room for 2.4e-7 at a deviation of 0.03.
  np.testing.assert_allclose(got, shifted, atol=2e-4)
  assert 0.7 < np.std(got[0, 300:]) < 1.3


@pytest.mark.parametrize('num_samples', [300, 2400])
def test_streaming_pulse_is_the_batch_pulse(num_samples):
  keras.utils.set_random_seed(4)
  head = build_pulse_head()
  features = _features(num_samples, 4)
  batch = head(features[np.newaxis])['pulse'][0].numpy()
  stream = PulseStream.from_keras(head)
  streamed = np.array([stream.push(column) for column in features])
  difference = np.max(np.abs(batch - streamed))
  assert difference <= 1e-5 * np.max(np.abs(batch))


def test_pulse_head_looks_only_back():
  head = build_pulse_head(window_stride=10)
  features = _features(400, 5)[np.newaxis]
  outputs = head(features)
  changed = features.copy()
  changed[:, 350:] = 1.0
  after = head(changed)
  np.testing.assert_array_equal(
    outputs['pulse'][:, :350], after['pulse'][:, :350]
  )
  # Windows end at samples 299, 309, ... 399: six of them before sample 350.
  assert outputs['heart_rate_bpm'].shape == (1, 11)
  same = outputs['heart_rate_bpm'] == after['heart_rate_bpm']
  np.testing.assert_array_equal(same[0], [True] * 6 + [False] * 5)


def test_pulse_head_outputs_are_in_range():
  outputs = build_pulse_head()(_features(600, 6)[np.newaxis])
  np.testing.assert_allclose(
    np.sum(outputs['rate_probability'], axis=-1), 1, rtol=1e-5
  )
  bpm = outputs['heart_rate_bpm'].numpy()
  assert bpm.shape == (1, 11) and (bpm >= 40).all() and (bpm <= 180).all()
  assert (outputs['confidence'].numpy() <= 1 + 1e-6).all()


@pytest.mark.parametrize(('length', 'stride'), [(8, 1), (5, 3), (1, 7)])
def test_frame_windows_are_slices(length, stride):
  features = _features(60, 7)
  windows = FrameWindows(length, stride)(features[np.newaxis])[0].numpy()
  span = (length - 1) * stride + 1
  expected = [
    features[start : start + span : stride]
    for start in range(len(features) - span + 1)
  ]
  np.testing.assert_array_equal(windows, expected)


def test_sigmoid_to_bpm_is_exact_wherever_in_the_tensor():
  logits = np.linspace(-20, 20, 4003, dtype=np.float32)
  expected = 30 + 150 / (1 + np.exp(-logits.astype(np.float64)))
  got = SigmoidToBpm()(logits[:, np.newaxis])
  # Half a unit of the last place of 128-180 BPM.
  np.testing.assert_allclose(got, expected, rtol=0, atol=7.7e-6)


def test_window_head_refuses_an_empty_window():
  with pytest.raises(ValueError, match='expected at least 1, got 0 and 1'):
    build_window_head(window=0)


def test_parameters_are_few():
  assert build_pulse_head().count_params() == 6_405
  assert build_window_head().count_params() == 10_353
  assert build_pulse_head().count_params() < contract.MAX_PARAMETERS
