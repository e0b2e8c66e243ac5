"""GREEN, CHROM and POS: known answers, gaps, and vitallens as a witness."""

import numpy as np
import pytest

from rppg_tf import contract
from rppg_tf.evaluation import metrics, unsupervised_methods
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.model.pulse_layers import LastSeconds, WaveSpectra
from rppg_tf.signals import spectrum, unsupervised
from tests.support import vitallens_venv

_SKIN = np.array([170.0, 120.0, 95.0])
# Relative pulse of red, green and blue: Wang (2017), a white lamp.
_PULSE_RATIOS = np.array([0.33, 0.77, 0.53])


def _trace(
  duration_s=20.0,
  pulse_bpm=72.0,
  pulse=0.001,
  disturbance_bpm=110.0,
  disturbance=0.004,
  rate_hz=30.0,
  noise=0.0,
):
  """A face whose light and blood volume swing: (rgb, times, blood volume)."""
  time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
  volume = np.sin(2 * np.pi * time_s * pulse_bpm / 60)
  # The same share of every channel: shading by motion, or the lamp.
  light = disturbance * np.sin(2 * np.pi * time_s * disturbance_bpm / 60 + 1)
  relative = 1 + light[:, np.newaxis] - pulse * np.outer(volume, _PULSE_RATIOS)
  random = np.random.default_rng(1)
  return _SKIN * relative + random.normal(0, noise, (len(time_s), 3)), (
    time_s,
    volume,
  )


def _rates(method, rgb):
  return spectrum.peak_bpm(inference_estimates.pulse_windows(method(rgb)))


@pytest.mark.parametrize('name', ['pos', 'chrom'])
def test_projections_read_the_pulse_through_a_stronger_disturbance(name):
  rgb, (_, volume) = _trace()
  pulse = unsupervised_methods.METHODS[name](rgb)
  assert pulse.shape == (600,)
  np.testing.assert_allclose(
    _rates(unsupervised_methods.METHODS[name], rgb), 72, atol=0.5
  )
  middle = slice(48, -48)
  # Also its sign: it rises with the blood volume.
  assert metrics.pearson_r(pulse[middle], volume[middle]) > 0.95


def test_green_reads_the_disturbance():
  rgb, _ = _trace()
  np.testing.assert_allclose(_rates(unsupervised.green, rgb), 110, atol=0.5)


@pytest.mark.parametrize('name', unsupervised_methods.METHODS)
@pytest.mark.parametrize('bpm', [45.0, 72.0, 119.0, 171.3])
def test_all_read_an_undisturbed_pulse(name, bpm):
  rgb, (_, volume) = _trace(pulse_bpm=bpm, disturbance=0.0, noise=0.005)
  method, middle = unsupervised_methods.METHODS[name], slice(48, -48)
  np.testing.assert_allclose(_rates(method, rgb), bpm, atol=0.5)
  assert metrics.pearson_r(method(rgb)[middle], volume[middle]) > 0.9


@pytest.mark.parametrize('name', unsupervised_methods.METHODS)
def test_brightness_does_not_matter(name):
  rgb, _ = _trace(noise=0.02)
  method = unsupervised_methods.METHODS[name]
  np.testing.assert_allclose(method(rgb * 0.4), method(rgb), atol=1e-12)


@pytest.mark.parametrize('name', unsupervised_methods.METHODS)
def test_a_colour_that_stands_still_is_no_pulse(name):
  pulse = unsupervised_methods.METHODS[name](np.tile(_SKIN, (300, 1)))
  np.testing.assert_allclose(pulse, 0, atol=1e-9)


def test_pos_of_one_window_is_the_formula():
  rgb = np.random.default_rng(3).uniform(90, 110, (48, 3))
  red, grn, blue = (rgb / rgb.mean(0)).T
  first, second = grn - blue, -2 * red + grn + blue
  h = first + first.std() / second.std() * second
  np.testing.assert_allclose(
    unsupervised.pos(rgb), -(h - h.mean()) / 48, atol=1e-12
  )


@pytest.mark.parametrize('shape', [(47, 3), (300, 4), (300,)])
def test_other_shapes_are_refused(shape):
  for method in unsupervised_methods.METHODS.values():
    with pytest.raises(ValueError, match='expected positive'):
      method(np.ones(shape))


def test_lost_frames_are_bridged():
  rgb, (time_s, _) = _trace(rate_hz=25.0)
  found = np.ones(len(rgb), bool)
  found[[0, 100, 101, 102, -1]] = False
  lost = np.where(found[:, np.newaxis], rgb, 0.0)
  grid = unsupervised.on_grid(lost, time_s, found)
  assert grid.shape == (599, 3)
  assert grid.min() > 90
  np.testing.assert_allclose(_rates(unsupervised.pos, grid), 72, atol=0.5)
  # Zero without a lost face: the region lies outside the image.
  np.testing.assert_array_equal(
    grid, unsupervised.on_grid(lost, time_s, np.ones(len(rgb), bool))
  )


def test_no_face_at_all_is_refused():
  rgb, (time_s, _) = _trace()
  with pytest.raises(ValueError, match='expected a face'):
    unsupervised.on_grid(rgb, time_s, np.zeros(len(rgb), bool))


def test_estimators_read_both_traces_at_any_frame_rate():
  rgb, (time_s, _) = _trace(rate_hz=23.2)
  pixels = rgb[:, np.newaxis, np.newaxis, np.newaxis, :]
  recording = {
    'frames': np.broadcast_to(pixels, (len(rgb), *_FRAMES)),
    'mid_face_rgb': rgb.astype(np.float32),
    'timestamp_s': 1000 + time_s,
    'face_found': np.ones(len(rgb), bool),
  }
  estimators = unsupervised_methods.estimators()
  assert list(estimators) == [
    *('pos', 'chrom', 'green', 'pos_rois', 'chrom_rois', 'green_rois')
  ]
  for name, estimator in estimators.items():
    estimates = estimator(recording)
    assert estimates.heart_rate_bpm.dtype == np.float32
    assert estimates.heart_rate_bpm.shape == (10,)
    assert estimates.pulse.shape == (599,)
    expected_bpm = 110 if name.startswith('green') else 72
    np.testing.assert_allclose(
      estimates.heart_rate_bpm, expected_bpm, atol=0.5, err_msg=name
    )


_FRAMES = (contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)


def test_peaks_lie_between_the_rates_too():
  bpm = np.arange(43.0, 177.0, 0.7)
  tone = np.sin(np.outer(bpm, 2 * np.pi * np.arange(300) / 1800) + 1)
  np.testing.assert_allclose(spectrum.peak_bpm(tone), bpm, atol=0.01)


def test_peaks_beyond_the_band_are_its_ends():
  time_s = np.arange(300) / 30
  tones = [np.sin(2 * np.pi * time_s * bpm / 60) for bpm in (36, 184)]
  np.testing.assert_array_equal(spectrum.peak_bpm(tones), [40, 180])


def test_the_spectrum_is_the_heads():
  pulse = np.random.default_rng(0).normal(size=600)
  windows = inference_estimates.pulse_windows(pulse)
  power = spectrum.power(windows, spectrum.rates_bpm())
  relative = power / power.mean(axis=1, keepdims=True)
  samples = pulse[np.newaxis, :, np.newaxis].astype(np.float32)
  head = WaveSpectra()(LastSeconds(30)(samples))[0, ..., 0]
  # The head computes in float32.
  np.testing.assert_allclose(np.log(relative + 1e-3), head, atol=1e-3)


# --- vitallens 0.6.2, MIT; `make bench` ---------------------------------------


def _random_traces():
  """Faces of all rates, with drift, shading and noise as in real ones."""
  traces, random = {}, np.random.default_rng(7)
  for index in range(20):
    rgb, (time_s, _) = _trace(
      pulse_bpm=random.uniform(45, 170),
      disturbance_bpm=random.uniform(45, 170),
      disturbance=0.001,
      noise=0.03,
    )
    drift = 0.003 * np.sin(2 * np.pi * time_s * random.uniform(0.05, 0.3))
    traces[f'face{index}'] = rgb * (1 + drift[:, np.newaxis])
  return traces


# Least correlation of the waves in 40-180 BPM, largest median and largest
# share above 1 BPM of the difference of rates. POS and GREEN are the same
# formulas. CHROM differs by choice: vitallens filters within each 1.6 s window
# and at 40-240 BPM; noise then decides between near-equal peaks.
_AGREEMENT = {
  'pos': (0.999, 0.01, 0.0),
  'chrom': (0.9, 0.2, 0.1),
  'green': (0.999, 0.01, 0.0),
}


def _as_ours(name: str, theirs: np.ndarray) -> np.ndarray:
  if name == 'chrom':
    return -theirs  # Upside down there, unlike their POS and G.
  if name == 'green':
    return unsupervised.band_passed(theirs)  # Raw there.
  return theirs


@pytest.mark.slow
@pytest.mark.bench
def test_vitallens_agrees(tmp_path):
  traces = _random_traces()
  np.savez(tmp_path / 'traces.npz', **traces)
  paths = [tmp_path / 'traces.npz', tmp_path / 'pulses.npz']
  vitallens_venv.run('traces', *paths)
  pulses = np.load(paths[1])
  middle = slice(
    unsupervised.PROJECTION_SAMPLES, -unsupervised.PROJECTION_SAMPLES
  )
  for name, (least_r, most_median_bpm, most_share) in _AGREEMENT.items():
    correlations, differences_bpm = [], []
    for face, rgb in traces.items():
      ours = unsupervised_methods.METHODS[name](rgb)
      theirs = _as_ours(name, pulses[f'{face}/{name}'])
      waves = (
        unsupervised.band_passed(wave)[middle] for wave in (ours, theirs)
      )
      correlations.append(metrics.pearson_r(*waves))
      rates = (
        spectrum.peak_bpm(inference_estimates.pulse_windows(wave))
        for wave in (ours, theirs)
      )
      differences_bpm.append(np.abs(np.subtract(*rates)))
    median_bpm = np.median(differences_bpm)
    share = np.mean(np.array(differences_bpm) > 1)
    print(
      f'\n{name}: correlation with vitallens at least {min(correlations):.4f}, '
      f'heart rates differ by {median_bpm:.3f} BPM (median), by more than 1 '
      f'in {100 * share:.1f} % of {np.size(differences_bpm)} windows',
      end='',
    )
    assert min(correlations) >= least_r, name
    assert median_bpm <= most_median_bpm, name
    assert share <= most_share, name
