"""Known answers for synthetic and real pulses and camera clocks."""

import numpy as np
import pytest

from rppg_tf.data import ubfc
from rppg_tf.synthesis import pulse as synthetic_pulse


def _peak_bpm(value, rate_hz):
  spectrum = np.abs(np.fft.rfft(value * np.hanning(value.size), 2**17))
  rate_bpm = np.fft.rfftfreq(2**17, 1 / rate_hz) * 60
  inside = (rate_bpm > 38) & (rate_bpm < 200)
  return rate_bpm[inside][spectrum[inside].argmax()]


def _write_truth(path, stamp_s, ppg=None, rate_bpm=None):
  ppg = np.sin(2 * np.pi * 1.2 * stamp_s) if ppg is None else ppg
  rate_bpm = np.full(stamp_s.size, 72.0) if rate_bpm is None else rate_bpm
  rows = (ppg, rate_bpm, stamp_s)
  text = '\n'.join(' '.join(f'{v:.7e}' for v in row) for row in rows)
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text + '\n')
  return path


@pytest.mark.parametrize('rate_bpm', [42.0, 72.0, 115.5, 158.0])
def test_constant_rate_is_the_spectrums_peak(rate_bpm):
  rng = np.random.default_rng(1)
  pulse = synthetic_pulse.synthesize_pulse(rng, 30, rate_bpm, variable=False)
  time_s = np.arange(0, 30, 1 / 50)
  peak_bpm = _peak_bpm(pulse.at(time_s), 50)
  # 30 s resolve 2 BPM; the peak of a Hann window is located to a tenth.
  assert peak_bpm == pytest.approx(rate_bpm, abs=0.25)
  np.testing.assert_array_equal(pulse.rate_at(time_s), rate_bpm)


def test_variable_rate_varies_stays_in_range_and_is_what_the_beats_do():
  for seed in range(20):
    rng = np.random.default_rng(seed)
    pulse = synthetic_pulse.synthesize_pulse(rng, 20)
    assert pulse.rate_bpm.min() >= synthetic_pulse.SLOWEST_BPM
    assert pulse.rate_bpm.max() <= synthetic_pulse.FASTEST_BPM
    time_s = np.arange(0, 20, 1 / 50)
    mean_bpm = pulse.rate_at(time_s).mean()
    assert pulse.rate_at(time_s).std() > 0.2
    # The strongest line of a wandering rate lies within its wandering.
    spread_bpm = 2.5 * pulse.rate_at(time_s).std() + 1
    assert abs(_peak_bpm(pulse.at(time_s), 50) - mean_bpm) < spread_bpm


def test_pulse_band_has_unit_rms():
  rng = np.random.default_rng(3)
  pulse = synthetic_pulse.synthesize_pulse(rng, 30, 80.0, variable=False)
  time_s = np.arange(0, 30, 1 / 250)
  spectrum = np.fft.rfft(pulse.at(time_s)) / time_s.size
  frequency_hz = np.fft.rfftfreq(time_s.size, 1 / 250)
  low_hz, high_hz = synthetic_pulse.PULSE_BAND_HZ
  inside = (frequency_hz > low_hz) & (frequency_hz < high_hz)
  rms = np.sqrt(2 * np.sum(np.abs(spectrum[inside]) ** 2))
  # The filter that scales it has soft edges.
  assert rms == pytest.approx(1.0, abs=0.03)


def test_slope_is_the_pulses_derivative():
  pulse = synthetic_pulse.synthesize_pulse(np.random.default_rng(4), 5)
  time_s = np.linspace(1, 4, 50)
  step_s = 0.004
  slope = (pulse.at(time_s + step_s) - pulse.at(time_s - step_s)) / 2 / step_s
  np.testing.assert_allclose(pulse.slope_at(time_s), slope, atol=0.6)


def test_same_seed_same_pulse():
  first, second = (
    synthetic_pulse.synthesize_pulse(np.random.default_rng(5), 3)
    for _ in range(2)
  )
  np.testing.assert_array_equal(first.value, second.value)


def test_band_noise_keeps_its_band_and_size():
  noise = synthetic_pulse.band_noise(np.random.default_rng(6), 20000, 100, 1, 5)
  assert noise.std() == pytest.approx(1.0, abs=0.1)
  power = np.abs(np.fft.rfft(noise * np.hanning(noise.size))) ** 2
  frequency_hz = np.fft.rfftfreq(noise.size, 0.01)
  inside = (frequency_hz > 0.9) & (frequency_hz < 5.1)
  assert power[inside].sum() > 0.999 * power.sum()


def test_band_noise_without_a_frequency_is_zero():
  rng = np.random.default_rng(7)
  assert not synthetic_pulse.band_noise(rng, 100, 100, 0.0, 0.1).any()


@pytest.mark.parametrize('fps', [23.2, 29.7, 60.0])
def test_camera_times_look_like_a_webcams(fps):
  duplicates = gaps = 0
  for seed in range(30):
    rng = np.random.default_rng(seed)
    times = synthetic_pulse.camera_times(rng, 60, fps)
    assert times.stamp_s[0] == 0
    assert (np.diff(times.stamp_s) >= 0).all()
    assert (np.diff(times.exposure_s) > 0).all()
    assert np.abs(times.stamp_s - times.exposure_s).max() < 1.8 / fps
    assert np.median(np.diff(times.stamp_s)) == pytest.approx(1 / fps, rel=0.1)
    assert np.diff(times.stamp_s).max() <= 1.0 + 1 / fps
    duplicates += (np.diff(times.stamp_s) == 0).any()
    gaps += (np.diff(times.stamp_s) > 0.25).any()
  assert 0 < duplicates < 20
  assert 0 < gaps < 25


def test_real_ppg_keeps_its_rate_duplicates_and_gaps(tmp_path):
  stamp_s = np.delete(np.arange(1200) / 30, slice(300, 320))
  stamp_s[100] = stamp_s[99]
  path = _write_truth(tmp_path / 'subject3/ground_truth.txt', stamp_s)
  assert ubfc.find_ground_truths(tmp_path) == [path]
  truth = ubfc.parse_ground_truth(path)
  pulse = synthetic_pulse.pulse_from_ground_truth(truth, 30, 5)
  assert _peak_bpm(pulse.at(np.arange(0, 30, 0.02)), 50) == pytest.approx(
    72, abs=0.25
  )
  times = synthetic_pulse.times_from_ground_truth(truth, 30, 2)
  assert (np.diff(times.exposure_s) > 0).all()
  assert (np.diff(times.stamp_s) == 0).sum() == 1
  assert np.diff(times.stamp_s).max() == pytest.approx(21 / 30, abs=1e-5)


def test_a_device_rate_that_cannot_be_used_is_named(tmp_path):
  stamp_s = np.arange(300) / 30
  rate_bpm = np.full(300, 72.0)
  rate_bpm[7] = np.nan
  path = tmp_path / 'ground_truth.txt'
  for line in (rate_bpm, rate_bpm[:290]):
    truth = ubfc.parse_ground_truth(_write_truth(path, stamp_s, rate_bpm=line))
    message = r'ground_truth\.txt: line 2 .* must hold 300 finite values'
    with pytest.raises(ubfc.RecordingError, match=message):
      synthetic_pulse.pulse_from_ground_truth(truth, 5)


def test_arguments_out_of_range():
  rng = np.random.default_rng(0)
  with pytest.raises(ValueError, match=r'expected 42..158 BPM, got 30'):
    synthetic_pulse.synthesize_pulse(rng, 10, 30.0)
  with pytest.raises(ValueError, match='duration_s: expected more than 0'):
    synthetic_pulse.synthesize_pulse(rng, 0.0)
  with pytest.raises(ValueError, match='fps: expected'):
    synthetic_pulse.camera_times(rng, 10, 0.0)
  with pytest.raises(ValueError, match='at least two frames'):
    synthetic_pulse.camera_times(rng, 0.0, 30.0)
