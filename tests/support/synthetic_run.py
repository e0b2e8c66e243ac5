"""A run directory as train, export and evaluate leave it, for the tests."""

import csv
import json
import math
import pathlib

import numpy as np

from rppg_tf.evaluation import metrics

_TRAIN_MEAN_BPM = 90.0


def write(
  run_dir: pathlib.Path,
  subjects=('subject103', 'subject107', 'subject113'),
  variants=('model', 'int8', 'int8_c'),
  num_windows=49,
  num_epochs=12,
  confidence=True,
) -> None:
  """Writes what train, export and evaluate leave behind, from a fixed seed."""
  run_dir.mkdir(parents=True, exist_ok=True)
  rows = []
  for index, subject in enumerate(subjects):
    rows += _window_rows(index, subject, variants, num_windows, confidence)
  write_csv(run_dir / 'windows.csv', rows)
  evaluation = {
    variant: _errors(rows, variant) for variant in (*variants, 'train_mean')
  }
  write_json(run_dir / 'evaluation.json', evaluation)
  write_csv(run_dir / 'history.csv', _history_rows(num_epochs, confidence))
  write_json(
    run_dir / 'metrics.json',
    {
      'parameters': {'spatial_cnn': 9904, 'head': 6405, 'total': 16309},
      'train_mean_bpm': _TRAIN_MEAN_BPM,
      'validation_mae_bpm': 2.0 + 20 * math.exp(-(num_epochs - 1) / 3),
    },
  )
  write_json(run_dir / 'flags.json', _FLAGS)
  write_json(
    run_dir / 'split.json',
    {
      'train': [f'subject{n}' for n in (101, 102, 104, 106, 108, 109, 110)],
      'validation': ['subject105', 'subject115'],
      'test': list(subjects),
    },
  )
  write_json(run_dir / 'provenance.json', dict.fromkeys(subjects, 'rendered'))
  write_json(
    run_dir / 'versions.json', {'python': '3.11.2', 'tensorflow': '2.21.0'}
  )
  if 'int8' in variants:
    (run_dir / 'spatial_int8.tflite').write_bytes(bytes(15416))


_FLAGS = {
  'background': 'normalise',
  'batch_size': 4,
  'data_dir': 'build/demo/data',
  'epochs': 12,
  'head': 'pulse',
  'learning_rate': 0.002,
  'run_dir': 'build/demo/run',
  'seed': 1,
}


def _window_rows(index, subject, variants, num_windows, confidence):
  random = np.random.default_rng(index)
  time_s = 10.0 + np.arange(num_windows)
  reference_bpm = 65 + 18 * index + 5 * np.sin(time_s / 9 + index)
  confident = random.uniform(0.2, 0.98, num_windows)
  error_bpm = random.normal(0.3, 0.4 + 4 * (1 - confident) ** 2)
  rows = []
  for window in range(num_windows):
    row = {
      'subject': subject,
      'time_s': float(time_s[window]),
      'reference_bpm': float(reference_bpm[window]),
      'train_mean': _TRAIN_MEAN_BPM,
    }
    for place, variant in enumerate(variants):
      # int8_c is 2e-5 BPM from int8, with the sign of the window's parity.
      offset_bpm = (0.0, 0.125, 0.125 + 2e-5 * (-1) ** window)[place]
      row[variant] = (
        row['reference_bpm'] + float(error_bpm[window]) + offset_bpm
      )
      if confidence:
        row[f'{variant}_confidence'] = float(confident[window])
    rows.append(row)
  return rows


def _errors(rows, variant):
  def of(some):
    return metrics.heart_rate_errors(
      np.array([row['reference_bpm'] for row in some]),
      np.array([row[variant] for row in some]),
    )

  names = dict.fromkeys(row['subject'] for row in rows)
  per_subject = {
    name: of([row for row in rows if row['subject'] == name]) for name in names
  }
  return {**of(rows), 'per_subject': per_subject}


def _history_rows(num_epochs, pulse):
  rows = []
  for epoch in range(num_epochs):
    left = math.exp(-epoch / 3)
    row = {
      'epoch': epoch,
      'heart_rate_bpm_loss': 2 + 18 * left,
      'heart_rate_bpm_mae_bpm': 1.5 + 18 * left,
      'loss': 2 + 6 * left,
    }
    if pulse:
      row |= {'pulse_loss': 0.2 + left, 'rate_probability_loss': 1 + 3 * left}
    row |= {f'val_{name}': row[name] * 1.1 for name in row if name != 'epoch'}
    row['val_heart_rate_bpm_mae_bpm'] = 2 + 20 * left
    rows.append(row)
  return rows


def write_csv(path, rows):
  with path.open('w', newline='') as file:
    writer = csv.DictWriter(file, rows[0].keys(), lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)


def write_json(path, content):
  path.write_text(json.dumps(content))
