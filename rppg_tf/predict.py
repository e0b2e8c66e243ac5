"""Heart rate over time of any video or camera.

  python -m rppg_tf.predict me.mp4 --json=PATH --plot=PATH.html
  python -m rppg_tf.predict a.mp4 b.mp4 --json=FOLDER
  python -m rppg_tf.predict --camera=0

A rate is estimated from the last 10 s, every second. It is withheld while its
confidence is below the model's threshold, or if no face was seen for more
than 1 s of the 10. Of many faces the largest is measured.

Of several videos each gets one line, and its files in the folders given.

Exit code 3 says that no face was found, 1 that something given is wrong; of
several videos 1 if any was wrong, else 3 if any had no face. Ctrl-C ends a
camera's measurement, with summary and files; of a video it leaves nothing
(130). Not a medical device.
"""

import contextlib
import os
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from absl import flags

from rppg_tf import contract, run_directory
from rppg_tf.data.recordings import MAX_FRAME_RATE_HZ, MIN_FRAME_RATE_HZ
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from rppg_tf.inference import backends, frame_batches
from rppg_tf.inference import meter as heart_rate
from rppg_tf.parallel import prefetch
from rppg_tf.reporting import prediction_files
from rppg_tf.reporting.live_line import LiveLine
from rppg_tf.video import file as video_file
from rppg_tf.video.reader import VideoReader

WRONG_EXIT_CODE = 1
NO_FACE_EXIT_CODE = 3
INTERRUPTED_EXIT_CODE = 130

# Many frames at a time are faster; few make a camera's line live.
_FILE_BATCH_FRAMES = 32
_CAMERA_BATCH_FRAMES = 5
# Frames that may wait: 0.9 MB each at 640x480, a tenth of it as JPEG.
_READ_FRAMES = 16

_VIDEO = flags.DEFINE_multi_string(
  'video', [], 'Path of a video; as good as a word beside the flags.'
)
_CAMERA = flags.DEFINE_integer(
  'camera', None, 'Number of a camera, in place of videos.', lower_bound=0
)
_FPS = flags.DEFINE_float(
  'fps',
  None,
  'Frames/s of the videos, in place of the times in the files; needed for '
  'streams without times (.mjpeg, .h264).',
  lower_bound=MIN_FRAME_RATE_HZ,
  upper_bound=MAX_FRAME_RATE_HZ,
)
_RUN_DIR = flags.DEFINE_string(
  'run_dir', None, 'Run of rppg_tf.train; default: the model that ships.'
)
_BACKEND = flags.DEFINE_enum(
  'backend',
  'int8',
  backends.BACKENDS,
  'int8: INT8 CNN and C head, as on the board; keras: the float model.',
)
_JSON = flags.DEFINE_string(
  'json', None, 'Where to write all as JSON; a folder for several videos.'
)
_CSV = flags.DEFINE_string(
  'csv', None, 'Where to write the estimates; a folder for several videos.'
)
_PLOT = flags.DEFINE_string(
  'plot',
  None,
  'Where to write the chart, .png or .html; a folder for several videos.',
)


class _Model(NamedTuple):
  run_dir: pathlib.Path
  threshold: float
  values: dict


class _NoFaceError(Exception):
  """Nothing to measure; no fault of what was given."""


def main(words: list[str] | None = None) -> int | None:
  """Measures, tells as it goes, writes.

  Args:
    words: paths of videos.
  """
  sources = _sources(words or [])
  _set_up_opencv()
  names = [_name(source) for source in sources]
  wanted = {'json': _JSON.value, 'csv': _CSV.value, 'plot': _PLOT.value}
  planned = prediction_files.plan(names, wanted)
  model = _model()
  codes = set()
  for source, files in zip(sources, planned, strict=True):
    try:
      _measure(source, model, files, is_one_of_many=len(sources) > 1)
    except InputError as error:
      print(f'error: {error}', file=sys.stderr)
      codes.add(WRONG_EXIT_CODE)
    except _NoFaceError as error:
      print(error)
      codes.add(NO_FACE_EXIT_CODE)
    except KeyboardInterrupt:
      print('interrupted: nothing written', file=sys.stderr)
      return INTERRUPTED_EXIT_CODE
  return min(codes, default=None)


def _sources(words: list[str]) -> list[str | int]:
  videos = [*words, *_VIDEO.value]
  if bool(videos) == _is_camera():
    raise InputError('give either paths of videos or --camera=NUMBER')
  if _is_camera() and _FPS.value is not None:
    raise InputError('--fps is of videos: a camera has a clock')
  return [_CAMERA.value] if _is_camera() else videos


def _set_up_opencv() -> None:
  # Frames are decoded on all cores: threads of its own would be in the way.
  cv2.setNumThreads(1)
  # What goes wrong with a camera is told in one line, by us.
  cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _is_camera() -> bool:
  return _CAMERA.value is not None


def _name(source: str | int) -> str:
  if isinstance(source, int):
    return f'camera {source}'
  return video_file.printable(source)


def _model() -> _Model:
  run_dir = pathlib.Path(_RUN_DIR.value or run_directory.PRETRAINED)
  if not run_dir.is_dir():
    raise InputError(f'{run_dir}: no such run; give --run_dir=DIR')
  return _Model(
    run_dir,
    heart_rate.read_threshold(run_dir),
    run_directory.read_flags(run_dir),
  )


def _measure(
  source: str | int,
  model: _Model,
  files: prediction_files.Files,
  is_one_of_many: bool,
) -> None:
  """Measures one video or camera; prints its summary and writes its files."""
  name = _name(source)
  video = VideoReader(source, rate_hz=_FPS.value)
  backend = backends.load_backend(_BACKEND.value, model.run_dir)
  meter = heart_rate.HeartRateMeter(backend, model.threshold)
  line = LiveLine(sys.stderr, name if is_one_of_many else '')
  start_s = time.perf_counter()
  stopped = threading.Event()
  with _stopped_by_ctrl_c(stopped, wanted=_is_camera()), line:
    frames = _frames(video, name, stopped, line.note)
    _run(frames, model.values, meter, line)
  took_s = time.perf_counter() - start_s
  # A camera that was stopped has read a few frames more than it has shown.
  num_lost = 0
  if not _is_camera():
    num_lost = video.num_stored + video.num_missing - meter.num_frames
  _check_measured(name, meter, num_lost, is_one_of_many)
  result = {
    'video': name,
    'backend': _BACKEND.value,
    'run_dir': str(model.run_dir),
    'confidence_threshold': model.threshold,
    **_result(meter, num_lost, took_s),
  }
  print(_line(result) if is_one_of_many else _summary(result))
  prediction_files.write(files, result, meter)
  for path in files.values() if not is_one_of_many else ():
    print(f'written: {path}')


@contextlib.contextmanager
def _stopped_by_ctrl_c(stopped: threading.Event, wanted: bool):
  """Makes the first Ctrl-C set `stopped`; the second one interrupts."""
  if not wanted:
    yield
    return
  previous = signal.getsignal(signal.SIGINT)

  def stop(*_):
    stopped.set()
    signal.signal(signal.SIGINT, previous)

  signal.signal(signal.SIGINT, stop)
  try:
    yield
  finally:
    signal.signal(signal.SIGINT, previous)


def _frames(video: VideoReader, name: str, stopped, notify):
  """Read by another thread: (frame, seconds from the first)."""
  frames = prefetch.ahead(_until(video, stopped), _READ_FRAMES)
  if _is_camera():
    return _from_first(frames)
  return heart_rate.elapsed_times(frames, name, notify)


def _until(video: VideoReader, stopped: threading.Event):
  for pair in video.stored():
    if stopped.is_set():
      return
    yield pair


def _from_first(frames: Iterator[tuple[np.ndarray, float]]):
  start_s = None
  for frame_bgr, time_s in frames:
    if start_s is None:
      start_s = time_s
    yield frame_bgr, time_s - start_s


def _run(
  frames: Iterator, values: dict, meter: heart_rate.HeartRateMeter, line
) -> None:
  batches = frame_batches.cut_batches(
    frames,
    values['roi_geometry'],
    values['background'],
    _CAMERA_BATCH_FRAMES if _is_camera() else _FILE_BATCH_FRAMES,
    line.note,
    # Frames under way would make a camera's line late.
    1 if _is_camera() else os.cpu_count() or 1,
  )
  face_in_view = False
  for batch in batches:
    face_in_view = batch.box is not None
    line.show(meter, meter.push(batch), face_in_view)
  if not _is_camera():
    line.show(meter, meter.finish(), face_in_view)


def _check_measured(
  name: str,
  meter: heart_rate.HeartRateMeter,
  num_lost: int,
  is_one_of_many: bool,
) -> None:
  """Raises an error if there is nothing to report."""
  if not meter.num_frames:
    raise InputError(f'{name}: no frame could be read; record it again')
  lost = _lost(num_lost)
  if not meter.num_face_frames:
    start = f'{name}: ' if is_one_of_many else ''
    raise _NoFaceError(f'{start}no face found{lost}')
  if not meter.estimates:
    raise InputError(
      f'{name}: {meter.elapsed_s:.2f} s long; a heart rate needs '
      f'{contract.WINDOW_S} s: record for {contract.WINDOW_S + 1} s or longer'
      f'{lost}'
    )


def _result(
  meter: heart_rate.HeartRateMeter, num_lost: int, took_s: float
) -> dict:
  """What --json holds of the measurement."""
  return {
    'frames': meter.num_frames,
    'frames_lost': num_lost,
    'duration_s': meter.elapsed_s,
    'face_found_share': meter.num_face_frames / meter.num_frames,
    'frames_per_s': meter.num_frames / took_s,
    'realtime_factor': meter.elapsed_s / took_s,
    'estimates': [estimate._asdict() for estimate in meter.estimates],
    **heart_rate.summarise(meter.estimates),
  }


def _summary(result: dict) -> str:
  return (
    f'{_rate(result)}\n'
    f'face found in {100 * result["face_found_share"]:.0f} % of '
    f'{result["frames"]} frames{_lost(result["frames_lost"])}\n'
    f'{result["frames_per_s"]:.0f} frames/s, {result["realtime_factor"]:.1f} '
    f'x real time ({result["duration_s"]:.1f} s, --backend='
    f'{result["backend"]})'
  )


def _line(result: dict) -> str:
  """The summary of one of several videos."""
  return f'{result["video"]}: {_rate(result)}{_lost(result["frames_lost"])}'


def _rate(result: dict) -> str:
  num_estimates = len(result['estimates'])
  withheld_percent = 100 * result['withheld_share']
  withheld = f'{withheld_percent:.0f} % of {num_estimates} estimates withheld'
  median_bpm = result['median_bpm']
  if median_bpm is None:
    return f'no heart rate: {withheld}'
  return f'median heart rate: {median_bpm:.1f} BPM, {withheld}'


def _lost(num_frames: int) -> str:
  if not num_frames:
    return ''
  return f'; {num_frames} more frame{"s"[: num_frames > 1]} could not be read'


if __name__ == '__main__':
  run(main, takes_words=True)
