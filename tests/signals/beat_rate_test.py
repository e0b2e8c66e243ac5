"""Beats → heart rate: known answers, and what is not believed."""

import math
import pathlib

import numpy as np
import pytest

from rppg_tf.data import labels, ubfc
from rppg_tf.evaluation import windows
from rppg_tf.signals import beat_rate, beats, resampling, spectrum
from tests.support.pulse_waves import regular, wave_of_beats

_SHARED = pathlib.Path(__file__).parents[3] / 'shared'
# Its wave of POS is no pulse: 15 of beats.md.
_NO_WAVE = 'subject15'


def _beats(time_s):
  return beats.Beats(np.asarray(time_s, float), np.ones(len(time_s)))


def _read(wave):
  stream = beats.BeatStream()
  stream.push(wave)
  return beat_rate.read_window(stream)


@pytest.mark.parametrize('bpm', [45, 60, 72.4, 110, 170])
@pytest.mark.parametrize('start_s', [10.0, 10.3])
def test_a_constant_rate_wherever_the_window_lies(bpm, start_s):
  found = _beats(np.arange(0, 30, 60 / bpm))
  rate = beat_rate.rate_between(found, start_s, start_s + 10)
  assert rate.bpm == pytest.approx(bpm)
  assert rate.newest_bpm == pytest.approx(bpm)
  assert rate.num_doubted == 0
  assert rate.num_believed == len(rate.beats.time_s)
  assert 0.8 < rate.coverage <= 1


def test_a_rate_that_changes_is_its_mean_and_the_newest():
  steps_s = [1.0] * 6 + [0.8] * 5
  rate = beat_rate.rate_between(_beats(np.cumsum([0.0, *steps_s])), 0, 10)
  assert rate.bpm == pytest.approx(60 * 11 / 10)
  assert rate.newest_bpm == pytest.approx(75)


def test_a_missing_beat_is_bridged_and_an_extra_one_joined():
  time_s = np.arange(0, 10.01, 0.8)
  missing = beat_rate.rate_between(_beats(np.delete(time_s, 6)), 0, 10)
  assert missing.bpm == pytest.approx(75)
  assert missing.num_doubted == 1
  extra = beat_rate.rate_between(_beats(np.sort([*time_s, 5.1])), 0, 10)
  assert extra.bpm == pytest.approx(75)
  assert extra.num_doubted == 2


def test_an_ectopic_beat_does_not_move_the_rate():
  time_s = np.arange(0, 10.01, 0.8)
  time_s[6] -= 0.3
  rate = beat_rate.rate_between(_beats(time_s), 0, 10)
  assert rate.bpm == pytest.approx(75)
  assert rate.num_doubted == 2


def test_four_beats_say_nothing():
  rate = beat_rate.rate_between(_beats([1, 2, 3, 4]), 0, 10)
  assert math.isnan(rate.bpm)
  assert math.isnan(rate.newest_bpm)
  assert rate.coverage == 0.0
  assert not math.isnan(beat_rate.rate_between(_beats(range(1, 6)), 0, 10).bpm)


@pytest.mark.parametrize('bpm', [50, 75, 126])
def test_a_window_reads_up_to_now(bpm):
  wave = wave_of_beats(regular(bpm, 20), 20)
  rate = _read(wave)
  assert rate.bpm == pytest.approx(bpm, abs=0.4)
  assert rate.beats.time_s[-1] > 20 - 60 / bpm - 0.3


@pytest.mark.parametrize('bpm', [60, 80, 120])
def test_five_beats_are_enough(bpm):
  wave = wave_of_beats(regular(bpm, 6), 6)
  rate = _read(wave)
  assert rate.bpm == pytest.approx(bpm, abs=1)
  assert rate.num_believed >= 4


def test_noise_is_not_believed():
  rng = np.random.default_rng(2)
  believed = [_read(rng.normal(size=600)).num_believed for _ in range(20)]
  assert np.mean(believed) < 3


def test_no_wave_no_rate():
  assert math.isnan(_read(np.zeros(600)).bpm)
  assert math.isnan(_read(np.zeros(0)).bpm)


@pytest.mark.skipif(
  not (_SHARED / 'real_pulse_waves').is_dir(),
  reason=f'{_SHARED} is not on this machine',
)
def test_real_waves_of_pos_are_read_better_than_by_their_spectrum():
  of_beats, of_spectrum = {}, {}
  for path in sorted((_SHARED / 'real_pulse_waves').glob('*.csv')):
    if path.stem != _NO_WAVE:
      of_beats[path.stem], of_spectrum[path.stem] = _errors_bpm(path)
  medians = [
    np.median([np.mean(error) for error in errors.values()])
    for errors in (of_beats, of_spectrum)
  ]
  mean = np.mean(np.concatenate(list(of_beats.values())))
  print(f'median of subjects {medians} BPM, mean of beats {mean:.2f} BPM')
  assert medians[0] <= 0.6
  assert medians[0] < 0.5 * medians[1]
  assert mean <= 1.3


def _errors_bpm(path):
  """Absolute errors over 10 s windows, by beats and by the spectrum."""
  table = np.genfromtxt(path, delimiter=',', names=True)
  truth = ubfc.parse_ground_truth(
    _SHARED / 'ubfc_ground_truth' / path.stem / 'ground_truth.txt'
  )
  time_s = table['time_s']
  expected = windows.reference_bpm(
    labels.heart_rate_per_frame(truth.ppg, truth.timestamp_s, time_s), time_s
  )
  wave = resampling.to_grid(table['pos'], time_s)
  stream, rates = beats.BeatStream(), []
  for end in range(300, len(wave) + 1, 30):
    stream.push(wave[max(end - 30, 0) * (end > 300) : end])
    rates.append(beat_rate.read_window(stream).bpm)
  peaks = [
    float(spectrum.peak_bpm(wave[end - 300 : end]))
    for end in range(300, len(wave) + 1, 30)
  ]
  return [np.abs(np.array(found) - expected) for found in (rates, peaks)]
