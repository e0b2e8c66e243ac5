"""Beats said against beats that were: known errors, delays and misses."""

import numpy as np
import pytest

from rppg_tf.evaluation import beat_errors
from rppg_tf.inference.estimates import Estimates
from tests.support.pulse_waves import wave_of_beats

_DURATION_S = 40.0


def _rows(true_s, wave):
  time_s = 5.0 + np.arange(int(_DURATION_S * 30)) / 30
  ppg = wave_of_beats(true_s, _DURATION_S)
  recording = {'subject': b'subject1', 'timestamp_s': time_s, 'ppg': ppg}
  none = np.zeros(0, np.float32)
  said = {'wave': Estimates(none, wave), 'no_wave': Estimates(none)}
  return beat_errors.recording_rows(recording, said)


def _beats(seed=0):
  steps_s = np.random.default_rng(seed).normal(0.8, 0.02, 50)
  beat_s = 0.5 + np.cumsum(steps_s)
  return beat_s[beat_s < _DURATION_S - 0.2]


def test_a_wave_that_is_late_by_a_constant_has_every_beat():
  true_s = _beats()
  (row,) = _rows(true_s, wave_of_beats(true_s - 0.2, _DURATION_S))
  assert row['delay_ms'] == pytest.approx(-200, abs=5)
  found = beat_errors.summarise([row], 'wave')
  assert found['recall_percent'] == found['precision_percent'] == 100
  assert found['median_error_ms'] < 5
  assert found['median_rmssd_error_ms'] < 5
  assert found['rmssd_recordings'] == 1
  assert found['beats'] == pytest.approx(45, abs=3)


def test_another_heart_is_found_by_chance_alone():
  (row,) = _rows(_beats(), wave_of_beats(np.arange(0.3, 40, 1.1), _DURATION_S))
  found = beat_errors.summarise([row], 'wave')
  assert found['recall_percent'] < 50


def test_a_wave_without_beats_says_none():
  (row,) = _rows(_beats(), np.zeros(int(_DURATION_S * 30)))
  found = beat_errors.summarise([row], 'wave')
  assert found['recall_percent'] == 0
  assert found['precision_percent'] is None
  assert found['median_error_ms'] is None
  assert found['median_rmssd_error_ms'] is None
