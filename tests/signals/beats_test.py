"""Pulse wave → beats: known answers, streaming, what is no pulse."""

import numpy as np
import pytest
from scipy import signal

from rppg_tf import contract
from rppg_tf.data import labels
from rppg_tf.signals import beats
from tests.support.pulse_waves import regular, wave_of_beats

_RATE_HZ = contract.GRID_RATE_HZ


def settled(found, duration_s):
  """Beats away from both ends of a wave."""
  inside = (found.time_s > 2) & (found.time_s < duration_s - 1)
  return found.time_s[inside], found.quality[inside]


@pytest.mark.parametrize('bpm', [42, 55, 72, 90.5, 120, 150, 175])
def test_every_beat_of_a_constant_rate_to_the_millisecond(bpm):
  expected_s = regular(bpm, 30)
  found = beats.find_beats(7 + 0.01 * wave_of_beats(expected_s, 30))
  time_s, quality = settled(found, 30)
  expected_s = expected_s[(expected_s > 2) & (expected_s < 29)]
  np.testing.assert_allclose(time_s, expected_s, atol=0.002)
  # The witness has to hear a few beats first.
  assert np.all(quality[time_s > 6] > 0.9)


@pytest.mark.parametrize('bpm', [48, 60, 77])
def test_a_dicrotic_wave_is_no_beat(bpm):
  expected_s = regular(bpm, 40)
  found = beats.find_beats(wave_of_beats(expected_s, 40, dicrotic=0.6))
  time_s, _ = settled(found, 40)
  np.testing.assert_allclose(np.diff(time_s), 60 / bpm, atol=0.01)


def test_a_rate_that_rises_by_60_bpm_in_a_minute():
  # phase = t + t**2 / 120: 60 BPM at first, 120 BPM a minute later.
  count = np.arange(1, 88)
  expected_s = 60 * (np.sqrt(1 + count / 15) - 1)
  found = beats.find_beats(wave_of_beats(expected_s, 58))
  time_s, _ = settled(found, 58)
  expected_s = expected_s[(expected_s > 2) & (expected_s < 57)]
  np.testing.assert_allclose(time_s, expected_s, atol=0.015)


def test_an_early_beat_stays_where_it_is():
  expected_s = regular(70, 30)
  early = 20
  expected_s[early] -= 0.25
  found = beats.find_beats(wave_of_beats(expected_s, 30))
  time_s, _ = settled(found, 30)
  inside_s = expected_s[(expected_s > 2) & (expected_s < 29)]
  np.testing.assert_allclose(time_s, inside_s, atol=0.06)


def test_beats_that_are_not_there_are_not_made_up():
  expected_s = regular(75, 30)
  wave = wave_of_beats(expected_s, 30)
  first, end = (round(expected_s[number] * _RATE_HZ) for number in (17, 21))
  wave[first - 12 : end - 12] = -1.0
  time_s = beats.find_beats(wave).time_s
  middle_s = expected_s[18:20]
  assert not np.any((time_s > middle_s[0] - 0.3) & (time_s < middle_s[1] + 0.3))
  around_s = np.delete(expected_s, range(17, 21))[2:-2]
  assert all(np.min(np.abs(time_s - beat_s)) < 0.05 for beat_s in around_s)


def test_noise_half_as_strong_as_the_pulse_costs_few_beats():
  rng = np.random.default_rng(3)
  expected_s = regular(66, 60)
  wave = wave_of_beats(expected_s, 60)
  wave += rng.normal(0, np.std(wave) / 2, len(wave))
  time_s, _ = settled(beats.find_beats(wave), 60)
  expected_s = expected_s[(expected_s > 2.2) & (expected_s < 58.8)]
  error_s = np.array([np.min(np.abs(time_s - beat_s)) for beat_s in expected_s])
  assert np.mean(error_s < 0.1) >= 0.98
  assert np.median(error_s) < 0.025
  assert abs(len(time_s) - len(expected_s)) <= 1


def test_a_jerk_of_the_head_is_soon_forgotten():
  expected_s = regular(80, 40)
  wave = wave_of_beats(expected_s, 40)
  wave[600:620] += 30 * np.hanning(20)
  time_s, _ = settled(beats.find_beats(wave), 40)
  after_s = expected_s[(expected_s > 23) & (expected_s < 39)]
  np.testing.assert_allclose(time_s[time_s > 22.9], after_s, atol=0.02)


@pytest.mark.parametrize('value', [0.0, 3.7, -1e4])
def test_what_stands_still_has_no_beats(value):
  assert not len(beats.find_beats(np.full(600, value)).time_s)


def test_few_beats_of_noise_are_believed():
  rng = np.random.default_rng(1)
  believed = [
    np.mean(beats.find_beats(rng.normal(size=1800)).quality >= 0.5)
    for _ in range(10)
  ]
  assert np.mean(believed) < 0.25


@pytest.mark.parametrize('size', [1, 7, 300])
def test_the_stream_gives_the_beats_of_the_whole_wave(size):
  rng = np.random.default_rng(5)
  wave = wave_of_beats(regular(77, 30), 30) + rng.normal(0, 0.5, 900)
  expected = beats.find_beats(wave)
  stream = beats.BeatStream()
  parts = [stream.push(wave[at : at + size]) for at in range(0, 900, size)]
  parts.append(stream.finish())
  for index, column in enumerate(expected):
    joined = np.concatenate([part[index] for part in parts])
    np.testing.assert_array_equal(joined, column)


def test_each_beat_comes_one_second_late_and_only_once():
  wave = wave_of_beats(regular(77, 30), 30)
  stream = beats.BeatStream()
  late = []
  for number, sample in enumerate(wave):
    found = stream.push(np.array([sample]))
    late += list(number - found.time_s * _RATE_HZ)
  assert min(late) >= beats.LAG
  assert max(late) < beats.LAG + 1


def test_the_filter_is_that_of_the_labels_cut_to_a_second():
  impulse = np.zeros(401)
  impulse[200] = 1
  band_hz = labels.MIN_PULSE_HZ, labels.MAX_PULSE_HZ
  sections = signal.butter(
    labels.FILTER_ORDER, band_hz, 'bandpass', fs=_RATE_HZ, output='sos'
  )
  reach = beats.FILTER_DELAY
  kept = signal.sosfiltfilt(sections, impulse)[200 - reach : 201 + reach]
  # A window without its zeros at both ends, then without a mean.
  kept = kept * np.sqrt(np.hanning(2 * reach + 3)[1:-1])
  np.testing.assert_allclose(beats.TAPS, kept - kept.mean(), atol=2e-6)
  assert abs(np.sum(beats.TAPS)) < 1e-12


@pytest.mark.parametrize('pulse', [np.zeros((2, 3)), np.array([0.0, np.nan])])
def test_what_is_no_wave_is_refused(pulse):
  with pytest.raises(ValueError, match='pulse: expected finite samples'):
    beats.find_beats(pulse)
