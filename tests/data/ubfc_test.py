"""Layout of UBFC's DATASET_2: what is found, read, and said of the rest."""

import numpy as np
import pytest

from rppg_tf.data import ubfc
from tests.support.fake_recordings import write_ground_truth

_BOTH = ('vid.avi', 'ground_truth.txt')


def _folder(root, name, *files):
  folder = root / name
  folder.mkdir(parents=True, exist_ok=True)
  for file in files:
    (folder / file).touch()
  return folder


def test_recordings_are_found_at_any_depth_in_order(tmp_path):
  for name in ('a/b/DATASET_2/subject10', 'a/subject9', 'subject2'):
    _folder(tmp_path, name, *_BOTH)
  _folder(tmp_path, 'a/notes')
  # A render that was killed leaves this.
  _folder(tmp_path, '.rendering_1', *_BOTH)
  found = ubfc.find_recordings(tmp_path)
  assert [subject for subject, _ in found] == [
    'subject2',
    'subject9',
    'subject10',
  ]
  assert found[2][1] == tmp_path / 'a/b/DATASET_2/subject10'
  # The same files again through a link into the tree are not found twice.
  (tmp_path / 'a' / 'loop').symlink_to(tmp_path)
  assert ubfc.find_recordings(tmp_path) == found


def test_recordings_are_found_through_a_link(tmp_path):
  _folder(tmp_path, 'disk/DATASET_2/subject1', *_BOTH)
  _folder(tmp_path, 'root')
  (tmp_path / 'root' / 'link').symlink_to(tmp_path / 'disk')
  assert len(ubfc.find_recordings(tmp_path / 'root')) == 1


def test_a_subjects_own_folder_is_found(tmp_path, monkeypatch):
  folder = _folder(tmp_path, 'subject1', *_BOTH)
  monkeypatch.chdir(folder)
  assert ubfc.find_recordings('.') == [('subject1', folder)]


@pytest.mark.parametrize('name', ['vid.mp4', 'vid.mkv', 'vid.MOV'])
def test_a_video_may_be_in_another_container(tmp_path, name):
  folder = _folder(tmp_path, 'subject1', name, 'ground_truth.txt', 'vid.json')
  assert ubfc.find_recordings(tmp_path) == [('subject1', folder)]
  assert ubfc.find_video(folder) == folder / name


@pytest.mark.parametrize(
  ('files', 'message'),
  [
    ('', r'ROOT: no subject\*/vid.avi at any depth; give the folder that'),
    (
      'P1/face.avi P2/b.mp4 P3/c.mp4 P4/d.mkv',
      r'ROOT: no subject\*/vid.avi at any depth, found P1/face.avi, P2/b.mp4, '
      r'P3/c.mp4 and 1 more; name them subjectN/vid.avi \(or .mp4, .mkv',
    ),
    (
      'P2/vid.avi P2/ground_truth.txt '
      'subject1/vid.avi subject1/ground_truth.txt',
      r'ROOT/P2: a recording \(vid.avi, ground_truth.txt\) in a folder of '
      'another name than subjectN; rename or remove it',
    ),
    (
      'subject1/vid.avi subject1/gt.txt',
      'ROOT/subject1/ground_truth.txt: missing, found gt.txt; copy it, rename',
    ),
    (
      'subject1/face.mp4 subject1/ground_truth.txt',
      r'ROOT/subject1/vid.avi: missing \(vid.mp4, .mkv, … would do\), found '
      'face.mp4; copy it, rename it, or remove the folder',
    ),
    (
      'subject1/ground_truth.txt subject2/vid.avi subject2/ground_truth.txt',
      r'ROOT/subject1/vid.avi: missing \(vid.mp4, .mkv, … would do\); copy',
    ),
    (
      'subject1/vid.avi subject1/vid.mp4 subject1/ground_truth.txt',
      'ROOT/subject1: vid.avi and vid.mp4, but a recording has one video; re',
    ),
    (
      'a/subject1/vid.avi a/subject1/ground_truth.txt '
      'b/subject1/vid.avi b/subject1/ground_truth.txt',
      'ROOT/b/subject1: subject1 is also in .*a/subject1',
    ),
    (
      'D/5-gt/vid.avi D/5-gt/gtdump.xmp',
      'ROOT/D/5-gt/gtdump.xmp: DATASET_1 of UBFC-rPPG, .* give DATASET_2',
    ),
    (
      'subject1/vid.avi subject1/gtdump.xmp',
      'ROOT/subject1/gtdump.xmp: DATASET_1 of UBFC-rPPG, .* give DATASET_2',
    ),
  ],
)
def test_what_is_not_a_recording_is_named(tmp_path, files, message):
  for path in files.split():
    folder, name = path.rsplit('/', 1)
    _folder(tmp_path, folder, name)
  with pytest.raises(
    ubfc.RecordingError, match=message.replace('ROOT', str(tmp_path))
  ) as caught:
    ubfc.find_recordings(tmp_path)
  assert '\n' not in str(caught.value)


def test_a_root_that_is_none_is_named(tmp_path):
  with pytest.raises(ubfc.RecordingError, match='nowhere: no such folder'):
    ubfc.find_recordings(tmp_path / 'nowhere')


def test_dataset_1_beside_dataset_2_is_left_alone(tmp_path):
  _folder(tmp_path, 'DATASET_1/5-gt', 'vid.avi', 'gtdump.xmp')
  folder = _folder(tmp_path, 'DATASET_2/subject1', *_BOTH)
  assert ubfc.find_recordings(tmp_path) == [('subject1', folder)]


def test_ground_truths_are_found_without_videos(tmp_path):
  paths = [
    _folder(tmp_path, name, 'ground_truth.txt') / 'ground_truth.txt'
    for name in ('subject9', 'a/subject10')
  ]
  assert ubfc.find_ground_truths(tmp_path) == paths
  with pytest.raises(ubfc.RecordingError, match=r'no subject\*/ground_truth'):
    ubfc.find_ground_truths(_folder(tmp_path, 'empty'))


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-16-be'])
def test_text_of_windows_is_read(tmp_path, encoding):
  write_ground_truth(tmp_path, 90)
  path = tmp_path / 'ground_truth.txt'
  plain = ubfc.parse_ground_truth(path)
  mark = '\ufeff' if encoding == 'utf-16-be' else ''
  text = mark + path.read_text().replace('\n', '\r\n')
  path.write_bytes(text.encode(encoding))
  found = ubfc.parse_ground_truth(path)
  np.testing.assert_array_equal(found[1:], plain[1:])


def test_line_2_may_be_corrupt(tmp_path):
  path = tmp_path / 'ground_truth.txt'
  path.write_text('1 2 3\n90 nan\n0 0.1 0.2\n')
  truth = ubfc.parse_ground_truth(path)
  np.testing.assert_array_equal(truth.ppg, [1, 2, 3])
  np.testing.assert_array_equal(truth.device_rate_bpm, [90, np.nan])
  np.testing.assert_array_equal(truth.timestamp_s, [0, 0.1, 0.2])


def test_unreadable_ground_truth(tmp_path):
  path = tmp_path / 'ground_truth.txt'
  with pytest.raises(ubfc.RecordingError, match='No such file'):
    ubfc.parse_ground_truth(path)
  for content in (b'\xff\xfe\x00', b'\x81\x8d'):
    path.write_bytes(content)
    with pytest.raises(ubfc.RecordingError, match='not a text file'):
      ubfc.parse_ground_truth(path)
