"""Beats → variability: known answers, artefacts, a library as referee."""

import json
import pathlib
import subprocess

import numpy as np
import pytest

from rppg_tf.data import labels, ubfc
from rppg_tf.signals import beats, variability
from tests.support import pulse_waves
from tests.support.referees import venv

_SHARED = pathlib.Path(__file__).parents[3] / 'shared' / 'ubfc_ground_truth'
_PEER = pathlib.Path(venv.__file__).with_name('neurokit_peer.py')


def _beats(interval_s, quality=1.0):
  time_s = np.cumsum([0.0, *interval_s])
  return beats.Beats(time_s, np.full(len(time_s), quality))


def test_alternating_intervals():
  result = variability.variability(_beats([0.8, 0.84] * 25))
  assert result.rmssd_ms == pytest.approx(40)
  assert result.sdnn_ms == pytest.approx(20 * np.sqrt(50 / 49))
  assert result.mean_rr_ms == pytest.approx(820)
  assert result.num_intervals == 50
  assert result.share_used == pytest.approx(1)


def test_a_metronome_has_none():
  result = variability.variability(_beats([1.0] * 40))
  assert result.rmssd_ms == pytest.approx(0, abs=1e-6)
  assert result.sdnn_ms == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
  'edit',
  [
    {20: [1.6]},  # a beat missed
    {20: [0.3, 0.5]},  # a beat too many
    {20: [0.55], 21: [1.05]},  # an early beat and its pause
  ],
)
def test_artefacts_are_left_out_alone(edit):
  rng = np.random.default_rng(0)
  interval_s = list(0.8 + rng.normal(0, 0.02, 60))
  expected = variability.variability(_beats(interval_s))
  edited = [s for i, v in enumerate(interval_s) for s in edit.get(i, [v])]
  result = variability.variability(_beats(edited))
  assert result.rmssd_ms == pytest.approx(expected.rmssd_ms, rel=0.1)
  assert result.mean_rr_ms == pytest.approx(expected.mean_rr_ms, rel=0.005)
  assert len(edited) - result.num_intervals <= 3


def test_breathing_is_no_artefact():
  count = np.arange(60)
  interval_s = 0.9 + 0.1 * np.sin(2 * np.pi * count / 5)
  assert not np.any(variability.artefacts(interval_s))


def test_beats_that_are_not_believed_are_not_used():
  found = _beats([0.8] * 50)
  found.quality[:20] = 0.2
  result = variability.variability(found)
  assert result.num_intervals == 30
  assert result.share_used == pytest.approx(0.6)
  found.quality[:40] = 0.2
  assert np.isnan(variability.variability(found).rmssd_ms)


@pytest.mark.parametrize('num_intervals', [0, 1, 29])
def test_less_than_30_s_say_nothing(num_intervals):
  result = variability.variability(_beats([1.0] * num_intervals))
  assert np.isnan(result.rmssd_ms)
  assert np.isnan(result.mean_rr_ms)
  assert result.num_intervals == num_intervals


def test_no_beats_at_all():
  nothing = beats.Beats(np.zeros(0), np.zeros(0))
  assert variability.variability(nothing).share_used == 0


def test_a_wave_whose_intervals_are_known():
  rng = np.random.default_rng(4)
  interval_s = 0.85 + 0.03 * np.sin(2 * np.pi * np.arange(80) / 5)
  interval_s += rng.normal(0, 0.01, 80)
  beat_s = np.cumsum(interval_s)
  wave = pulse_waves.wave_of_beats(beat_s, beat_s[-1])
  expected = variability.variability(beats.Beats(beat_s, np.ones(80)))
  found = beats.find_beats(wave)
  result = variability.variability(found)
  assert result.rmssd_ms == pytest.approx(expected.rmssd_ms, abs=4)
  assert result.mean_rr_ms == pytest.approx(expected.mean_rr_ms, abs=3)
  assert result.share_used > 0.9


# --- A referee --------------------------------------------------------------


def _irregular(deviation_s):
  """80 beats at about 75 BPM, none an artefact."""
  rng = np.random.default_rng(6)
  return np.cumsum(0.8 + 1.7 * deviation_s * rng.uniform(-1, 1, 80))


# Of neurokit2 0.2.13, printed by test_neurokit2_still_says_so.
_OF_NEUROKIT = {
  0.005: (7.4, 5.0, 800.4),
  0.02: (29.8, 19.9, 801.5),
  0.05: (74.4, 49.7, 803.9),
}


@pytest.mark.parametrize('deviation_s', _OF_NEUROKIT)
def test_a_referee_has_the_same_values_of_the_same_beats(deviation_s):
  result = variability.variability(
    beats.Beats(_irregular(deviation_s), np.ones(80))
  )
  assert result.share_used == pytest.approx(1)
  np.testing.assert_allclose(result[:3], _OF_NEUROKIT[deviation_s], atol=0.05)


def _referee(cases: dict) -> np.ndarray:
  """neurokit2's rmssd_ms, sdnn_ms and mean_rr_ms of each case."""
  done = subprocess.run(
    [venv.python('neurokit'), _PEER],
    input=json.dumps(cases),
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  return np.array(json.loads(done.stdout))


@pytest.mark.bench
def test_neurokit2_still_says_so():
  beat_s = [_irregular(deviation_s).tolist() for deviation_s in _OF_NEUROKIT]
  theirs = _referee({'beat_s': beat_s})
  print(np.round(theirs, 1))
  np.testing.assert_allclose(theirs, list(_OF_NEUROKIT.values()), atol=0.05)


@pytest.mark.bench
@pytest.mark.skipif(
  not _SHARED.is_dir(), reason=f'{_SHARED} is not on this machine'
)
def test_neurokit2_has_nearly_the_same_values_of_real_ppgs():
  waves = [_real_ppg(folder) for folder in sorted(_SHARED.iterdir())]
  theirs = _referee({'wave': [wave.tolist() for wave in waves]})
  ours = np.array(
    [variability.variability(beats.find_beats(wave))[:3] for wave in waves]
  )
  difference_ms = np.median(np.abs(ours - theirs), axis=0)
  print(f'RMSSD, SDNN, mean RR: median difference {difference_ms} ms')
  # Its filter is wider (0.5-8 Hz) and it mends artefacts instead of leaving
  # them out.
  assert np.all(difference_ms < (6, 6, 3))


def _real_ppg(folder):
  truth = ubfc.parse_ground_truth(folder / 'ground_truth.txt')
  wave, _ = labels.resample_uniformly(truth.ppg, truth.timestamp_s, 30)
  return wave
