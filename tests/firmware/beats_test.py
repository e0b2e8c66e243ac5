"""Pulse waves through the firmware and through Python: the same beats."""

import pathlib
import subprocess

import numpy as np
import pytest

from rppg_tf import contract
from rppg_tf.signals import resampling
from tests.support.pulse_waves import regular, wave_of_beats
from tools import emit_golden_vectors
from tools.firmware_runner import stream, waves

pytestmark = pytest.mark.slow

_REAL_WAVES = sorted(
  pathlib.Path(__file__)
  .parents[3]
  .joinpath('shared/real_pulse_waves')
  .glob('*.csv')
)


@pytest.fixture(scope='module', autouse=True)
def _built():
  stream.build('host', 'sanitized', 'qemu', 'qemu_scalar')


@pytest.fixture
def replay(tmp_path):
  """Runs waves through a build: WAVE_OUT [samples of all]."""

  def run(target, *some_waves):
    names = tmp_path / 'waves.bin', tmp_path / 'beats.bin'
    names[0].write_bytes(b''.join(map(waves.encode, some_waves)))
    command = stream.command_line(target, 'waves', *map(str, names))
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return np.fromfile(names[1], waves.WAVE_OUT)

  return run


def _position(out):
  return out['sample'].astype(float) + out['fraction']


def _assert_same(got, expected):
  np.testing.assert_array_equal(got['is_beat'], expected['is_beat'])
  late_ms = 1000 * (_position(got) - _position(expected))
  np.testing.assert_allclose(late_ms / contract.GRID_RATE_HZ, 0, atol=1)
  np.testing.assert_allclose(got['quality'], expected['quality'], atol=1e-3)
  for name in ('bpm', 'newest_bpm'):
    apart_bpm = waves.rates_apart(expected['rate'][name], got['rate'][name])
    assert np.max(apart_bpm) <= 0.01, name
  assert not np.any(waves.rate_details_differ(expected['rate'], got['rate']))
  assert not np.any(
    waves.variability_differs(expected['variability'], got['variability'])
  )


# --- Against Python ----------------------------------------------------------


@pytest.mark.parametrize('bpm', [42.3, 55.1, 72.7, 90.5, 121.3, 151.1, 176.9])
def test_constant_rates(replay, bpm):
  wave = 7 + 0.01 * wave_of_beats(regular(bpm, 60), 60)
  got = replay('host', wave)
  _assert_same(got, waves.expect(wave))
  last = got[-1]
  assert last['rate']['bpm'] == pytest.approx(bpm, abs=0.6)
  assert last['rate']['newest_bpm'] == pytest.approx(bpm, rel=0.03)
  assert last['variability']['rmssd_ms'] < 4
  assert last['variability']['mean_rr_ms'] == pytest.approx(6e4 / bpm, abs=2)


def test_alternating_intervals_have_a_variability(replay):
  beat_s = np.cumsum([0.4, *([0.8, 0.84] * 40)])
  wave = wave_of_beats(beat_s, 60)
  got = replay('sanitized', wave)
  _assert_same(got, waves.expect(wave))
  known = got['variability'][got['variability']['rmssd_ms'] > 0]
  # From 30 s on; what is that quick is blunted by the filter.
  assert len(known) == pytest.approx(28, abs=2)
  assert 8 < known[-1]['rmssd_ms'] < 40


@pytest.mark.parametrize('seed', range(6))
def test_noise_with_and_without_a_pulse(replay, seed):
  rng = np.random.default_rng(seed)
  for noise in (0.3, 0.8, 1.5):
    wave = wave_of_beats(regular(rng.uniform(45, 150), 60), 60)
    wave += rng.normal(0, noise, len(wave))
    _assert_same(replay('host', wave), waves.expect(wave))
  wave = rng.normal(size=1800)
  _assert_same(replay('host', wave), waves.expect(wave))


@pytest.mark.parametrize('length', [5, 8, 13, 20, 29, 40])
def test_steps(replay, length):
  rng = np.random.default_rng(length)
  wave = np.repeat(rng.normal(size=1500 // length), length)
  _assert_same(replay('host', wave), waves.expect(wave))


@pytest.mark.parametrize('value', [0.0, 3.7, -1e4])
def test_what_stands_still_has_no_beats(replay, value):
  got = replay('sanitized', np.full(600, value))
  assert not np.any(got['is_beat']) and not np.any(got['rate']['bpm'])


def test_a_jerk_of_the_head(replay):
  wave = wave_of_beats(regular(79.7, 40), 40)
  wave[600:620] += 30 * np.hanning(20)
  _assert_same(replay('host', wave), waves.expect(wave))


@pytest.mark.skipif(not _REAL_WAVES, reason='no shared/real_pulse_waves')
def test_real_waves(replay):
  for path in _REAL_WAVES:
    table = np.genfromtxt(path, delimiter=',', names=True)
    for name in ('pos', 'chrom'):
      wave = resampling.to_grid(table[name], table['time_s'])
      _assert_same(replay('host', wave), waves.expect(wave))


# --- Builds ------------------------------------------------------------------


def test_helium_and_scalar_give_the_bits_of_the_host(replay):
  some_waves = emit_golden_vectors.make_waves(np.random.default_rng(2))
  host = replay('host', *some_waves)
  for target in ('qemu', 'qemu_scalar'):
    assert replay(target, *some_waves).tobytes() == host.tobytes(), target
