"""Wave and spectrum → the rate that is reported, and how likely it is."""

import numpy as np
import pytest

from rppg_tf.signals import readout
from tests.support.pulse_waves import regular, wave_of_beats

_WRONG = readout.Spectral(bpm=144.0, confidence=0.5)


def _reader(wave):
  reader = readout.PulseReader()
  reader.push(wave)
  return reader


def test_beats_that_are_believed_say_the_rate():
  reading = _reader(wave_of_beats(regular(72, 20), 20)).read(_WRONG)
  assert reading.bpm == pytest.approx(72, abs=0.2)
  assert reading.newest_bpm == pytest.approx(72, abs=0.5)
  assert reading.num_beats >= 10
  assert reading.quality > 0.8


def test_where_no_beats_are_believed_the_spectrum_says_it():
  noise = np.random.default_rng(0).normal(size=600)
  said = readout.Spectral(bpm=66.0, confidence=0.1)
  reading = _reader(noise).read(said)
  assert reading.quality < 0.5
  flat = _reader(np.zeros(600)).read(said)
  assert flat.bpm == 66
  assert np.isnan(flat.newest_bpm)
  assert flat.quality < 0.1


def test_five_beats_are_a_first_rate():
  wave = wave_of_beats(regular(72, 20), 20)
  reader = readout.PulseReader()
  first_s = None
  for second in range(10):
    reader.push(wave[30 * second : 30 * second + 30])
    reading = reader.read()
    if reading and first_s is None:
      first_s = second + 1
      assert reading.bpm == pytest.approx(72, abs=2)
  assert 4 <= first_s <= 6
  assert _reader(np.zeros(300)).read() is None


def test_when_a_first_rate_is_said():
  wave = wave_of_beats(regular(72, 20), 20)
  assert 4 <= readout.first_rate_s(wave, 0.8) <= 6
  assert readout.first_rate_s(wave, 1.0) is None
  assert readout.first_rate_s(np.zeros(600), 0.0) is None


def test_a_whole_wave_is_read_as_it_comes():
  wave = wave_of_beats(regular(64, 20), 20)
  ends = np.array([299, 329, 599])
  spectral = [readout.Spectral(64.0, share) for share in (0.9, 0.2, 0.9)]
  readings = readout.read_windows(wave, ends, spectral)
  for end, said, reading in zip(ends, spectral, readings, strict=True):
    assert reading == _reader(wave[: end + 1]).read(said)
  assert readings[1].quality < readings[0].quality


def test_beats_come_once_and_the_last_ones_at_the_end():
  time_s = regular(72, 20)
  reader = _reader(wave_of_beats(time_s, 20))
  assert reader.beats.time_s[-1] < 19.1
  reader.finish()
  late = reader.beats.time_s
  assert (np.diff(late) > 0).all() and late[0] >= 0
  inner = late[(late > 3) & (late < 19)]
  nearest = time_s[np.abs(time_s[:, None] - inner).argmin(axis=0)]
  assert np.ptp(inner - nearest) < 0.02
