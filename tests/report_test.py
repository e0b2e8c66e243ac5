"""Tests of rppg_tf.report on made-up run directories."""

import csv
import html.parser
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import pytest

from rppg_tf.errors import InputError
from rppg_tf.evaluation import metrics
from rppg_tf.reporting import run_data
from tests.support import commands

pytestmark = pytest.mark.slow

_HOSTILE = '<script>alert("$x_1$ & more")</script>'
_TRAIN_MEAN_BPM = 90.0


def write_run(
  run_dir: pathlib.Path,
  subjects=('subject103', 'subject107', 'subject113'),
  forms=('model', 'int8', 'int8_c'),
  num_windows=49,
  num_epochs=12,
  confidence=True,
) -> None:
  """Writes what train, export and evaluate leave behind, from a fixed seed."""
  run_dir.mkdir(parents=True, exist_ok=True)
  rows = []
  for index, subject in enumerate(subjects):
    rows += _window_rows(index, subject, forms, num_windows, confidence)
  _write_csv(run_dir / 'windows.csv', rows)
  evaluation = {form: _errors(rows, form) for form in (*forms, 'train_mean')}
  _write_json(run_dir / 'evaluation.json', evaluation)
  _write_csv(run_dir / 'history.csv', _history_rows(num_epochs, confidence))
  _write_json(
    run_dir / 'metrics.json',
    {
      'parameters': {'spatial_cnn': 9904, 'head': 6405, 'total': 16309},
      'train_mean_bpm': _TRAIN_MEAN_BPM,
      'validation_mae_bpm': 2.0 + 20 * math.exp(-(num_epochs - 1) / 3),
    },
  )
  _write_json(run_dir / 'flags.json', _FLAGS)
  _write_json(
    run_dir / 'split.json',
    {
      'train': [f'subject{n}' for n in (101, 102, 104, 106, 108, 109, 110)],
      'validation': ['subject105', 'subject115'],
      'test': list(subjects),
    },
  )
  _write_json(run_dir / 'provenance.json', dict.fromkeys(subjects, 'rendered'))
  _write_json(
    run_dir / 'versions.json', {'python': '3.11.2', 'tensorflow': '2.21.0'}
  )
  if 'int8' in forms:
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


def _window_rows(index, subject, forms, num_windows, confidence):
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
    for place, form in enumerate(forms):
      # int8_c is 2e-5 BPM from int8, with the sign of the window's parity.
      offset_bpm = (0.0, 0.125, 0.125 + 2e-5 * (-1) ** window)[place]
      row[form] = row['reference_bpm'] + float(error_bpm[window]) + offset_bpm
      if confidence:
        row[f'{form}_confidence'] = float(confident[window])
    rows.append(row)
  return rows


def _errors(rows, form):
  def of(some):
    return metrics.heart_rate_errors(
      np.array([row['reference_bpm'] for row in some]),
      np.array([row[form] for row in some]),
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


def _write_csv(path, rows):
  with path.open('w', newline='') as file:
    writer = csv.DictWriter(file, rows[0].keys(), lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)


def _write_json(path, content):
  path.write_text(json.dumps(content))


def _report(run_dir, *arguments):
  return commands.run('rppg_tf.report', f'--run_dir={run_dir}', *arguments)


class _Page(html.parser.HTMLParser):
  """Collects what a browser would act upon."""

  def __init__(self, text):
    super().__init__()
    self.tags, self.ids, self.addresses, self.labels = [], [], [], []
    self.words = []
    self.feed(text)
    self.close()

  def handle_starttag(self, tag, attrs):
    values = dict(attrs)
    self.tags.append(tag)
    if 'id' in values:
      self.ids.append(values['id'])
    if tag == 'svg' and values.get('role') == 'img':
      self.labels.append(values.get('aria-label'))
    for name in ('src', 'href', 'xlink:href', 'srcset', 'data', 'action'):
      if name in values:
        self.addresses.append(values[name])

  def handle_data(self, data):
    self.words.append(data)


class ReportTest(unittest.TestCase):
  @classmethod
  def setUpClass(cls):
    folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(folder.cleanup)
    cls.standard_dir = pathlib.Path(folder.name) / 'run'
    write_run(cls.standard_dir)
    _report(cls.standard_dir).check_returncode()
    text = (cls.standard_dir / 'report.html').read_text(encoding='utf-8')
    cls.standard = _Page(text), text

  def setUp(self):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.run_dir = pathlib.Path(folder.name) / 'run'

  def page(self, *arguments):
    done = _report(self.run_dir, *arguments)
    self.assertEqual(done.returncode, 0, done.stderr)
    text = (self.run_dir / 'report.html').read_text(encoding='utf-8')
    return _Page(text), text, done.stdout.splitlines()[-1]

  def error_line(self):
    done = _report(self.run_dir)
    self.assertEqual(done.returncode, 1)
    self.assertFalse((self.run_dir / 'report.html').exists())
    lines = done.stderr.splitlines()
    self.assertEqual(len(lines), 1, done.stderr)
    return lines[0]

  def test_summary_holds_the_numbers_of_the_run(self):
    write_run(self.run_dir)
    html_path = self.run_dir.parent / 'a' / 'page.html'
    summary_path = self.run_dir.parent / 'b' / 'numbers.json'
    done = _report(
      self.run_dir, f'--html={html_path}', f'--summary={summary_path}'
    )
    self.assertEqual(done.returncode, 0, done.stderr)
    evaluation = json.loads((self.run_dir / 'evaluation.json').read_text())
    summary = json.loads(summary_path.read_text())
    self.assertAlmostEqual(
      summary.pop('c_head_max_abs_diff_bpm'), 2e-5, delta=1e-9
    )
    self.assertEqual(
      summary,
      {
        'float_mae_bpm': evaluation['model']['mae_bpm'],
        'int8_mae_bpm': evaluation['int8']['mae_bpm'],
        'int8_c_mae_bpm': evaluation['int8_c']['mae_bpm'],
        'train_mean_mae_bpm': evaluation['train_mean']['mae_bpm'],
        'tflite_bytes': 15416,
        'parameters': 16309,
      },
    )
    self.assertRegex(
      done.stdout.splitlines()[-1],
      r'^test MAE, BPM: float \d\.\d\d, INT8 \d\.\d\d, INT8 \+ C head '
      r'\d\.\d\d, training mean \d+\.\d; C head within 2e-05 BPM of Keras; '
      r'spatial_int8\.tflite 15,416 bytes, 16,309 parameters; report: '
      + re.escape(str(html_path)),
    )
    self.assertTrue(html_path.is_file())

  def test_page_loads_nothing(self):
    page, text = self.standard
    self.assertNotRegex(text, r'(?i)(https?:)?//[a-z]|@import')
    self.assertEqual(re.findall(r'url\((?!#)', text), [])
    self.assertTrue(page.addresses)
    self.assertEqual([a for a in page.addresses if a[0] != '#'], [])
    forbidden = {'script', 'link', 'img', 'iframe', 'object', 'embed'}
    self.assertEqual(forbidden & set(page.tags), set())

  def test_ids_are_unique_and_every_reference_has_one(self):
    page, text = self.standard
    self.assertEqual(len(page.ids), len(set(page.ids)))
    referred = {address[1:] for address in page.addresses}
    referred |= set(re.findall(r'url\(#([^)]+)\)', text))
    self.assertEqual(referred - set(page.ids), set())

  def test_every_chart_says_in_words_what_it_shows(self):
    page, _ = self.standard
    # Three subjects, Bland-Altman, confidence, five curves of training.
    self.assertEqual(len(page.labels), 10)
    self.assertIn('subject103', page.labels[0])
    self.assertTrue(all(page.labels))

  def test_hostile_subject_is_text(self):
    write_run(self.run_dir, subjects=(_HOSTILE, 'subject103'))
    page, text, _ = self.page()
    self.assertNotIn('script', page.tags)
    self.assertNotIn('<script', text)
    self.assertIn(_HOSTILE, ''.join(page.words))

  def test_says_rendered_of_what_the_data_call_rendered_only(self):
    _, text = self.standard
    self.assertIn('Not a medical device', text)
    self.assertIn('are rendered, not filmed', text)
    path = self.run_dir / 'provenance.json'
    write_run(self.run_dir, subjects=('subject5', 'subject150', 'kim2024'))
    for content in ({'subject150': 'unknown'}, {}, None):
      path.unlink() if content is None else _write_json(path, content)
      _, text, _ = self.page()
      self.assertIn('Not a medical device', text)
      self.assertIn('of unknown origin', text)
      self.assertNotIn('rendered', text)
      self.assertNotIn('UBFC', text)
    _write_json(path, {'subject5': 'rendered', 'subject150': 'unknown'})
    _, text, _ = self.page()
    self.assertIn('1 of the 3 subjects', text)
    self.assertIn('the others are of unknown origin', text)

  def test_copes_without_int8_forms(self):
    write_run(self.run_dir, forms=('model',), confidence=False)
    page, text, line = self.page()
    summary = json.loads((self.run_dir / 'summary.json').read_text())
    missing = {name for name, value in summary.items() if value is None}
    self.assertEqual(
      missing,
      {
        'int8_mae_bpm',
        'int8_c_mae_bpm',
        'c_head_max_abs_diff_bpm',
        'tflite_bytes',
      },
    )
    self.assertIn('INT8 n/a, INT8 + C head n/a', line)
    self.assertNotIn('of Keras', line)
    self.assertIn('the float model is off by', text)
    self.assertEqual(len(page.labels), 3 + 1 + 3)

  def test_copes_with_one_window_and_one_epoch(self):
    write_run(
      self.run_dir, subjects=('subject103',), num_windows=1, num_epochs=1
    )
    page, text, _ = self.page()
    self.assertIn('one window has no limits', text)
    self.assertNotRegex(''.join(page.words).lower(), r'\bnan\b')
    self.assertNotRegex(text, r'\bd="[^"]*nan')

  def test_copes_with_windows_without_an_estimate(self):
    write_run(self.run_dir)
    path = self.run_dir / 'windows.csv'
    with path.open(newline='') as file:
      rows = list(csv.DictReader(file))
    for row in rows:
      if row['subject'] == 'subject103':
        row['int8_c'] = row['model'] = 'nan'
    _write_csv(path, rows)
    evaluation = json.loads((self.run_dir / 'evaluation.json').read_text())
    for form in ('model', 'int8_c'):
      evaluation[form]['mae_bpm'] = math.nan
      evaluation[form]['per_subject']['subject103']['mae_bpm'] = math.nan
    _write_json(self.run_dir / 'evaluation.json', evaluation)
    _, text, line = self.page()
    self.assertIn('gives no number for some windows', text)
    self.assertIn('49 windows without a number are left out', text)
    self.assertIn('INT8 + C head n/a', line)
    # Strict JSON: no NaN in it.
    summary = (self.run_dir / 'summary.json').read_text()
    self.assertNotIn('NaN', summary)
    self.assertIsNone(json.loads(summary)['int8_c_mae_bpm'])

  def test_says_when_a_model_is_no_better_than_the_mean(self):
    write_run(self.run_dir)
    evaluation = json.loads((self.run_dir / 'evaluation.json').read_text())
    evaluation['train_mean'] = evaluation['int8_c']
    _write_json(self.run_dir / 'evaluation.json', evaluation)
    path = self.run_dir / 'windows.csv'
    with path.open(newline='') as file:
      rows = list(csv.DictReader(file))
    _write_csv(path, [{**row, 'train_mean': row['int8_c']} for row in rows])
    _, text, _ = self.page()
    self.assertIn('this model is no better', text)

  def test_validation_subjects_are_called_so(self):
    write_run(self.run_dir, subjects=('subject105', 'subject115'))
    split = json.loads((self.run_dir / 'split.json').read_text())
    _write_json(self.run_dir / 'split.json', {**split, 'test': ['subject7']})
    _, text, line = self.page()
    self.assertIn('that chose the best epoch', text)
    self.assertTrue(line.startswith('validation MAE, BPM: '))

  def test_same_run_same_bytes(self):
    write_run(self.run_dir)
    _, text, _ = self.page()
    _, standard = self.standard
    here, there = str(self.run_dir), str(self.standard_dir)
    self.assertEqual(text.replace(here, there), standard)

  def test_missing_file_is_one_line_that_names_it(self):
    write_run(self.run_dir)
    (self.run_dir / 'evaluation.json').unlink()
    self.assertEqual(
      self.error_line(),
      f'error: {self.run_dir / "evaluation.json"}: not there; run `python -m '
      'rppg_tf.evaluate` first',
    )

  def test_missing_run_is_one_line(self):
    self.assertEqual(
      self.error_line(),
      f'error: {self.run_dir}: no such folder; give --run_dir a run of '
      'rppg_tf.train',
    )


class LoadTest(unittest.TestCase):
  def setUp(self):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.run_dir = pathlib.Path(folder.name)
    write_run(self.run_dir)

  def test_needs_no_tensorflow(self):
    code = (
      'import sys, rppg_tf.report; '
      "sys.exit(bool({'tensorflow', 'tf_keras'} & set(sys.modules)))"
    )
    self.assertEqual(subprocess.run([sys.executable, '-c', code]).returncode, 0)

  def test_every_missing_file_is_named_with_what_makes_it(self):
    for name, made_by in (
      ('history.csv', 'rppg_tf.train'),
      ('flags.json', 'rppg_tf.train'),
      ('versions.json', 'rppg_tf.train'),
      ('split.json', 'rppg_tf.train'),
      ('metrics.json', 'rppg_tf.train'),
      ('evaluation.json', 'rppg_tf.evaluate'),
      ('windows.csv', 'rppg_tf.evaluate'),
      ('spatial_int8.tflite', 'tools.export_tflite'),
    ):
      with self.subTest(name):
        before = (self.run_dir / name).read_bytes()
        (self.run_dir / name).unlink()
        with self.assertRaisesRegex(
          InputError, f'{name}: not there; run `python -m {made_by}`'
        ):
          run_data.load(self.run_dir)
        (self.run_dir / name).write_bytes(before)

  def test_resumed_epochs_replace_those_from_there_on(self):
    (self.run_dir / 'history.csv').write_text(
      'epoch,loss,val_loss\n0,5,50\n1,4,40\n2,3,30\n1,2,NA\n'
    )
    history = run_data.load(self.run_dir).history
    np.testing.assert_array_equal(history['epoch'], [0, 1])
    np.testing.assert_array_equal(history['loss'], [5, 2])
    np.testing.assert_array_equal(history['val_loss'], [50, np.nan])

  def test_refuses_windows_of_another_evaluation(self):
    evaluation = json.loads((self.run_dir / 'evaluation.json').read_text())
    evaluation['int8']['mae_bpm'] += 0.01
    _write_json(self.run_dir / 'evaluation.json', evaluation)
    with self.assertRaisesRegex(InputError, "differ on 'int8'"):
      run_data.load(self.run_dir)

  def test_refuses_damaged_files(self):
    for name, content, words in (
      ('history.csv', 'epoch,loss\n0,abc\n', "row 1, column 'loss'.*'abc'"),
      ('history.csv', 'epoch,loss\n', 'has no row'),
      ('history.csv', 'epoch\n0\n', "no column 'loss'"),
      ('windows.csv', 'subject,time_s\na,1\n', "no column 'reference_bpm'"),
      ('metrics.json', '{"parameters": 1', 'not JSON'),
      ('provenance.json', '[]', 'expected a JSON object, got list'),
      ('metrics.json', '{}', "has no 'parameters'"),
      ('split.json', '[]', 'expected a JSON object, got list'),
      ('evaluation.json', '{"model": {}}', "has no 'train_mean'"),
    ):
      with self.subTest(f'{name}: {content}'):
        before = (self.run_dir / name).read_text()
        (self.run_dir / name).write_text(content)
        with self.assertRaisesRegex(InputError, words):
          run_data.load(self.run_dir)
        (self.run_dir / name).write_text(before)

  def test_subjects_are_in_natural_order(self):
    write_run(self.run_dir, subjects=('subject10', 'subject9', 'amy'))
    self.assertEqual(
      run_data.load(self.run_dir).subjects, ['amy', 'subject9', 'subject10']
    )


class NumbersTest(unittest.TestCase):
  def test_agreement_of_known_differences(self):
    limits = run_data.agreement(
      np.array([60.0, 70.0, 80.0]), np.array([61.0, 73.0, 85.0])
    )
    # Differences 1, 3, 5: mean 3, standard deviation 2.
    self.assertAlmostEqual(limits['bias_bpm'], 3.0)
    self.assertAlmostEqual(limits['lower_bpm'], 3.0 - 3.92)
    self.assertAlmostEqual(limits['upper_bpm'], 3.0 + 3.92)

  def test_mae_of_the_halves_by_confidence(self):
    halves = run_data.mae_by_confidence(
      np.array([0.9, 0.1, 0.8, 0.2]), np.array([1.0, 7.0, 2.0, 9.0])
    )
    self.assertEqual(halves, (8.0, 1.5))
    self.assertIsNone(run_data.mae_by_confidence(np.full(3, 0.5), np.ones(3)))


if __name__ == '__main__':
  unittest.main()
