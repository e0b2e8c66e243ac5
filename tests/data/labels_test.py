from pathlib import Path

import numpy as np
import pytest

from rppg_tf.data import labels, ubfc
from tools.studies import labels as label_study

_GROUND_TRUTH = Path(__file__).parents[3] / 'shared' / 'ubfc_ground_truth'


def _ppg(rate_bpm, timestamp_s):
  """Pulse with a dicrotic bump; rate_bpm is a number or one per sample."""
  step_s = np.diff(timestamp_s, prepend=timestamp_s[0])
  beats = np.cumsum(np.broadcast_to(rate_bpm, timestamp_s.shape) / 60 * step_s)
  phase = 2 * np.pi * beats
  return np.cos(phase) + 0.3 * np.cos(2 * phase - 1.0)


def _uniform(duration_s=30.0, rate_hz=30.0):
  return np.arange(round(duration_s * rate_hz)) / rate_hz


@pytest.mark.parametrize('rate_bpm', [45, 60, 72, 90.5, 120, 150])
@pytest.mark.parametrize('rate_hz', [23.2, 30.0])
def test_constant_rate(rate_bpm, rate_hz):
  time_s = _uniform(rate_hz=rate_hz)
  label = labels.heart_rate_per_frame(_ppg(rate_bpm, time_s), time_s, time_s)
  assert label.dtype == np.float32
  assert label.shape == time_s.shape
  inner = label[(time_s > 3) & (time_s < 27)]
  np.testing.assert_allclose(inner, rate_bpm, atol=1.0)
  assert abs(np.nanmean(label) - rate_bpm) < 0.2


def test_offset_scale_and_noise_do_not_matter():
  time_s = _uniform()
  noise = np.random.default_rng(0).normal(0, 0.3, len(time_s))
  ppg = 500 + 0.01 * (_ppg(72, time_s) + noise) + 0.02 * time_s
  label = labels.heart_rate_per_frame(ppg, time_s, time_s)
  assert abs(np.nanmean(label) - 72) < 0.5


def test_step_in_rate():
  time_s = _uniform(60)
  rate_bpm = np.where(time_s < 30, 65.0, 85.0)
  label = labels.heart_rate_per_frame(_ppg(rate_bpm, time_s), time_s, time_s)
  np.testing.assert_allclose(label[(time_s > 3) & (time_s < 28)], 65, atol=1)
  np.testing.assert_allclose(label[(time_s > 32) & (time_s < 57)], 85, atol=1)


def test_frames_have_their_own_times():
  time_s = _uniform()
  frame_s = np.array([5.013, 5.013, 12.5, 20.0])
  label = labels.heart_rate_per_frame(_ppg(72, time_s), time_s, frame_s)
  np.testing.assert_allclose(label, 72, atol=0.5)


def test_missing_beats_are_nan_and_only_those():
  time_s = _uniform(30)
  ppg = _ppg(72, time_s)
  ppg[(time_s > 12) & (time_s < 18)] = 0.0
  label = labels.heart_rate_per_frame(ppg, time_s, time_s)
  assert np.isnan(label[(time_s > 13.5) & (time_s < 16.5)]).all()
  assert np.isfinite(label[(time_s < 11) | (time_s > 19)]).all()
  np.testing.assert_allclose(label[(time_s > 2) & (time_s < 10)], 72, atol=1)


def test_one_missing_beat_is_bridged():
  time_s = _uniform(30)
  ppg = _ppg(72, time_s)
  ppg[(time_s > 12.1) & (time_s < 12.9)] = -0.5  # 60 / 72 = 0.83 s
  label = labels.heart_rate_per_frame(ppg, time_s, time_s)
  assert np.isfinite(label).all()
  np.testing.assert_allclose(label[(time_s > 2) & (time_s < 28)], 72, atol=6)


def test_no_pulse_is_nan_everywhere():
  time_s = _uniform()
  for ppg in (np.full_like(time_s, 3.0), time_s):
    label = labels.heart_rate_per_frame(ppg, time_s, time_s)
    assert np.isnan(label[60:-60]).all()


def test_frames_far_from_the_ppg_are_nan():
  time_s = _uniform(30)
  frame_s = np.array([-5.0, -0.5, 15.0, 30.5, 36.0])
  label = labels.heart_rate_per_frame(_ppg(72, time_s), time_s, frame_s)
  np.testing.assert_array_equal(
    np.isnan(label), [True, False, False, False, True]
  )


def test_duplicates_gaps_and_jitter_of_stamps():
  random = np.random.default_rng(0)
  time_s = np.cumsum(random.uniform(0.011, 0.055, 900))
  time_s[400:] += 1.0  # as in subject 23
  time_s[100] = time_s[99]
  time_s[500:503] = time_s[500]
  label = labels.heart_rate_per_frame(_ppg(72, time_s), time_s, time_s)
  assert np.isfinite(label).all()
  assert abs(label.mean() - 72) < 0.5


@pytest.mark.parametrize('rate_bpm', [165, 175, 190])
def test_rates_out_of_range_are_not_labels(rate_bpm):
  time_s = _uniform()
  label = labels.heart_rate_per_frame(_ppg(rate_bpm, time_s), time_s, time_s)
  assert np.isnan(label[120:-120]).all()  # at either end, 2 s less sure


def test_bad_input():
  time_s = _uniform()
  ppg = _ppg(72, time_s)
  per_frame = labels.heart_rate_per_frame
  with pytest.raises(ValueError, match='equally long, got 900 and 899'):
    per_frame(ppg, time_s[1:], time_s)
  with pytest.raises(ValueError, match='at least 3 s long, got 2'):
    per_frame(ppg[:61], time_s[:61], time_s)
  with pytest.raises(ValueError, match='at least 3 s long, got 0 s'):
    per_frame(ppg[:0], time_s[:0], time_s)
  with pytest.raises(ValueError, match='must not decrease'):
    per_frame(ppg, time_s[::-1], time_s)
  with pytest.raises(ValueError, match='one dimension'):
    per_frame(ppg[None], time_s, time_s)
  ppg[17] = np.nan
  with pytest.raises(ValueError, match='must be finite, got nan at sample 17'):
    per_frame(ppg, time_s, time_s)


@pytest.mark.skipif(
  not _GROUND_TRUTH.is_dir(), reason=f'{_GROUND_TRUTH} is not there'
)
def test_real_files_agree_with_the_spectrum(capsys):
  assert label_study.print_table(str(_GROUND_TRUTH)) <= 1.6
  rows = capsys.readouterr().out.splitlines()
  assert len(rows) == 1 + 28 + 1
  for row in rows[1:-1]:
    assert '0.0 %' in row  # every frame of the real files has a label


def test_spectral_rate():
  time_s = _uniform(10)
  assert abs(label_study.spectral_rate_bpm(_ppg(72, time_s), 30) - 72) < 0.2


def test_check_labels_without_files(tmp_path):
  with pytest.raises(ubfc.RecordingError, match='no subject'):
    label_study.print_table(str(tmp_path))


@pytest.mark.parametrize('rate_bpm', [45.0, 50.0, 55.0])
def test_the_dicrotic_wave_of_a_slow_heart_is_not_a_beat(rate_bpm):
  time_s = np.arange(0, 30, 1 / 30)
  since_beat_s = time_s % (60 / rate_bpm)
  ppg = np.exp(-0.5 * ((since_beat_s - 0.2) / 0.08) ** 2)
  ppg += 0.4 * np.exp(-0.5 * ((since_beat_s - 0.55) / 0.1) ** 2)
  rates = labels.heart_rate_per_frame(ppg, time_s, time_s)
  np.testing.assert_allclose(rates, rate_bpm, atol=1.0)
