import collections
import zlib
from pathlib import Path

import pytest

from rppg_tf.data import splits

_TABLE = Path(__file__).parents[2] / 'tfds_ubfc' / 'subject_splits.csv'


def test_table_is_the_stated_draw():
  table = splits.read_split_table(_TABLE)
  assert table == splits.draw_ubfc_splits()
  assert collections.Counter(table.values()) == {
    'train': 28,
    'validation': 6,
    'test': 8,
  }
  # UBFC has no 2, 6, 7, 19, 21, 28 and 29.
  assert sorted(int(name.removeprefix('subject')) for name in table) == sorted(
    set(range(1, 50)) - {2, 6, 7, 19, 21, 28, 29}
  )


@pytest.mark.parametrize(
  ('subject', 'split'),
  [
    ('subject103', 'test'),
    ('subject107', 'test'),
    ('subject105', 'validation'),
    ('subject100', 'train'),
    ('subject3_take12', 'train'),  # the last number counts
    ('subject12_take3', 'test'),
    ('subject1', 'listed'),
  ],
)
def test_split_of(subject, split):
  assert splits.split_of(subject, {'subject1': 'listed'}) == split


def test_split_of_a_name_without_a_number():
  digits = {
    name: zlib.crc32(name.encode()) % 10
    for name in ('subject_anna', 'subject_bert', 'subject_cleo', 'subjectx')
  }
  for name, digit in digits.items():
    expected = {3: 'test', 7: 'test', 5: 'validation'}.get(digit, 'train')
    assert splits.split_of(name, {}) == expected


@pytest.mark.parametrize('num_folds', [3, 5, 42])
def test_folds(num_folds):
  subjects = list(splits.draw_ubfc_splits())
  folds = [
    splits.fold_split(subjects, num_folds, fold) for fold in range(num_folds)
  ]
  for name in ('test', 'validation'):
    held_out = [subject for fold in folds for subject in fold[name]]
    assert sorted(held_out) == sorted(subjects)
  for index, fold in enumerate(folds):
    everyone = [*fold['train'], *fold['validation'], *fold['test']]
    assert sorted(everyone) == sorted(subjects)
    assert len(fold['test']) in (42 // num_folds, -(-42 // num_folds))
    # Neither order nor repetitions matter.
    again = splits.fold_split(subjects[::-1] * 2, num_folds, index)
    assert again == fold


@pytest.mark.parametrize(
  ('num_folds', 'fold', 'message'),
  [(2, 0, 'num_folds: expected 3 to 4'), (3, 3, 'fold: expected 0 to 2')],
)
def test_bad_folds(num_folds, fold, message):
  with pytest.raises(ValueError, match=message):
    splits.fold_split(['a', 'b', 'c', 'd'], num_folds, fold)


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('name,split\na,train\n', 'columns subject,split'),
    ('subject,split\na,dev\n', "got 'dev' for a"),
    ('subject,split\na,train\na,test\n', 'a twice'),
  ],
)
def test_bad_table(tmp_path, text, message):
  path = tmp_path / 'table.csv'
  path.write_text(text)
  with pytest.raises(ValueError, match=message):
    splits.read_split_table(path)
