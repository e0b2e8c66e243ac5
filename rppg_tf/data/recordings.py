"""Recordings in the layout of UBFC's DATASET_2 (ubfc.py), read frame by frame.

Line 2 of ground_truth.txt is never used: it lags, and is corrupt in some
subjects. Where there are as many time stamps as frames (within 1 %), they are
the frames'. Otherwise they are of a PPG with a clock of its own, 60 Hz beside
30 frames/s: frames then have the video's presentation times, counted from the
first frame as the PPG's are from its first sample, and each frame gets the
mean of the PPG over its period. Both must be equally long (within 1 %);
nothing is stretched.

A problem with a file is a RecordingError (VideoError if the video does not
open) of one line that names the file, what is wrong and what to do. No
TensorFlow here.
"""

import concurrent.futures
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from absl import logging

from rppg_tf.data.ubfc import (
  GROUND_TRUTH_NAME,
  GroundTruth,
  RecordingError,
  find_video,
  parse_ground_truth,
)
from rppg_tf.errors import InputError
from rppg_tf.faces import rois as face_rois
from rppg_tf.faces import stream
from rppg_tf.parallel import crash_watch
from rppg_tf.parallel.opencv_threads import one_opencv_thread
from rppg_tf.parallel.ordered_map import ordered_map
from rppg_tf.video.reader import VideoReader
from rppg_tf.video.timestamps import MAX_FRAME_RATE_HZ, MIN_FRAME_RATE_HZ

# Frames and time stamps, or the times that video and PPG last, may differ by
# this share of the larger; the longer is then trimmed.
MAX_LENGTH_MISMATCH = 0.01


def check_recording(folder: str | os.PathLike) -> None:
  """Checks what can be checked without decoding the video.

  Args:
    folder: holds a video and ground_truth.txt.

  Raises:
    RecordingError: the video or the text is missing, the text unreadable or
      malformed.
    VideoError: the video does not open.
  """
  parse_ground_truth(Path(folder) / GROUND_TRUTH_NAME)
  VideoReader(find_video(folder))


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
    folder: holds a video and ground_truth.txt; its name is the subject.
    roi_geometry: a key of face_rois.ROI_GEOMETRIES_PERCENT.
    num_threads: that decode and cut frames.
    pool: theirs, if others use it too (parallel/ordered_map.py).

  Returns:
    frames: uint8 (N, 3, 36, 36, 3), RGB, zero where no face was found.
    mid_face_rgb: float32 (N, 3), mean of the mid face in [0, 255].
    timestamp_s: float64 (N,), measured seconds, non-decreasing, on the clock
      of ground_truth.txt.
    ppg: float32 (N,).
    heart_rate_bpm: float32 (N,), 40-160, NaN where no beat is seen.
    face_found: bool (N,).
    subject: str.

  Raises:
    RecordingError: a file is truncated, unreadable or does not fit the other;
      no face or no heart beat in the whole recording; or anything else went
      wrong, so that the line names the recording.
    VideoError: the video does not open.
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
  video_path = find_video(folder)
  ground_truth = parse_ground_truth(folder / GROUND_TRUTH_NAME)
  ppg, timestamp_s = _of_frames(video_path, ground_truth)
  rois, kept = _read_rois(
    video_path, timestamp_s, roi_geometry, num_threads, pool
  )
  timestamp_s = timestamp_s[kept]
  return rois | {
    'timestamp_s': timestamp_s,
    'ppg': ppg[kept].astype(np.float32),
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
  with (
    crash_watch.CrashWatch() as watch,
    one_opencv_thread(),
    concurrent.futures.ThreadPoolExecutor(num_cores) as frame_pool,
    concurrent.futures.ThreadPoolExecutor(num_cores) as pool,
  ):

    def read(folder):
      return _read_watched(watch, folder, roi_geometry, num_cores, frame_pool)

    yield from ordered_map(read, folders, num_cores, pool, num_cores + 1)


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


def _of_frames(
  video_path: Path, ground_truth: GroundTruth
) -> tuple[np.ndarray, np.ndarray]:
  """PPG and stamps, one for each frame: as they are, or resampled.

  Returns:
    ppg and timestamp_s, both float64 (num_frames,), give or take 1 %.
  """
  as_it_is = ground_truth.ppg, ground_truth.timestamp_s
  num_stamps = len(ground_truth.timestamp_s)
  if _are_near(VideoReader(video_path).header_frames, num_stamps):
    return as_it_is
  # Headers may be wrong or say nothing.
  video = VideoReader(video_path, num_threads=1)
  time_s = np.array([time_s for _, time_s in video.stored()], np.float64)
  _check_decoded(video_path, len(time_s), video.header_frames)
  if _are_near(len(time_s), num_stamps):
    return as_it_is
  ppg_time_s = ground_truth.timestamp_s - ground_truth.timestamp_s[0]
  time_s = _brought_together(video_path, time_s, ppg_time_s)
  ppg = _mean_around(time_s, ground_truth.ppg, ppg_time_s)
  return ppg, time_s + ground_truth.timestamp_s[0]


def _brought_together(
  video_path: Path, time_s: np.ndarray, ppg_time_s: np.ndarray
) -> np.ndarray:
  """Seconds from the first frame, of the frames that the PPG lasts for."""
  counts = (
    f'{video_path}: {len(time_s)} frames but {len(ppg_time_s)} time stamps in '
    f'{GROUND_TRUTH_NAME}'
  )
  if not _are_times(time_s):
    raise RecordingError(
      f'{counts}, and the video has no times of its own; make one stamp a '
      'frame, or convert it with ffmpeg -r RATE'
    )
  time_s = time_s - time_s[0]
  if not _are_near(time_s[-1], ppg_time_s[-1]):
    raise RecordingError(
      f'{counts}, {time_s[-1]:.2f} s but {ppg_time_s[-1]:.2f} s long; counts '
      'or lengths may differ by 1 %: check that both files belong together'
    )
  return time_s[time_s <= ppg_time_s[-1]]


def _are_near(first: float, second: float) -> bool:
  return abs(first - second) <= MAX_LENGTH_MISMATCH * max(first, second)


def _are_times(time_s: np.ndarray) -> bool:
  """Whether these may be the times of a video's frames, seconds."""
  step_s = np.diff(time_s)
  if not len(step_s) or not np.all(step_s >= 0):  # NaN is not
    return False
  rate_hz = len(step_s) / max(float(step_s.sum()), 1e-9)
  return MIN_FRAME_RATE_HZ <= rate_hz <= MAX_FRAME_RATE_HZ


def _mean_around(
  frame_time_s: np.ndarray, values: np.ndarray, time_s: np.ndarray
) -> np.ndarray:
  """Mean of a signal over one frame's period around each frame.

  What is faster than frames can show (mains hum) averages out instead of
  becoming a slow wave. Between samples the signal is a straight line; before
  the first and after the last sample nothing counts.

  Args:
    frame_time_s: (num_frames,) seconds within those of time_s.
    values: (num_samples,).
    time_s: (num_samples,), non-decreasing seconds.

  Returns:
    float64 (num_frames,).
  """
  half_s = frame_time_s[-1] / (len(frame_time_s) - 1) / 2
  start_s = np.maximum(frame_time_s - half_s, time_s[0])
  stop_s = np.minimum(frame_time_s + half_s, time_s[-1])
  areas = _area_until(stop_s, values, time_s)
  areas -= _area_until(start_s, values, time_s)
  return areas / (stop_s - start_s)


def _area_until(
  end_s: np.ndarray, values: np.ndarray, time_s: np.ndarray
) -> np.ndarray:
  """Integral of a signal of straight lines from its start to each end."""
  areas = np.diff(time_s) * (values[1:] + values[:-1]) / 2
  areas = np.concatenate(([0.0], np.cumsum(areas)))
  before = np.searchsorted(time_s, end_s, side='right') - 1
  at_end = np.interp(end_s, time_s, values)
  rest_s = end_s - time_s[before]
  return areas[before] + rest_s * (values[before] + at_end) / 2


def _check_num_frames(
  path: Path, num_decoded: int, num_in_header: int, num_stamps: int
) -> None:
  _check_decoded(path, num_decoded, num_in_header)
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


def _check_decoded(path: Path, num_decoded: int, num_in_header: int) -> None:
  if not num_decoded:
    raise RecordingError(
      f'{path}: no frame could be decoded; copy or record it again'
    )
  if num_in_header - num_decoded > MAX_LENGTH_MISMATCH * num_in_header:
    raise RecordingError(
      f'{path}: truncated or damaged: its header says {num_in_header} frames, '
      f'only {num_decoded} can be decoded; copy it again'
    )


def _labels(
  folder: Path, ground_truth: GroundTruth, frame_timestamp_s: np.ndarray
) -> np.ndarray:
  # SciPy takes a second to load; predict, which has no labels, starts without.
  from rppg_tf.data import labels

  path = folder / GROUND_TRUTH_NAME
  try:
    rate_bpm = labels.heart_rate_per_frame(
      ground_truth.ppg.astype(np.float32),
      ground_truth.timestamp_s,
      frame_timestamp_s,
    )
  except ValueError as error:
    raise RecordingError(f'{path}: {error}') from error
  if not np.any(np.isfinite(rate_bpm)):
    raise RecordingError(
      f'{path}: no heart beat in the PPG (line 1); check the sensor, or '
      'remove the recording'
    )
  return rate_bpm
