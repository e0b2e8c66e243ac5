import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds

import tfds_ubfc
from rppg_tf.data import dataset, recordings, ubfc
from tests.support import commands
from tests.support.fake_recordings import (
  edit_line,
  truncate,
  write_ground_truth,
  write_recording,
)

pytestmark = pytest.mark.slow

_BUILDER_DIR = pathlib.Path(tfds_ubfc.__file__).parent
_TFDS = pathlib.Path(sys.executable).parent / 'tfds'
# 1 and 3 are in UBFC's table (train), 4 too (test); 105 goes by its 5.
_SUBJECTS = {
  'DATASET_2/subject1': 72,
  'DATASET_2/subject3': 60,
  'UBFC/DATASET_2/subject4': 90,
  'UBFC/DATASET_2/subject105': 110,
}
_RENDERED = 'DATASET_2/subject3'

_BEAM_OPTIONS = (
  '--beam_pipeline_options=runner=DirectRunner,'
  'direct_running_mode=multi_processing,direct_num_workers=2'
)


def _write_recordings(root):
  for position, (path, rate_bpm) in enumerate(_SUBJECTS.items()):
    write_recording(
      pathlib.Path(root) / path,
      num_frames=120 + position,
      rate_bpm=rate_bpm,
    )
  # By its name subject105 might be rendered: only this one is.
  (pathlib.Path(root) / _RENDERED / 'render.json').write_text('{}')


def _build(manual_dir, data_dir, config='inner'):
  builder = tfds_ubfc.Builder(data_dir=data_dir, config=config)
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
  )
  return builder


# What `pip install -e` puts on the path.
_PATH = {**os.environ, 'PYTHONPATH': str(_BUILDER_DIR.parent)}
_READ_HERE = """
import tensorflow_datasets as tfds
print(len(tfds.load('tfds_ubfc/inner', data_dir='.')['train']))
builder = tfds.builder_from_directory('tfds_ubfc/inner/2.0.0')
print(len(builder.as_dataset()['train']))
import tfds_ubfc
print(tfds_ubfc.Builder.VERSION)
"""


def _tfds_build(
  manual_dir, data_dir, *flags, command=(), cwd=_BUILDER_DIR, **kwargs
):
  """Starts the real command."""
  return subprocess.Popen(
    [
      _TFDS,
      'build',
      *command,
      '--config=inner',
      f'--manual_dir={manual_dir}',
      f'--data_dir={data_dir}',
      *flags,
    ],
    cwd=cwd,
    env=_PATH,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    **kwargs,
  )


def _records(data_dir):
  """Content of every file of the built dataset."""
  folder = pathlib.Path(data_dir) / 'tfds_ubfc' / 'inner' / '2.0.0'
  return {path.name: path.read_bytes() for path in folder.iterdir()}


class UbfcTest(tfds.testing.DatasetBuilderTestCase):
  DATASET_CLASS = tfds_ubfc.Builder
  BUILDER_CONFIG_NAMES_TO_TEST = ['inner']  # noqa: RUF012
  SPLITS = {'train': 2, 'validation': 1, 'test': 1}  # noqa: RUF012, TFDS's way

  @classmethod
  def setUpClass(cls):
    cls.EXAMPLE_DIR = tempfile.mkdtemp()
    _write_recordings(cls.EXAMPLE_DIR)
    super().setUpClass()

  @classmethod
  def tearDownClass(cls):
    super().tearDownClass()
    shutil.rmtree(cls.EXAMPLE_DIR)


class BuiltDatasetTest(tfds.testing.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._root = pathlib.Path(tempfile.mkdtemp())
    _write_recordings(cls._root / 'manual')
    _build(cls._root / 'manual', cls._root / 'data')

  @classmethod
  def tearDownClass(cls):
    super().tearDownClass()
    shutil.rmtree(cls._root)

  def test_no_subject_is_in_two_splits(self):
    subjects = {
      split: [
        example['subject'].decode()
        for example in tfds.as_numpy(
          tfds.load('tfds_ubfc', data_dir=self._root / 'data', split=split)
        )
      ]
      for split in ('train', 'validation', 'test')
    }
    self.assertCountEqual(subjects['train'], ['subject1', 'subject3'])
    self.assertEqual(subjects['validation'], ['subject105'])
    self.assertEqual(subjects['test'], ['subject4'])

  def test_the_build_knows_what_was_rendered(self):
    expected = {'subject3': 'rendered'} | dict.fromkeys(
      ('subject1', 'subject4', 'subject105'), 'unknown'
    )
    data_dir = self._root / 'data'
    self.assertEqual(dataset.origins(data_dir, 'inner'), expected)
    # A build of before there were origins.
    shutil.copytree(data_dir, self._root / 'before')
    path = self._root / 'before/tfds_ubfc/inner/2.0.0/metadata.json'
    path.unlink()
    self.assertEqual(dataset.origins(self._root / 'before', 'inner'), {})

  def test_examples_are_what_was_read_bit_by_bit(self):
    builder = tfds.builder_from_directory(
      self._root / 'data' / 'tfds_ubfc' / 'inner' / '2.0.0'
    )
    stored = builder.as_dataset(split='train+validation+test')
    folders = {
      path.rsplit('/', 1)[-1]: self._root / 'manual' / path
      for path in _SUBJECTS
    }
    for example in tfds.as_numpy(stored):
      expected = recordings.read_recording(folders[example['subject'].decode()])
      for name in set(expected) - {'subject'}:
        self.assertEqual(example[name].dtype, expected[name].dtype)
        np.testing.assert_array_equal(example[name], expected[name])

  def test_a_build_from_another_folder_is_read_from_its_own(self):
    elsewhere = self._root / 'elsewhere'
    elsewhere.mkdir()
    process = _tfds_build(
      '../manual', '../built', command=[_BUILDER_DIR], cwd=elsewhere
    )
    output, _ = process.communicate(timeout=300)
    self.assertEqual(process.returncode, 0, output)
    built = self._root / 'built'
    self.assertEqual(_records(built), _records(self._root / 'data'))
    # There a folder of data has the package's name.
    done = subprocess.run(
      [sys.executable, '-c', _READ_HERE],
      cwd=built,
      env=_PATH,
      capture_output=True,
      text=True,
      check=False,
    )
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertEqual(done.stdout.split(), ['2', '2', '2.0.0'])

  def test_an_empty_split_is_left_out(self):
    manual = self._root / 'one'
    shutil.copytree(
      self._root / 'manual' / 'DATASET_2' / 'subject1', manual / 'subject1'
    )
    builder = _build(manual, self._root / 'one_data', config='original')
    self.assertEqual(list(builder.info.splits), ['train'])

  def test_killed_and_started_again_gives_the_same_bytes(self):
    data_dir = self._root / 'killed'
    process = subprocess.Popen(
      [
        *(_TFDS, 'build', '--config=inner'),
        f'--manual_dir={self._root / "manual"}',
        f'--data_dir={data_dir}',
      ],
      cwd=_BUILDER_DIR,
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
      start_new_session=True,
    )
    # Half-way: the first split is being written.
    dataset_dir = data_dir / 'tfds_ubfc' / 'inner'
    deadline_s = time.monotonic() + 600
    while not list(dataset_dir.glob('incomplete.*/*')):
      self.assertIsNone(process.poll(), 'the build ended before the kill')
      self.assertLess(time.monotonic(), deadline_s)
      time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    self.assertFalse((dataset_dir / '2.0.0').exists())

    self._build_by_command(data_dir)
    self.assertEqual(_records(data_dir), _records(self._root / 'data'))

  def _build_by_command(self, data_dir, *flags):
    done = commands.tfds_build(
      f'--manual_dir={self._root / "manual"}', f'--data_dir={data_dir}', *flags
    )
    self.assertEqual(done.returncode, 0, done.stderr)

  def test_beam_in_two_processes_gives_the_same_bytes(self):
    self._build_by_command(self._root / 'beam', _BEAM_OPTIONS)
    by_beam, plain = (
      _records(self._root / 'beam'),
      _records(self._root / 'data'),
    )
    names = [name for name in plain if 'tfrecord' in name]
    self.assertLen(names, 3)
    for name in names:
      self.assertEqual(by_beam[name], plain[name], name)


class BadInputTest(tfds.testing.TestCase):
  def setUp(self):
    super().setUp()
    self._root = pathlib.Path(tempfile.mkdtemp())
    self.addCleanup(shutil.rmtree, self._root)
    self._folder = self._root / 'manual' / 'DATASET_2' / 'subject1'

  def _assert_build_fails(self, pattern, manual_dir='manual'):
    with self.assertRaisesRegex(ubfc.RecordingError, pattern) as caught:
      _build(manual_dir and self._root / manual_dir, self._root / 'data')
    self.assertNotIn('\n', str(caught.exception))
    versions = self._root / 'data' / 'tfds_ubfc' / 'inner'
    self.assertEmpty(list(versions.iterdir()))

  def test_manual_dir(self):
    self._assert_build_fails('is empty; pass the fold', manual_dir=None)
    self._assert_build_fails('manual does not exist or is empty; pass the fold')
    (self._root / 'manual').mkdir()
    self._assert_build_fails('manual does not exist or is empty; pass the fold')
    (self._root / 'manual' / 'other.txt').touch()
    self._assert_build_fails(r'manual: no subject\*/vid.avi at any depth; give')

  def test_ground_truth(self):
    write_recording(self._folder)
    edit_line(self._folder, 1, lambda line: line + ' 0.5')
    self._assert_build_fails('ground_truth.txt: 121 PPG samples .* copy')
    write_ground_truth(self._folder, 120)
    edit_line(self._folder, 2, lambda line: '')
    self._assert_build_fails(
      'ground_truth.txt: expected 3 lines .* got 2; copy'
    )
    write_ground_truth(self._folder, 120)
    edit_line(self._folder, 3, lambda line: line + ' abc')
    self._assert_build_fails("ground_truth.txt: line 3 must .* 'abc'; copy")

  def test_a_broken_recording_among_good_ones(self):
    write_recording(self._folder)
    other = write_recording(self._folder.parent / 'subject9')
    truncate(other / 'vid.avi')
    self._assert_build_fails('subject9/vid.avi: truncated .* copy it again')
    (other / 'vid.avi').unlink()
    self._assert_build_fails(
      r'subject9/vid.avi: missing \(vid.mp4, .*\); copy it'
    )

  def test_last_line_of_the_command(self):
    truncated = write_recording(self._folder)
    truncate(truncated / 'vid.avi')
    done = commands.tfds_build(
      f'--manual_dir={self._root / "manual"}',
      f'--data_dir={self._root / "data"}',
    )
    last_line = done.stderr.rstrip().splitlines()[-1]
    self.assertNotEqual(done.returncode, 0)
    self.assertStartsWith(last_line, 'rppg_tf.data.ubfc.RecordingError: ')
    self.assertEndsWith(last_line, 'can be decoded; copy it again')


if __name__ == '__main__':
  tfds.testing.test_main()
