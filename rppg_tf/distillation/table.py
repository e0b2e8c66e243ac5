"""A table of a teacher's predictions: what every --teacher becomes.

Rows are keyed by subject and time, on the clock of the recording's
timestamp_s. `heart_rate_bpm` is the rate at that time, as a label would be;
that of a window belongs to the window's middle. NaN where teacher outputs are
missing.
"""

import csv
import dataclasses
import io
import pathlib
import zipfile
from collections.abc import Iterable, Sequence

import numpy as np

from rppg_tf import contract, files
from rppg_tf.errors import InputError

SUFFIXES = ('.npz', '.csv')
# What a teacher may say of a frame, and how many values that is; None: any.
COLUMNS = {
  'heart_rate_bpm': 0,
  'pulse': 0,
  'rate_probability': contract.NUM_RATES,
  'features': None,
}
# Between rows further apart than this teacher outputs are missing.
MAX_GAP_S = 2.0
# Outside of its rows a table still counts for this long: times are rounded.
_EDGE_S = 0.1
_CSV_COLUMNS = ('subject', 'recording', 'time_s', 'heart_rate_bpm', 'pulse')
_NEEDED = ('subject', 'time_s', 'heart_rate_bpm')

# Subject, and which of the subject's recordings, in the order of the data.
Key = tuple[str, int]


@dataclasses.dataclass(frozen=True)
class Track:
  """A teacher's outputs for one recording.

  Attributes:
    time_s: float64 [rows], never decreasing.
    columns: float32 by name of COLUMNS, heart_rate_bpm always: [rows], or
      [rows, values].
  """

  time_s: np.ndarray
  columns: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Table:
  """A teacher's outputs for every recording.

  Attributes:
    tracks: by recording; all with the same columns.
    trained_on: subjects that the teacher is known to have learnt from.
  """

  tracks: dict[Key, Track]
  trained_on: tuple[str, ...] = ()


def numbered(subjects: Iterable[str]) -> list[Key]:
  """Returns the key of each recording, given whose they are, in order."""
  seen: dict[str, int] = {}
  keys = []
  for subject in subjects:
    keys.append((subject, seen.get(subject, 0)))
    seen[subject] = seen.get(subject, 0) + 1
  return keys


def at_times(
  values: np.ndarray, time_s: np.ndarray, wanted_s: np.ndarray
) -> np.ndarray:
  """Interpolates linearly; NaN outside and in gaps of more than MAX_GAP_S.

  Args:
    values: float32 [rows] or [rows, n].
    time_s: float64 [rows], never decreasing.
    wanted_s: float64 [times].

  Returns:
    float32 [times] or [times, n]; at a row's own time exactly its values.
  """
  if not len(time_s):
    return np.full((len(wanted_s), *values.shape[1:]), np.nan, np.float32)
  first_s, last_s = time_s[0], time_s[-1]
  inside = (wanted_s >= first_s - _EDGE_S) & (wanted_s <= last_s + _EDGE_S)
  wanted_s = np.clip(wanted_s, first_s, last_s)
  newer = np.searchsorted(time_s, wanted_s, side='left')
  older = np.maximum(newer - 1, 0)
  exact = time_s[newer] == wanted_s
  older = np.where(exact, newer, older)  # NaN before it is not to spread
  span_s = time_s[newer] - time_s[older]
  share = (wanted_s - time_s[older]) / np.where(exact, 1.0, span_s)
  per_row = (-1, *[1] * (values.ndim - 1))
  share = share.astype(np.float32).reshape(per_row)
  result = values[older] + share * (values[newer] - values[older])
  result[~(inside & (span_s <= MAX_GAP_S))] = np.nan
  return result.astype(np.float32)


def join(
  table: Table, recordings: Sequence[tuple[str, np.ndarray]], name: str
) -> list[dict[str, np.ndarray]]:
  """Brings a table to the frames of recordings.

  Args:
    table: the teacher's.
    recordings: subject and timestamp_s float64 [frames] of each, in the order
      in which they are read.
    name: of the table, for the messages.

  Returns:
    Of each recording {column: float32 [frames] or [frames, values]}, NaN
    where teacher outputs are missing.

  Raises:
    InputError: a recording is not in the table, or none of its rows is of
      the recording's time.
  """
  keys = numbered(subject for subject, _ in recordings)
  missing = [key for key in keys if key not in table.tracks]
  if missing:
    subject, number = missing[0]
    raise InputError(
      f'{name}: no row of {subject}, recording {number}; {len(missing)} of '
      f'{len(keys)} training recordings are not in it: is it of another split?'
    )
  joined = []
  for key, (subject, timestamp_s) in zip(keys, recordings, strict=True):
    track = table.tracks[key]
    columns = {
      column: at_times(values, track.time_s, timestamp_s)
      for column, values in track.columns.items()
    }
    if _is_elsewhere(track, timestamp_s):
      raise InputError(
        f'{name}: {subject}, recording {key[1]}: its rows are of '
        f'{track.time_s[0]:g}-{track.time_s[-1]:g} s, the recording of '
        f'{timestamp_s[0]:g}-{timestamp_s[-1]:g} s'
      )
    joined.append(columns)
  _check_rates(joined, name)
  return joined


def _is_elsewhere(track: Track, timestamp_s: np.ndarray) -> bool:
  first_s, last_s = track.time_s[0], track.time_s[-1]
  return last_s < timestamp_s[0] or first_s > timestamp_s[-1]


def _check_rates(joined: list[dict[str, np.ndarray]], name: str) -> None:
  """Refuses rates in another unit, and a teacher without outputs."""
  rates = np.concatenate([columns['heart_rate_bpm'] for columns in joined])
  rates = rates[np.isfinite(rates)]
  if not rates.size:
    raise InputError(f'{name}: no heart rate at any frame')
  usable = (rates >= contract.MIN_LABEL_BPM) & (rates <= contract.MAX_LABEL_BPM)
  if not np.any(usable):
    raise InputError(
      f'{name}: heart rates of {rates.min():g} to {rates.max():g}; expected '
      f'BPM, {contract.MIN_LABEL_BPM:g} to {contract.MAX_LABEL_BPM:g}'
    )


def write(path: pathlib.Path, table: Table) -> int:
  """Writes a table as .npz, whole or not at all; returns its rows."""
  arrays = {
    'subject': np.concatenate(
      [[key[0]] * len(track.time_s) for key, track in table.tracks.items()]
    ),
    'recording': np.concatenate(
      [[key[1]] * len(track.time_s) for key, track in table.tracks.items()]
    ).astype(np.int32),
    'time_s': np.concatenate([t.time_s for t in table.tracks.values()]),
    'trained_on': np.array(table.trained_on, np.str_),
  }
  names = next(iter(table.tracks.values())).columns
  arrays |= {
    name: np.concatenate([t.columns[name] for t in table.tracks.values()])
    for name in names
  }
  content = io.BytesIO()
  np.savez_compressed(content, **arrays)
  path.parent.mkdir(parents=True, exist_ok=True)
  files.write_bytes(path, content.getvalue())
  return len(arrays['time_s'])


def read(path: pathlib.Path) -> Table:
  """Reads a table.

  Args:
    path: .npz or .csv (docs/from_pytorch.md, Teacher).

  Raises:
    InputError: not such a table; the message names the row.
  """
  read_arrays = _read_npz if path.suffix == '.npz' else _read_csv
  arrays = read_arrays(path)
  trained_on = tuple(arrays.pop('trained_on', np.array([], np.str_)).tolist())
  _check_arrays(arrays, path)
  _check_values(arrays, path)
  subjects = arrays.pop('subject').astype(np.str_)
  numbers = arrays.pop('recording', np.zeros(len(subjects), np.int32))
  times_s = arrays.pop('time_s').astype(np.float64)
  tracks = {}
  keys = zip(subjects.tolist(), numbers.tolist(), strict=True)
  for key in dict.fromkeys(keys):
    rows = np.flatnonzero((subjects == key[0]) & (numbers == key[1]))
    _check_times(times_s[rows], key, path)
    columns = {name: arrays[name][rows].astype(np.float32) for name in arrays}
    tracks[key] = Track(times_s[rows], columns)
  return Table(tracks, trained_on)


def _read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
  try:
    with np.load(path, allow_pickle=False) as file:
      return dict(file)
  except (ValueError, EOFError, zipfile.BadZipFile) as error:
    raise InputError(f'{path}: no table of NumPy arrays ({error})') from None


def _read_csv(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Numbers as float64; a rate that is empty or `nan` is NaN."""
  with path.open(newline='', encoding='utf-8-sig') as file:
    reader = csv.DictReader(file)
    try:
      names = list(reader.fieldnames or [])
      rows = list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
      raise InputError(f'{path}: no CSV ({error})') from None
  unknown = [name for name in names if name not in _CSV_COLUMNS]
  missing = [name for name in _NEEDED if name not in names]
  if unknown or missing:
    wrong = f'{missing[0]} missing' if missing else f'{unknown[0]} not known'
    raise InputError(
      f'{path}: expected the columns subject,time_s,heart_rate_bpm and '
      f'perhaps pulse and recording: {wrong}'
    )
  arrays: dict[str, np.ndarray] = {
    'subject': np.array([row['subject'] for row in rows], np.str_)
  }
  for name in names:
    if name != 'subject':
      arrays[name] = _numbers([row[name] for row in rows], name, path)
  if 'recording' in arrays:
    arrays['recording'] = arrays['recording'].astype(np.int32)
  return arrays


def _numbers(words: list[str | None], name: str, path: pathlib.Path):
  """Parses a column of a CSV file, float64 [rows]."""
  numbers = np.full(len(words), np.nan)
  for row, word in enumerate(words):
    if name == 'heart_rate_bpm' and not word:
      continue
    try:
      numbers[row] = float(word or '')
    except ValueError:
      raise InputError(
        f'{path}: line {row + 2}: {name}: expected a number, got {word!r}'
      ) from None
  return numbers


def _check_arrays(arrays: dict[str, np.ndarray], path: pathlib.Path) -> None:
  """Refuses arrays of other names, kinds or shapes."""
  for name in _NEEDED:
    if name not in arrays:
      raise InputError(
        f'{path}: no column {name}; it has {", ".join(arrays) or "none"}'
      )
  num_rows = arrays['time_s'].size
  if not num_rows:
    raise InputError(f'{path}: no row')
  for name, values in arrays.items():
    if name not in (*COLUMNS, 'subject', 'recording', 'time_s'):
      raise InputError(
        f'{path}: unknown column {name}; expected some of {", ".join(COLUMNS)}'
      )
    kinds = 'U' if name == 'subject' else 'iuf'
    expected = (num_rows, *_row_shape(name, values))
    if values.dtype.kind not in kinds or values.shape != expected:
      raise InputError(
        f'{path}: {name}: expected {"text" if kinds == "U" else "numbers"} '
        f'{expected}, got {values.dtype} {values.shape}'
      )


def _row_shape(name: str, values: np.ndarray) -> tuple[int, ...]:
  """Returns what a row of a column is to have, () for one number."""
  num_values = COLUMNS.get(name, 0)
  if num_values is None:
    return (values.shape[-1],) if values.ndim else (1,)
  return (num_values,) if num_values else ()


def _check_values(arrays: dict[str, np.ndarray], path: pathlib.Path) -> None:
  """Refuses NaN but for a heart rate that is not known."""
  known = np.isfinite(arrays['heart_rate_bpm'])
  if np.any(np.isinf(arrays['heart_rate_bpm'])):
    raise InputError(f'{path}: heart_rate_bpm: infinite')
  for name in ('time_s', 'pulse', 'rate_probability', 'features'):
    if name not in arrays:
      continue
    finite = np.isfinite(arrays[name]).reshape(len(known), -1).all(axis=1)
    # Where there is no heart rate there is no distribution of it either.
    wrong = ~finite & (known if name == 'rate_probability' else True)
    if np.any(wrong):
      row = int(np.argmax(wrong))
      raise InputError(
        f'{path}: row {row + 1}, {arrays["subject"][row]}: {name} is not '
        'finite; only heart_rate_bpm may be NaN, where it is not known'
      )


def _check_times(time_s: np.ndarray, key: Key, path: pathlib.Path) -> None:
  back = np.flatnonzero(np.diff(time_s) < 0)
  if back.size:
    raise InputError(
      f'{path}: {key[0]}, recording {key[1]}: time_s must not decrease, got '
      f'{time_s[back[0]]:g} s then {time_s[back[0] + 1]:g} s; rows of several '
      'recordings of a subject need a column `recording` (0, 1, ...)'
    )
