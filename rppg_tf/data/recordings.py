"""Reading recordings in the layout of UBFC's DATASET_2.

    <any folders>/subjectN/vid.avi           one face, any codec OpenCV reads
                           ground_truth.txt  3 lines, one value per frame:
                                             PPG, heart rate, seconds

Line 2 of ground_truth.txt is never used: it lags, and is corrupt in some
subjects. A problem with a file is a RecordingError (VideoError if the video
does not open) of one line that names the file, what is wrong and what to do.
No TensorFlow here.
"""

import concurrent.futures
import contextlib
import itertools
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from absl import logging

from rppg_tf.errors import InputError
from rppg_tf.faces import rois as face_rois
from rppg_tf.faces import stream
from rppg_tf.parallel import crash_watch
from rppg_tf.video.reader import VideoReader

VIDEO_NAME = 'vid.avi'
GROUND_TRUTH_NAME = 'ground_truth.txt'
SUBJECT_PREFIX = 'subject'
NUM_GROUND_TRUTH_LINES = 3

# Frames and time stamps may differ by this share of the larger; the longer
# is then trimmed.
MAX_LENGTH_MISMATCH = 0.01
# A mean frame rate outside of this says that the stamps are not in seconds.
MIN_FRAME_RATE_HZ = 5.0
MAX_FRAME_RATE_HZ = 500.0


class RecordingError(InputError):
  """A file of a recording cannot be used; one line says what to do."""


class GroundTruth(NamedTuple):
  """What is used of a ground_truth.txt.

  Attributes:
    ppg: float32 (num_samples,), arbitrary unit, one sample per video frame.
    timestamp_s: float64 (num_samples,), non-decreasing seconds.
  """

  ppg: np.ndarray
  timestamp_s: np.ndarray


def find_recordings(root: str | os.PathLike) -> list[tuple[str, Path]]:
  """Finds every `subject*` folder with a recording at any depth.

  Args:
    root: folder to search; symbolic links are followed.

  Returns:
    (subject, folder), ordered by the number in the name.

  Raises:
    RecordingError: no recording, a recording that misses one of its two
      files, or one subject found twice.
  """
  if not os.path.isdir(root):
    raise RecordingError(
      f"{root}: no such folder; give the folder that holds UBFC's DATASET_2"
    )
  folders: dict[str, Path] = {}
  for folder, file_names in _walk(root):
    subject = folder.name
    present = {VIDEO_NAME, GROUND_TRUTH_NAME} & set(file_names)
    if not subject.startswith(SUBJECT_PREFIX) or not present:
      continue
    for name in (VIDEO_NAME, GROUND_TRUTH_NAME):
      if name not in present:
        raise RecordingError(
          f'{folder / name}: missing; copy it, or remove the folder {folder}'
        )
    if subject in folders:
      raise RecordingError(
        f'{folder}: {subject} is also in {folders[subject]}; a subject may be '
        'there once: remove or rename one'
      )
    folders[subject] = folder
  if not folders:
    raise RecordingError(
      f'{root}: no {SUBJECT_PREFIX}*/{VIDEO_NAME} at any depth; give the '
      "folder that holds UBFC's DATASET_2"
    )
  return sorted(folders.items(), key=lambda item: natural_key(item[0]))


def parse_ground_truth(path: str | os.PathLike) -> GroundTruth:
  """Reads a UBFC ground_truth.txt.

  Args:
    path: text file of three lines of numbers, separated by white space.

  Returns:
    PPG and time stamps of equal length.

  Raises:
    RecordingError: missing or unreadable, not three lines, anything but
      numbers, PPG and stamps of different length, non-finite values, times
      that decrease or are not in seconds.
  """
  try:
    text = Path(path).read_text(encoding='utf-8')
  except (OSError, UnicodeDecodeError) as error:
    reason = getattr(error, 'strerror', None) or 'not a text file'
    raise RecordingError(
      f'{path}: cannot be read ({reason}); copy it again'
    ) from error
  lines = [line.split() for line in text.splitlines() if line.strip()]
  if len(lines) != NUM_GROUND_TRUTH_LINES:
    raise RecordingError(
      f'{path}: expected 3 lines (PPG, heart rate, seconds), got '
      f'{len(lines)}; copy it again'
    )
  ppg, _, timestamp_s = (
    _parse_line(path, number, words) for number, words in enumerate(lines, 1)
  )
  if len(ppg) != len(timestamp_s):
    raise RecordingError(
      f'{path}: {len(ppg)} PPG samples (line 1) but {len(timestamp_s)} time '
      'stamps (line 3); they must be equally many: copy it again'
    )
  _check_ground_truth(path, ppg, timestamp_s)
  return GroundTruth(ppg.astype(np.float32), timestamp_s)


def check_recording(folder: str | os.PathLike) -> None:
  """Checks what can be checked without decoding the video.

  Args:
    folder: holds vid.avi and ground_truth.txt.

  Raises:
    RecordingError: the text is missing, unreadable or malformed.
    VideoError: the video is missing or unreadable.
  """
  parse_ground_truth(Path(folder) / GROUND_TRUTH_NAME)
  VideoReader(Path(folder) / VIDEO_NAME)


def read_recording(
  folder: str | os.PathLike,
  roi_geometry: str = face_rois.DEFAULT_ROI_GEOMETRY,
  num_threads: int = 1,
  pool: concurrent.futures.Executor | None = None,
) -> dict[str, np.ndarray | str]:
  """Reads one recording: ROI patches, PPG and labels of every frame.

  Only patches are kept, and a few frames at a time. A frame that cannot be
  decoded is left out, and its time stamp with it.

  Args:
    folder: holds vid.avi and ground_truth.txt; its name is the subject.
    roi_geometry: a key of face_rois.ROI_GEOMETRIES_PERCENT.
    num_threads: that decode and cut frames.
    pool: theirs, if others use it too (parallel/ordered_map.py).

  Returns:
    frames: uint8 (N, 3, 36, 36, 3), RGB, zero where no face was found.
    mid_face_rgb: float32 (N, 3), mean of the mid face in [0, 255].
    timestamp_s: float64 (N,), measured seconds, non-decreasing.
    ppg: float32 (N,).
    heart_rate_bpm: float32 (N,), 40-160, NaN where no beat is seen.
    face_found: bool (N,).
    subject: str.

  Raises:
    RecordingError: a file is truncated, unreadable or does not fit the other;
      no face or no heart beat in the whole recording; or anything else went
      wrong, so that the line names the recording.
    VideoError: the video is missing or does not open.
  """
  folder = Path(folder)
  try:
    return _read(folder, roi_geometry, num_threads, pool)
  except InputError:
    raise
  except Exception as error:
    raise RecordingError(
      f'{folder}: cannot be read ({type(error).__name__}: {error}); mend or '
      'remove the recording'
    ) from error


def _read(folder: Path, roi_geometry: str, num_threads: int, pool) -> dict:
  ground_truth = parse_ground_truth(folder / GROUND_TRUTH_NAME)
  rois, kept = _read_rois(
    folder / VIDEO_NAME,
    ground_truth.timestamp_s,
    roi_geometry,
    num_threads,
    pool,
  )
  timestamp_s = ground_truth.timestamp_s[kept]
  return rois | {
    'timestamp_s': timestamp_s,
    'ppg': ground_truth.ppg[kept],
    'heart_rate_bpm': _labels(folder, ground_truth, timestamp_s),
    'subject': folder.name,
  }


def read_recordings(
  folders: Iterable[str | os.PathLike],
  roi_geometry: str = face_rois.DEFAULT_ROI_GEOMETRY,
) -> Iterator[dict[str, np.ndarray | str]]:
  """Reads recordings by all cores, in order, in bounded memory.

  As many recordings at a time as there are cores, and the frames of each by
  as many threads: one long video uses all cores too. By threads: OpenCV lets
  go of Python's lock while it decodes, and processes would each have to import
  their caller's TensorFlow first.

  Args:
    folders: of the recordings.
    roi_geometry: a key of face_rois.ROI_GEOMETRIES_PERCENT.

  Yields:
    What `read_recording` returns. At most two recordings more than there are
    cores are held at a time (23 MB each for 66 s at 30 frames/s).

  Raises:
    RecordingError, VideoError: of the first folder that cannot be used. If
      the process dies, a line on stderr names the folders under way.
  """
  num_cores = os.cpu_count() or 1
  waiting = iter(folders)
  reading = deque()
  with (
    crash_watch.CrashWatch() as watch,
    one_opencv_thread(),
    concurrent.futures.ThreadPoolExecutor(num_cores) as frame_pool,
    concurrent.futures.ThreadPoolExecutor(num_cores) as pool,
  ):
    try:
      while True:
        for folder in itertools.islice(waiting, num_cores + 1 - len(reading)):
          arguments = (folder, roi_geometry, num_cores, frame_pool)
          reading.append(pool.submit(_read_watched, watch, *arguments))
        if not reading:
          return
        yield reading.popleft().result()
    finally:
      pool.shutdown(wait=False, cancel_futures=True)


def read_alone(folder: str | os.PathLike, roi_geometry: str) -> dict:
  """Reads one recording by one thread, as a worker process does.

  Args:
    folder, roi_geometry: as read_recordings, and so what is returned, raised
      and said.
  """
  with crash_watch.CrashWatch() as watch, one_opencv_thread():
    return _read_watched(watch, folder, roi_geometry)


def _read_watched(watch: crash_watch.CrashWatch, folder, *arguments) -> dict:
  with watch.reading(folder):
    return read_recording(folder, *arguments)


@contextlib.contextmanager
def one_opencv_thread() -> Iterator[None]:
  """Keeps OpenCV from starting threads of its own beside ours."""
  num_threads = cv2.getNumThreads()
  cv2.setNumThreads(1)
  try:
    yield
  finally:
    cv2.setNumThreads(num_threads)


def _read_rois(
  path: Path,
  timestamp_s: np.ndarray,
  roi_geometry: str,
  num_threads: int,
  pool: concurrent.futures.Executor | None,
) -> tuple[dict[str, np.ndarray], list[int]]:
  """Patches of the frames that have a time stamp, and which frames these are.

  Frames that cannot be decoded are none of them.
  """
  # Of other codecs than JPEG the decoder's own threads would come on top.
  video = VideoReader(path, num_threads=1)
  stored = (frame for frame, _ in video.stored())
  timed = zip(timestamp_s, stored)  # noqa: B905, the shorter ends it
  frames = ((frame, time_s) for time_s, frame in timed)
  cut, kept = [], []
  for number, (_, rois) in enumerate(
    stream.cut(frames, roi_geometry, num_threads, pool)
  ):
    if rois is not None:
      cut.append(rois)
      kept.append(number)
  # Lots more frames than stamps: no need to read them all to say so.
  num_more = sum(1 for _ in itertools.islice(stored, len(timestamp_s)))
  num_decoded = len(cut) + num_more
  _check_num_frames(path, num_decoded, video.header_frames, len(timestamp_s))
  if not any(roi.face_found for roi in cut):
    raise RecordingError(
      f'{path}: no face in any of {num_decoded} frames; check that a face is '
      'seen upright from the front, or remove the recording'
    )
  rois = {
    'frames': np.stack([roi.rois for roi in cut]),
    'mid_face_rgb': np.stack([roi.mid_face_rgb for roi in cut]),
    'face_found': np.array([roi.face_found for roi in cut]),
  }
  return rois, kept


def _check_num_frames(
  path: Path, num_decoded: int, num_in_header: int, num_stamps: int
) -> None:
  if not num_decoded:
    raise RecordingError(
      f'{path}: no frame could be decoded; copy or record it again'
    )
  if num_in_header - num_decoded > MAX_LENGTH_MISMATCH * num_in_header:
    raise RecordingError(
      f'{path}: truncated or damaged: its header says {num_in_header} frames, '
      f'only {num_decoded} can be decoded; copy it again'
    )
  difference = abs(num_decoded - num_stamps)
  if difference > MAX_LENGTH_MISMATCH * max(num_decoded, num_stamps):
    raise RecordingError(
      f'{path}: {num_decoded} frames but {num_stamps} time stamps in '
      f'{GROUND_TRUTH_NAME}; they may differ by 1 %: check that both files '
      'belong together'
    )
  if difference:
    logging.warning(
      '%s: %d frames, %d time stamps; trimmed to the shorter.',
      path,
      num_decoded,
      num_stamps,
    )


def _labels(
  folder: Path, ground_truth: GroundTruth, frame_timestamp_s: np.ndarray
) -> np.ndarray:
  # SciPy takes a second to load; predict, which has no labels, starts without.
  from rppg_tf.data import labels

  path = folder / GROUND_TRUTH_NAME
  try:
    rate_bpm = labels.heart_rate_per_frame(
      ground_truth.ppg, ground_truth.timestamp_s, frame_timestamp_s
    )
  except ValueError as error:
    raise RecordingError(f'{path}: {error}') from error
  if not np.any(np.isfinite(rate_bpm)):
    raise RecordingError(
      f'{path}: no heart beat in the PPG (line 1); check the sensor, or '
      'remove the recording'
    )
  return rate_bpm


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
  if not MIN_FRAME_RATE_HZ <= rate_hz <= MAX_FRAME_RATE_HZ:
    raise RecordingError(
      f'{path}: times (line 3) must be seconds, got {rate_hz:g} stamps per '
      'second; convert them'
    )


def _walk(root: str | os.PathLike) -> Iterator[tuple[Path, list[str]]]:
  """os.walk through links too, each real folder once, in order of names."""
  seen = set()
  for folder, folder_names, file_names in os.walk(root, followlinks=True):
    real = os.path.realpath(folder)
    if real in seen:
      folder_names.clear()
      continue
    seen.add(real)
    folder_names.sort()
    yield Path(folder), file_names


def natural_key(name: str) -> tuple:
  """Sorts subject9 before subject10."""
  return tuple(
    (0, int(part), '') if part.isdigit() else (1, 0, part)
    for part in re.split(r'(\d+)', name)
  )
