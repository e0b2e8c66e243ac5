"""What of a run directory the report reads, and what it refuses."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import pytest

from rppg_tf.errors import InputError
from rppg_tf.reporting import run_data
from tests.support import synthetic_run


class LoadTest(unittest.TestCase):
  def setUp(self):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.run_dir = pathlib.Path(folder.name)
    synthetic_run.write(self.run_dir)

  @pytest.mark.slow
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
    synthetic_run.write_json(self.run_dir / 'evaluation.json', evaluation)
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
    synthetic_run.write(self.run_dir, subjects=('subject10', 'subject9', 'amy'))
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
