"""The command rppg_tf.report on synthetic run directories."""

import csv
import html.parser
import json
import math
import pathlib
import re
import tempfile
import unittest

import pytest

from tests.support import commands, synthetic_run

pytestmark = pytest.mark.slow

_HOSTILE = '<script>alert("$x_1$ & more")</script>'


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
    synthetic_run.write(cls.standard_dir)
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
    synthetic_run.write(self.run_dir)
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
    synthetic_run.write(self.run_dir, subjects=(_HOSTILE, 'subject103'))
    page, text, _ = self.page()
    self.assertNotIn('script', page.tags)
    self.assertNotIn('<script', text)
    self.assertIn(_HOSTILE, ''.join(page.words))

  def test_says_rendered_of_what_the_data_call_rendered_only(self):
    _, text = self.standard
    self.assertIn('Not a medical device', text)
    self.assertIn('are rendered, not filmed', text)
    path = self.run_dir / 'provenance.json'
    synthetic_run.write(
      self.run_dir, subjects=('subject5', 'subject150', 'kim2024')
    )
    for content in ({'subject150': 'unknown'}, {}, None):
      path.unlink() if content is None else synthetic_run.write_json(
        path, content
      )
      _, text, _ = self.page()
      self.assertIn('Not a medical device', text)
      self.assertIn('of unknown origin', text)
      self.assertNotIn('rendered', text)
      self.assertNotIn('UBFC', text)
    synthetic_run.write_json(
      path, {'subject5': 'rendered', 'subject150': 'unknown'}
    )
    _, text, _ = self.page()
    self.assertIn('1 of the 3 subjects', text)
    self.assertIn('the others are of unknown origin', text)

  def test_copes_without_int8_forms(self):
    synthetic_run.write(self.run_dir, variants=('model',), confidence=False)
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
    synthetic_run.write(
      self.run_dir, subjects=('subject103',), num_windows=1, num_epochs=1
    )
    page, text, _ = self.page()
    self.assertIn('one window has no limits', text)
    self.assertNotRegex(''.join(page.words).lower(), r'\bnan\b')
    self.assertNotRegex(text, r'\bd="[^"]*nan')

  def test_copes_with_windows_without_an_estimate(self):
    synthetic_run.write(self.run_dir)
    path = self.run_dir / 'windows.csv'
    with path.open(newline='') as file:
      rows = list(csv.DictReader(file))
    for row in rows:
      if row['subject'] == 'subject103':
        row['int8_c'] = row['model'] = 'nan'
    synthetic_run.write_csv(path, rows)
    evaluation = json.loads((self.run_dir / 'evaluation.json').read_text())
    for variant in ('model', 'int8_c'):
      evaluation[variant]['mae_bpm'] = math.nan
      evaluation[variant]['per_subject']['subject103']['mae_bpm'] = math.nan
    synthetic_run.write_json(self.run_dir / 'evaluation.json', evaluation)
    _, text, line = self.page()
    self.assertIn('gives no number for some windows', text)
    self.assertIn('49 windows without a number are left out', text)
    self.assertIn('INT8 + C head n/a', line)
    # Strict JSON: no NaN in it.
    summary = (self.run_dir / 'summary.json').read_text()
    self.assertNotIn('NaN', summary)
    self.assertIsNone(json.loads(summary)['int8_c_mae_bpm'])

  def test_says_when_a_model_is_no_better_than_the_mean(self):
    synthetic_run.write(self.run_dir)
    evaluation = json.loads((self.run_dir / 'evaluation.json').read_text())
    evaluation['train_mean'] = evaluation['int8_c']
    synthetic_run.write_json(self.run_dir / 'evaluation.json', evaluation)
    path = self.run_dir / 'windows.csv'
    with path.open(newline='') as file:
      rows = list(csv.DictReader(file))
    synthetic_run.write_csv(
      path, [{**row, 'train_mean': row['int8_c']} for row in rows]
    )
    _, text, _ = self.page()
    self.assertIn('this model is no better', text)

  def test_validation_subjects_are_called_so(self):
    synthetic_run.write(self.run_dir, subjects=('subject105', 'subject115'))
    split = json.loads((self.run_dir / 'split.json').read_text())
    synthetic_run.write_json(
      self.run_dir / 'split.json', {**split, 'test': ['subject7']}
    )
    _, text, line = self.page()
    self.assertIn('that chose the best epoch', text)
    self.assertTrue(line.startswith('validation MAE, BPM: '))

  def test_same_run_same_bytes(self):
    synthetic_run.write(self.run_dir)
    _, text, _ = self.page()
    _, standard = self.standard
    here, there = str(self.run_dir), str(self.standard_dir)
    self.assertEqual(text.replace(here, there), standard)

  def test_missing_file_is_one_line_that_names_it(self):
    synthetic_run.write(self.run_dir)
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


if __name__ == '__main__':
  unittest.main()
