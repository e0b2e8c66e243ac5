"""Heart rate over time of any video or camera.

  python -m rppg_tf.predict me.mp4 --json=PATH --plot=PATH.html
  python -m rppg_tf.predict a.mp4 b.mp4 --json=FOLDER
  python -m rppg_tf.predict --camera=0

A rate is estimated from the beats of the last 10 s, every second; the first
ones from five beats, after 3 to 6 s. It is rejected where its confidence is
below the model's threshold, or if no face was seen for more than 1 s of the 10.
Of many faces the largest is measured.

Of several videos each gets one line, and its files in the folders given.

Exit code 3 says that no face was found, 1 that something given is wrong; of
several videos 1 if any was wrong, else 3 if any had no face. Ctrl-C ends a
camera's measurement, with summary and files; of a video it leaves nothing
(130). Not a medical device.
"""

import contextlib
import math
import signal
import sys
import threading

import cv2
import numpy as np
from absl import flags

from rppg_tf import measurement
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from rppg_tf.inference import backends
from rppg_tf.inference import meter as heart_rate
from rppg_tf.reporting import prediction_files
from rppg_tf.reporting.live_line import LiveLine
from rppg_tf.video import file as video_file
from rppg_tf.video.timestamps import MAX_FRAME_RATE_HZ, MIN_FRAME_RATE_HZ

WRONG_EXIT_CODE = 1
NO_FACE_EXIT_CODE = 3
INTERRUPTED_EXIT_CODE = 130

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
_BEATS = flags.DEFINE_string(
  'beats',
  None,
  'Where to write the beats as CSV: seconds from the first frame, quality; a '
  'folder for several videos.',
)
_PLOT = flags.DEFINE_string(
  'plot',
  None,
  'Where to write the chart, .png or .html; a folder for several videos.',
)


def main(words: list[str] | None = None) -> int | None:
  """Measures, tells as it goes, writes.

  Args:
    words: paths of videos.
  """
  sources = _sources(words or [])
  _set_up_opencv()
  names = [_name(source) for source in sources]
  wanted = {
    'json': _JSON.value,
    'csv': _CSV.value,
    'beats': _BEATS.value,
    'plot': _PLOT.value,
  }
  planned = prediction_files.plan(names, wanted)
  codes = set()
  for source, files in zip(sources, planned, strict=True):
    try:
      _measure(source, files, is_one_of_many=len(sources) > 1)
    except measurement.NoFaceError as error:
      print(f'{_name(source)}: {error}' if len(sources) > 1 else error)
      codes.add(NO_FACE_EXIT_CODE)
    except InputError as error:
      print(f'error: {error}', file=sys.stderr)
      codes.add(WRONG_EXIT_CODE)
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
  # What goes wrong with a camera is told in one line, by us.
  cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _is_camera() -> bool:
  return _CAMERA.value is not None


def _name(source: str | int) -> str:
  if isinstance(source, int):
    return f'camera {source}'
  return video_file.printable(source)


def _measure(
  source: str | int, files: prediction_files.Files, is_one_of_many: bool
) -> None:
  """Measures one video or camera; prints its summary and writes its files."""
  line = LiveLine(sys.stderr, _name(source) if is_one_of_many else '')
  stopped = threading.Event()
  with _stopped_by_ctrl_c(stopped, wanted=_is_camera()), line:
    found = measurement.measure(
      source,
      run_dir=_RUN_DIR.value,
      backend=_BACKEND.value,
      fps=_FPS.value,
      notify=line.note,
      progress=line.show,
      stopped=stopped,
    )
  result = _result(found)
  print(_line(result) if is_one_of_many else _summary(result))
  prediction_files.write(files, result, found.excerpt)
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


def _result(found: measurement.Measurement) -> dict:
  """What --json holds."""
  return {
    'video': found.video,
    'backend': found.backend,
    'run_dir': found.run_dir,
    'confidence_threshold': found.confidence_threshold,
    'frames': found.num_frames,
    'frames_lost': found.frames_lost,
    'duration_s': found.duration_s,
    'face_found_share': found.face_found_share,
    'frames_per_s': found.frames_per_s,
    'realtime_factor': found.duration_s / found.took_s,
    'estimates': [estimate._asdict() for estimate in found.estimates],
    'beats': [
      {'time_s': float(time_s), 'quality': float(quality)}
      for time_s, quality in zip(*found.beats, strict=True)
    ],
    'rr_s': np.diff(found.beats.time_s).tolist(),
    'hrv': {
      name: value if math.isfinite(value) else None
      for name, value in found.variability._asdict().items()
    },
    'pulse': found.pulse.tolist(),
    'pulse_time_s': found.pulse_time_s.tolist(),
    **heart_rate.summarise(list(found.estimates)),
  }


def _summary(result: dict) -> str:
  return (
    f'{_rate(result)}\n{_variability(result["hrv"])}'
    f'face found in {100 * result["face_found_share"]:.0f} % of '
    f'{result["frames"]} frames{_lost(result)}\n'
    f'{result["frames_per_s"]:.0f} frames/s, {result["realtime_factor"]:.1f} '
    f'x real time ({result["duration_s"]:.1f} s, --backend='
    f'{result["backend"]})'
  )


def _line(result: dict) -> str:
  """The summary of one of several videos."""
  return f'{result["video"]}: {_rate(result)}{_lost(result)}'


def _rate(result: dict) -> str:
  num_estimates = len(result['estimates'])
  withheld_percent = 100 * result['withheld_share']
  withheld = f'{withheld_percent:.0f} % of {num_estimates} estimates withheld'
  median_bpm = result['median_bpm']
  if median_bpm is None:
    return f'no heart rate: {withheld}'
  return f'median heart rate: {median_bpm:.1f} BPM, {withheld}'


def _variability(hrv: dict) -> str:
  if hrv['rmssd_ms'] is None:
    return ''
  return (
    f'variability: RMSSD {hrv["rmssd_ms"]:.0f} ms, SDNN {hrv["sdnn_ms"]:.0f} '
    f'ms, mean RR {hrv["mean_rr_ms"]:.0f} ms, of {hrv["num_intervals"]} '
    f'intervals, {100 * hrv["share_used"]:.0f} % of the time\n'
  )


def _lost(result: dict) -> str:
  return measurement.describe_lost(result['frames_lost'])


if __name__ == '__main__':
  run(main, takes_words=True)
