"""Rows, tables, confidence and window lengths on synthetic recordings."""

import json

import numpy as np
import pandas
import pytest

from rppg_tf import contract
from rppg_tf.errors import InputError
from rppg_tf.evaluation import (
  confidence,
  tables,
  unsupervised_methods,
  window_lengths,
)
from rppg_tf.evaluation import windows as evaluation_windows
from rppg_tf.inference import estimates

_RATE_HZ = 25.0


def _recording(subject='subject1', bpm=72.0, duration_s=15.0, labels=None):
  num_frames = round(duration_s * _RATE_HZ)
  time_s = 5 + np.arange(num_frames) / _RATE_HZ
  volume = np.sin(2 * np.pi * time_s * bpm / 60)
  rgb = np.array([170.0, 120.0, 95.0]) * (
    1 - 0.001 * np.outer(volume, [0.33, 0.77, 0.53])
  )
  return {
    'subject': subject.encode(),
    'timestamp_s': time_s,
    'frames': np.full(
      (num_frames, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE), 100, np.uint8
    ),
    'mid_face_rgb': rgb.astype(np.float32),
    'face_found': np.ones(num_frames, bool),
    'heart_rate_bpm': np.full(
      num_frames, bpm if labels is None else labels
    ).astype(np.float32),
  }


def _fixed(bpm, confident=None, pulse=None):
  """An estimator that always says `bpm`, in six windows."""
  return lambda _: estimates.Estimates(
    np.full(6, bpm, np.float32),
    pulse,
    None if confident is None else np.full(6, confident, np.float32),
  )


def test_an_estimator_gets_the_recording_and_its_codes():
  seen = []

  def estimate(recording):
    seen.append(recording)
    return estimates.Estimates(np.full(6, 70, np.float32))

  rows = evaluation_windows.evaluate(
    [_recording()], 'normalise', {'one': estimate}, 60.0
  )
  assert seen[0]['codes'].dtype == np.int8
  assert seen[0]['codes'].shape == seen[0]['frames'].shape
  assert {'mid_face_rgb', 'timestamp_s', 'face_found'} <= set(seen[0])
  assert len(rows) == 5  # 10, 11, ... 14 s
  assert rows.iloc[0].to_dict() == {
    'subject': 'subject1',
    'time_s': 10.0,
    'reference_bpm': 72.0,
    'train_mean': 60.0,
    'one': 70.0,
  }


def test_unsupervised_methods_stand_beside_a_model():
  estimators = {'model': _fixed(80, 0.7), **unsupervised_methods.estimators()}
  recording = _recording()
  # The ROIs show what the mid face does not: a still picture.
  rows = evaluation_windows.evaluate([recording], 'none', estimators, 60.0)
  assert rows['model_confidence'][0] == pytest.approx(0.7)
  summaries = {
    name: evaluation_windows.summarise(rows, name)
    for name in ('model', 'pos', 'pos_rois', 'train_mean')
  }
  assert summaries['model']['mae_bpm'] == pytest.approx(8)
  assert summaries['pos']['mae_bpm'] < 0.5
  assert summaries['pos']['spectrum_mae_bpm'] < 0.1
  assert summaries['pos']['snr_db'] > 10
  assert summaries['pos_rois']['mae_bpm'] > 10
  assert 'snr_db' not in summaries['model']
  assert summaries['train_mean']['per_subject']['subject1']['windows'] == 5
  text = tables.error_table(summaries)
  assert 'pos_rois' in text and '95 % interval' in text
  assert len({len(line) for line in text.splitlines()}) == 1


def test_windows_without_a_label_are_left_out():
  labels = np.full(375, 72.0)
  labels[300] = np.nan  # at 12.0 s; the grid's 11.967 s lies beside it
  rows = evaluation_windows.evaluate(
    [_recording(labels=labels)], 'none', {'one': _fixed(70)}, 60.0
  )
  assert rows['time_s'].tolist() == [10, 11]


def test_short_recordings_are_refused():
  with pytest.raises(InputError, match='no window of 10 s'):
    evaluation_windows.evaluate([_recording(duration_s=9.9)], 'none', {}, 60.0)


def test_first_estimate_needs_10_s():
  time_s = 7 + np.arange(400) / 25
  # Grid sample 300 lies at 9.967 s, the frame after it at 10.0 s.
  assert estimates.first_estimate_s(time_s) == pytest.approx(10.0)
  assert estimates.first_estimate_s(time_s[:240]) is None


def test_pulse_windows_end_where_windows_of_10_s_do():
  values = np.arange(700)
  for length in (75, 300):
    windows = estimates.pulse_windows(values, length)
    np.testing.assert_array_equal(windows[:, -1], np.arange(299, 700, 30))
    np.testing.assert_array_equal(windows[0], np.arange(300 - length, 300))
  np.testing.assert_array_equal(
    estimates.pulse_windows(values, 600)[:, -1], [599, 629, 659, 689]
  )
  assert estimates.pulse_windows(values[:200]).shape == (0, 300)


def test_long_windows_read_what_short_ones_cannot():
  recording = _recording(duration_s=25.0)
  time_s = np.arange(750) / 30
  # 8 BPM beside a weaker tone: apart over 20 s, one peak over 2.5 s.
  pulse = np.sin(2 * np.pi * 1.2 * time_s) + 0.9 * np.sin(
    2 * np.pi * (1.2 + 8 / 60) * time_s
  )
  rows = window_lengths.window_rows(
    recording,
    {
      'tone': estimates.Estimates(np.zeros(0), pulse),
      'none': estimates.Estimates(np.zeros(0)),
    },
  )
  summary = window_lengths.summarise(rows)
  assert list(summary) == ['tone']
  assert list(summary['tone']) == ['2.5', '5', '10', '20']
  assert summary['tone']['20']['mae_bpm'] < 0.5
  assert summary['tone']['2.5']['mae_bpm'] > 2
  assert summary['tone']['2.5']['windows'] == 15
  assert summary['tone']['20']['windows'] == 5
  assert tables.length_table(summary).count('\n') == 2


def test_threshold_is_what_quality_says_where_quality_is_right():
  values = np.linspace(0, 1, 1001)
  error_bpm = np.where(values < 0.92, 30.0, 1.0)
  chosen = confidence.choose_threshold(values, error_bpm)
  assert chosen['threshold'] == 0.95
  assert chosen['kept_good_percent'] == pytest.approx(63, abs=1)
  assert chosen['kept_bad_percent'] == 0
  assert chosen['good_windows'] == 81


def test_threshold_is_higher_where_too_many_bad_windows_would_be_kept():
  random = np.random.default_rng(0)
  values = random.uniform(size=10_000)
  error_bpm = np.where(values < 0.97, 30.0, 1.0)
  chosen = confidence.choose_threshold(values, error_bpm)
  kept = values >= chosen['threshold']
  assert 0.98 <= np.mean(error_bpm[kept] <= 5) < 1
  at = confidence.errors_at_threshold(values, error_bpm, chosen['threshold'])
  assert at['kept_mae_bpm'] < np.mean(error_bpm) < at['rejected_mae_bpm']


def test_a_model_that_is_never_right_reports_nothing():
  chosen = confidence.choose_threshold(np.array([0.2, 0.99]), np.full(2, 9.0))
  assert chosen['threshold'] == 1.0
  assert chosen['kept_good_percent'] is None
  json.dumps(chosen, allow_nan=False)


def test_mae_falls_with_coverage():
  values = np.arange(100) / 100
  points = confidence.errors_by_coverage(values, 100 - np.arange(100.0))
  assert [p['coverage_percent'] for p in points] == [100, 90, 80, 70, 50]
  assert [p['windows'] for p in points] == [100, 90, 80, 70, 50]
  assert [p['threshold'] for p in points] == [0, 0.1, 0.2, 0.3, 0.5]
  assert points[0]['mae_bpm'] == 50.5
  assert points[-1]['mae_bpm'] == 25.5
  assert '0.500' in tables.coverage_table({'int8': points})


def _render(folder, subject, motion, pulse_rms):
  path = folder / 'DATASET_2' / subject / 'render.json'
  path.parent.mkdir(parents=True)
  path.write_text(json.dumps({'motion': motion, 'pulse_rms': pulse_rms}))


def test_groups_by_motion_and_amplitude(tmp_path):
  rows = []
  for number in range(6):
    motion = 'strong' if number % 2 else 'normal'
    _render(tmp_path, f'subject{number}', motion, 0.001 * (1 + number))
    rows += [
      {
        'subject': f'subject{number}',
        'reference_bpm': 70.0,
        'pos': 70.0 + number,
      }
    ] * 2
  groups = tables.groups_of_rows(pandas.DataFrame(rows), str(tmp_path))
  summary = tables.errors_by_group(groups, 'pos')
  assert {k: e['mae_bpm'] for k, e in summary['by_motion'].items()} == {
    'normal': 2.0,
    'strong': 3.0,
  }
  amplitude = summary['by_amplitude']
  assert [e['mae_bpm'] for e in amplitude.values()] == [0.5, 2.5, 4.5]
  assert list(amplitude) == ['<=0.267 %', '<=0.433 %', '>0.433 %']
  text = tables.group_table({'pos': summary}, 'by_motion', 'motion')
  assert text.splitlines()[1].split() == ['pos', '2.00', '3.00']


def test_recordings_that_were_not_rendered_are_refused(tmp_path):
  rows = pandas.DataFrame({'subject': ['subject7'], 'pos': [70.0]})
  with pytest.raises(InputError, match='expected one subject7/render'):
    tables.groups_of_rows(rows, str(tmp_path))
  path = tmp_path / 'subject7' / 'render.json'
  path.parent.mkdir()
  path.write_text('{}')
  with pytest.raises(InputError, match='no motion and pulse_rms'):
    tables.groups_of_rows(rows, str(tmp_path))
