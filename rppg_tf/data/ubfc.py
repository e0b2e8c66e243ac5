"""Folders and ground truth in the layout of UBFC's DATASET_2.

    <any folders>/subjectN/vid.avi           one face; or vid.mp4, vid.mkv, …
                           ground_truth.txt  3 lines, one value per sample:
                                             PPG, heart rate, seconds

UBFC has one sample per video frame. A problem is a RecordingError of one line
that names the file, what is wrong and what to do. NumPy only.
"""

import codecs
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rppg_tf.errors import InputError
from rppg_tf.video import timestamps

VIDEO_NAME = 'vid.avi'
GROUND_TRUTH_NAME = 'ground_truth.txt'
SUBJECT_PREFIX = 'subject'
NUM_GROUND_TRUTH_LINES = 3

# Read are vid.* of these; other videos are named where none was found.
VIDEO_SUFFIXES = frozenset(
  '.3gp .asf .avi .flv .h264 .m2ts .m4v .mjpeg .mjpg .mkv .mov .mp4 .mpeg '
  '.mpg .mts .mxf .ogv .ts .webm .wmv'.split()
)
_VIDEO_STEM = 'vid'
# Ground truth of UBFC's other part: its own columns, no PPG stamps in seconds.
_DATASET_1_NAME = 'gtdump.xmp'
_NUM_LISTED = 3


class RecordingError(InputError):
  """A file of a recording cannot be used; one line says what to do."""


class GroundTruth(NamedTuple):
  """The three lines of a ground_truth.txt.

  Attributes:
    path: of the file.
    ppg: float64 (num_samples,), arbitrary unit, finite.
    device_rate_bpm: float64, the sensor's own reading; lags, and is corrupt in
      some subjects: may be of another length, or not finite.
    timestamp_s: float64 (num_samples,), non-decreasing seconds.
  """

  path: str
  ppg: np.ndarray
  device_rate_bpm: np.ndarray
  timestamp_s: np.ndarray


def find_recordings(root: str | os.PathLike) -> list[tuple[str, Path]]:
  """Finds every `subject*` folder with a recording at any depth.

  Args:
    root: folder to search; symbolic links are followed, hidden folders not
      entered.

  Returns:
    (subject, folder), ordered by the number in the name.

  Raises:
    RecordingError: no recording, a recording that misses one of its two
      files or has two videos, a recording in a folder of another name, or one
      subject found twice.
  """
  folders: dict[str, Path] = {}
  for folder, names in _walk(root):
    if not _is_recording(folder, names):
      continue
    subject = folder.name
    if subject in folders:
      raise RecordingError(
        f'{folder}: {subject} is also in {folders[subject]}; a subject may be '
        'there once: remove or rename one'
      )
    folders[subject] = folder
  if not folders:
    raise RecordingError(_nothing_found(root))
  return sorted(folders.items(), key=lambda item: natural_key(item[0]))


def find_ground_truths(root: str | os.PathLike) -> list[Path]:
  """Finds every `subject*/ground_truth.txt` at any depth, videos or none.

  Returns:
    Paths, ordered by the number in the subject's name.

  Raises:
    RecordingError: there is none.
  """
  paths = [
    folder / GROUND_TRUTH_NAME
    for folder, names in _walk(root)
    if folder.name.startswith(SUBJECT_PREFIX) and GROUND_TRUTH_NAME in names
  ]
  if not paths:
    raise RecordingError(
      f'{root}: no {SUBJECT_PREFIX}*/{GROUND_TRUTH_NAME} at any depth; give '
      'the folder that holds the subjects'
    )
  return sorted(paths, key=lambda path: natural_key(path.parent.name))


def find_video(folder: str | os.PathLike) -> Path:
  """Returns the path of a recording's video: vid.* of VIDEO_SUFFIXES.

  Raises:
    RecordingError: there is none, or more than one.
  """
  folder = Path(folder)
  names = sorted(os.listdir(folder)) if folder.is_dir() else []
  videos = _own_videos(names)
  if not videos:
    raise RecordingError(_missing(folder, VIDEO_NAME, names))
  if len(videos) > 1:
    raise RecordingError(
      f'{folder}: {" and ".join(videos)}, but a recording has one video; '
      'remove or rename the others'
    )
  return folder / videos[0]


def parse_ground_truth(path: str | os.PathLike) -> GroundTruth:
  """Reads a UBFC ground_truth.txt.

  Args:
    path: text of three lines of numbers, separated by white space; UTF-8, or
      UTF-16 with a byte order mark.

  Returns:
    PPG and time stamps of equal length, and the device's heart rate.

  Raises:
    RecordingError: missing or unreadable, not three lines, anything but
      numbers, PPG and stamps of different length, non-finite values, times
      that decrease or are not in seconds.
  """
  lines = [line.split() for line in _read_text(path).splitlines()]
  lines = [words for words in lines if words]
  if len(lines) != NUM_GROUND_TRUTH_LINES:
    raise RecordingError(
      f'{path}: expected 3 lines (PPG, heart rate, seconds), got '
      f'{len(lines)}; copy it again'
    )
  values = (
    _parse_line(path, number, words) for number, words in enumerate(lines, 1)
  )
  truth = GroundTruth(os.fspath(path), *values)
  if len(truth.ppg) != len(truth.timestamp_s):
    raise RecordingError(
      f'{path}: {len(truth.ppg)} PPG samples (line 1) but '
      f'{len(truth.timestamp_s)} time stamps (line 3); they must be equally '
      'many: copy it again'
    )
  _check_ground_truth(path, truth.ppg, truth.timestamp_s)
  return truth


def natural_key(name: str) -> tuple:
  """Sorts subject9 before subject10."""
  return tuple(
    (0, int(part), '') if part.isdigit() else (1, 0, part)
    for part in re.split(r'(\d+)', name)
  )


def _walk(root: str | os.PathLike) -> Iterator[tuple[Path, list[str]]]:
  """os.walk through links too, each real folder once, in order of names."""
  if not os.path.isdir(root):
    raise RecordingError(
      f"{root}: no such folder; give the folder that holds UBFC's DATASET_2"
    )
  seen = set()
  # Absolute: `.` may be a subject's folder.
  for folder, folder_names, file_names in os.walk(
    os.path.abspath(root), followlinks=True
  ):
    real = os.path.realpath(folder)
    if real in seen:
      folder_names.clear()
      continue
    seen.add(real)
    folder_names[:] = sorted(
      name for name in folder_names if not name.startswith('.')
    )
    yield Path(folder), sorted(file_names)


def _is_recording(folder: Path, names: list[str]) -> bool:
  """Whether a folder of files `names` is a recording, by name and whole.

  Raises:
    RecordingError: it is one, but not as it should be.
  """
  has_truth = GROUND_TRUTH_NAME in names
  if not folder.name.startswith(SUBJECT_PREFIX):
    # The data of a person would be left out in silence.
    if has_truth and _own_videos(names):
      raise RecordingError(
        f'{folder}: a recording ({_own_videos(names)[0]}, {GROUND_TRUTH_NAME}) '
        f'in a folder of another name than {SUBJECT_PREFIX}N; rename or remove '
        'it'
      )
    return False
  if not has_truth and _DATASET_1_NAME in names:
    raise RecordingError(_dataset_1(folder))
  if not has_truth and not _videos(names):
    return False
  find_video(folder)
  if not has_truth:
    raise RecordingError(_missing(folder, GROUND_TRUTH_NAME, names))
  return True


def _own_videos(names: list[str]) -> list[str]:
  return [name for name in _videos(names) if Path(name).stem == _VIDEO_STEM]


def _videos(names: list[str]) -> list[str]:
  return [
    name
    for name in names
    if Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith('.')
  ]


def _missing(folder: Path, name: str, present: list[str]) -> str:
  others = ''
  if name == VIDEO_NAME:
    others = f' ({_VIDEO_STEM}.mp4, .mkv, … would do)'
  # What a recording has anyway is not what its missing file was named.
  others += _found(
    [
      other
      for other in present
      if other != GROUND_TRUTH_NAME and other not in _own_videos(present)
    ]
  )
  return (
    f'{folder / name}: missing{others}; copy it, rename it, or remove the '
    f'folder {folder}'
  )


def _nothing_found(root: str | os.PathLike) -> str:
  """What is said of a folder without a recording: what was found instead."""
  files = [
    folder / name for folder, names in _walk(root) for name in sorted(names)
  ]
  for path in files:
    if path.name == _DATASET_1_NAME:
      return _dataset_1(path.parent)
  base = os.path.abspath(root)
  videos = _videos([os.path.relpath(path, base) for path in files])
  what = "give the folder that holds UBFC's DATASET_2"
  if videos:
    what = (
      f'name them {SUBJECT_PREFIX}N/{VIDEO_NAME} (or .mp4, .mkv, …), each with '
      f'its {GROUND_TRUTH_NAME}'
    )
  return (
    f'{root}: no {SUBJECT_PREFIX}*/{VIDEO_NAME} at any depth{_found(videos)}; '
    f'{what}'
  )


def _dataset_1(folder: Path) -> str:
  return (
    f'{folder / _DATASET_1_NAME}: DATASET_1 of UBFC-rPPG, which is not read; '
    f'give DATASET_2, which has {GROUND_TRUTH_NAME}'
  )


def _found(names: list[str]) -> str:
  """A part of a line: the first of what was found instead, if anything."""
  if not names:
    return ''
  more = len(names) - _NUM_LISTED
  listed = ', '.join(names[:_NUM_LISTED])
  return f', found {listed}' + (f' and {more} more' if more > 0 else '')


def _read_text(path: str | os.PathLike) -> str:
  try:
    content = Path(path).read_bytes()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode('utf-16' if wide else 'utf-8-sig')
  except (OSError, UnicodeDecodeError) as error:
    reason = getattr(error, 'strerror', None) or 'not a text file'
    raise RecordingError(
      f'{path}: cannot be read ({reason}); copy it again'
    ) from error


def _parse_line(
  path: str | os.PathLike, number: int, words: list[str]
) -> np.ndarray:
  try:
    return np.array([float(word) for word in words])
  except ValueError as error:
    bad = next(word for word in words if not _is_number(word))
    raise RecordingError(
      f'{path}: line {number} must hold numbers only, got {bad[:20]!r}; copy '
      'it again'
    ) from error


def _is_number(word: str) -> bool:
  try:
    float(word)
  except ValueError:
    return False
  return True


def _check_ground_truth(
  path: str | os.PathLike, ppg: np.ndarray, timestamp_s: np.ndarray
) -> None:
  for number, values in ((1, ppg), (3, timestamp_s)):
    if not np.all(np.isfinite(values)):
      where = int(np.argmin(np.isfinite(values)))
      raise RecordingError(
        f'{path}: line {number} must be finite, got {values[where]} at value '
        f'{where + 1}; copy it again'
      )
  step_s = np.diff(timestamp_s)
  if np.any(step_s < 0):
    where = int(np.argmax(step_s < 0))
    raise RecordingError(
      f'{path}: times (line 3) must not decrease, got {timestamp_s[where]:g} '
      f's then {timestamp_s[where + 1]:g} s; copy it again'
    )
  rate_hz = len(step_s) / max(float(step_s.sum()), 1e-9)
  if (
    not timestamps.MIN_FRAME_RATE_HZ <= rate_hz <= timestamps.MAX_FRAME_RATE_HZ
  ):
    raise RecordingError(
      f'{path}: times (line 3) must be seconds, got {rate_hz:g} stamps per '
      'second; convert them'
    )
