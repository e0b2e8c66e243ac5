"""Tables of predictions: they come back, are interpolated or refused."""

import numpy as np
import pytest

from rppg_tf.distillation import table as teacher_table
from rppg_tf.distillation.table import Table, Track
from rppg_tf.errors import InputError
from tests.support.synthetic_examples import TIMES_S
from tests.support.synthetic_teacher import every_column


def test_a_table_comes_back_bit_for_bit(tmp_path):
  columns = every_column()
  columns['heart_rate_bpm'][:150] = np.nan
  columns['rate_probability'][:150] = np.nan
  tracks = {
    ('subject1', 0): Track(TIMES_S, columns),
    ('subject1', 1): Track(TIMES_S + 7, every_column()),
  }
  path = tmp_path / 'deeper' / 'table.npz'
  assert teacher_table.write(path, Table(tracks, ('subject9',))) == 720
  read = teacher_table.read(path)
  assert read.trained_on == ('subject9',)
  recordings = [('subject1', TIMES_S), ('subject1', TIMES_S + 7)]
  joined = [
    teacher_table.join(table, recordings, 'x')
    for table in (Table(tracks), read)
  ]
  for ours, theirs, track in zip(*joined, tracks.values(), strict=True):
    for name, values in track.columns.items():
      np.testing.assert_array_equal(ours[name], values)
      np.testing.assert_array_equal(theirs[name], values)


def _csv(tmp_path, *rows, header='subject,time_s,heart_rate_bpm'):
  path = tmp_path / 'table.csv'
  path.write_text('\n'.join([header, *rows]) + '\n')
  return path


def test_a_csv_of_rates_alone(tmp_path):
  path = _csv(
    tmp_path, 's1,0.5,60', 's1,1.5,70', 's1,2.5,', 's1,3,80', 's1,9,80'
  )
  wanted_s = np.array([0.0, 0.45, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 9.0])
  (columns,) = teacher_table.join(
    teacher_table.read(path), [('s1', wanted_s)], 'x'
  )
  assert list(columns) == ['heart_rate_bpm']
  nan = np.nan
  np.testing.assert_allclose(
    columns['heart_rate_bpm'], [nan, 60, 60, 65, 70, nan, 80, nan, 80]
  )


_BAD_CSV = {
  'time_s must not decrease': ('s1,1,60', 's1,0.5,60'),
  "line 3: time_s: expected a number, got 'x'": ('s1,1,60', 's1,x,60'),
  'row 1, s1: time_s is not finite': ('s1,nan,60',),
  'infinite': ('s1,1,inf',),
  'no row': (),
  'no row of s1, recording 0; 1 of 1 .* another split': ('s2,1,60',),
  'expected BPM, 40 to 160': ('s1,1,1.2', 's1,2,1.3'),
  'no heart rate': ('s1,1,', 's1,2,'),
  'its rows are of 50-60 s': ('s1,50,60', 's1,60,60'),
}


@pytest.mark.parametrize('message', _BAD_CSV)
def test_a_table_that_is_refused(tmp_path, message):
  path = _csv(tmp_path, *_BAD_CSV[message])
  with pytest.raises(InputError, match=message):
    table = teacher_table.read(path)
    teacher_table.join(table, [('s1', np.array([0.0, 1.0, 2.0]))], str(path))


def test_columns_that_are_refused(tmp_path):
  with pytest.raises(InputError, match='heart_rate_bpm missing'):
    teacher_table.read(_csv(tmp_path, header='subject,time_s'))
  with pytest.raises(InputError, match='bpm not known'):
    teacher_table.read(
      _csv(tmp_path, header='subject,time_s,heart_rate_bpm,bpm')
    )
  good = {'subject': ['s'], 'time_s': [1.0], 'heart_rate_bpm': [60.0]}
  for more, message in (
    ({'rate_probability': np.ones((1, 70))}, r'expected numbers \(1, 71\)'),
    ({'pulse': [np.nan]}, 'row 1, s: pulse is not finite'),
    ({'spo2': [98.0]}, 'unknown column spo2'),
    ({'time_s': [1.0, 2.0]}, r'subject: expected text \(2,\)'),
  ):
    np.savez(tmp_path / 'table.npz', **good | more)
    with pytest.raises(InputError, match=message):
      teacher_table.read(tmp_path / 'table.npz')
  (tmp_path / 'table.npz').write_bytes(b'no archive')
  with pytest.raises(InputError, match='no table'):
    teacher_table.read(tmp_path / 'table.npz')
