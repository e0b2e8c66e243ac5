"""The emitted head's spectrum, by its tables, against the plain Fourier sum."""

import numpy as np

from rppg_tf import contract
from rppg_tf.signals import spectrum
from tools.codegen import spectrum_tables


def _gain(taps, rates_bpm):
  turns = np.asarray(rates_bpm) / (60 * contract.GRID_RATE_HZ)
  phases = np.exp(-2j * np.pi * np.outer(turns, np.arange(len(taps))))
  return np.abs(phases @ taps)


def _taps(tables):
  """float64 [24], in the order of time: tap 0 is of the newest sample."""
  return tables['low_pass'].T[:, ::-1].ravel().astype(np.float64)


def _power(tables, wave):
  """Power of a wave of mean 0 at the 71 rates, as the C takes it."""
  rising = tables['rising_hann']
  windowed = wave * np.concatenate([rising, rising[-2:0:-1]])
  thinned = np.zeros(spectrum_tables.num_thinned())
  groups = windowed.reshape(-1, spectrum_tables.THINNING)
  for group, samples in enumerate(groups):
    span = slice(group, group + spectrum_tables.LOW_PASS_SPAN)
    thinned[span] += samples @ tables['low_pass']
  cosines = tables['rate_cosines'][: contract.NUM_RATES].astype(np.float64)
  newer = older = np.zeros(contract.NUM_RATES)
  for sample in thinned:
    newer, older = sample + 2 * cosines * newer - older, newer
  real = newer - cosines * older
  power = real**2 + older**2 * (1 - cosines**2)
  return power * tables['thinning_loss']


def test_noise_of_all_frequencies_has_the_fourier_sums_power():
  """White noise: what is beyond the band must not fold into it."""
  tables = spectrum_tables.tables()
  rng = np.random.default_rng(0)
  for _ in range(20):
    wave = rng.normal(0, 1, contract.WINDOW_SAMPLES)
    wave -= np.mean(wave)
    expected = spectrum.power(wave, spectrum.rates_bpm())
    error = np.abs(_power(tables, wave) - expected)
    assert np.max(error) < 1e-5 * np.mean(expected)


def test_a_strong_tone_beyond_the_band_leaves_nothing_in_it():
  """8 Hz folds onto 2 Hz, 120 BPM, when every third sample is kept."""
  tables = spectrum_tables.tables()
  time_s = np.arange(contract.WINDOW_SAMPLES) / contract.GRID_RATE_HZ
  pulse = np.sin(2 * np.pi * 1.2 * time_s)
  power = _power(tables, pulse + 100 * np.sin(2 * np.pi * 8 * time_s))
  rates_bpm = spectrum.rates_bpm()
  assert rates_bpm[np.argmax(power)] == 72
  assert power[rates_bpm == 120] < 1e-6 * np.max(power)


def test_the_low_pass_stops_what_folds_into_the_band():
  tables = spectrum_tables.tables()
  taps = _taps(tables)
  assert abs(np.sum(taps) - 1) < 1e-6
  rates_bpm = np.linspace(contract.MIN_RATE_BPM, contract.MAX_RATE_BPM, 1000)
  fold_bpm = 60 * contract.GRID_RATE_HZ / spectrum_tables.THINNING
  for folded in (fold_bpm - rates_bpm, fold_bpm + rates_bpm):
    ratio = _gain(taps, folded) / _gain(taps, rates_bpm)
    assert 20 * np.log10(np.max(ratio)) < -135
