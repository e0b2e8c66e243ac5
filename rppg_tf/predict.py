"""Heart rate over time of any video or camera.

  python -m rppg_tf.predict --video=PATH --json=PATH --plot=PATH.html
  python -m rppg_tf.predict --camera=0

A rate is estimated from the last 10 s, every second. It is withheld while its
confidence is below the model's threshold, or if no face was seen for more
than 1 s of the 10. Of many faces the largest is measured.

Exit code 3 says that no face was found, 1 that something given is wrong.
Ctrl-C ends a camera's measurement, with summary and files; of a video it
leaves nothing (130). Not a medical device.
"""

import contextlib
import csv
import io
import os
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
from absl import flags

from rppg_tf import contract, files, run_directory
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from rppg_tf.inference import backends, frame_batches
from rppg_tf.inference import meter as heart_rate
from rppg_tf.parallel import prefetch
from rppg_tf.video.reader import VideoReader

NO_FACE_EXIT_CODE = 3
INTERRUPTED_EXIT_CODE = 130

# Many frames at a time are faster; few make a camera's line live.
_FILE_BATCH_FRAMES = 32
_CAMERA_BATCH_FRAMES = 5
# Frames that may wait: 0.9 MB each at 640x480, a tenth of it as JPEG.
_READ_FRAMES = 16

_VIDEO = flags.DEFINE_string('video', None, 'Any video that OpenCV opens.')
_CAMERA = flags.DEFINE_integer(
  'camera', None, 'Number of a camera, in place of --video.', lower_bound=0
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
_JSON = flags.DEFINE_string('json', None, 'Where to write all as JSON.')
_CSV = flags.DEFINE_string('csv', None, 'Where to write the estimates.')
_PLOT = flags.DEFINE_string(
  'plot', None, 'Where to write the chart, .png or .html.'
)


def main() -> int | None:
  """Measures, tells as it goes, writes."""
  source = _source()
  _set_up_opencv()
  _check_outputs()
  run_dir = _run_dir()
  threshold = heart_rate.read_threshold(run_dir)
  values = run_directory.read_flags(run_dir)
  video = VideoReader(source)
  backend = backends.load_backend(_BACKEND.value, run_dir)
  meter = heart_rate.HeartRateMeter(backend, threshold)
  line = LiveLine(sys.stderr)
  start_s = time.perf_counter()
  stopped = threading.Event()
  try:
    with _stopped_by_ctrl_c(stopped, wanted=_is_camera()), line:
      frames = _frames(video, stopped, line.note)
      _measure(frames, values, meter, line)
  except KeyboardInterrupt:
    print('interrupted: nothing written', file=sys.stderr)
    return INTERRUPTED_EXIT_CODE
  took_s = time.perf_counter() - start_s
  if not meter.num_frames:
    raise InputError(f'{_name()}: no frame could be read; record it again')
  if not meter.num_face_frames:
    print('no face found')
    return NO_FACE_EXIT_CODE
  if not meter.estimates:
    raise InputError(
      f'{_name()}: {meter.elapsed_s:.1f} s long; a heart rate needs '
      f'{contract.WINDOW_S} s: record for {contract.WINDOW_S + 1} s or longer'
    )
  result = _result(meter, threshold, run_dir, took_s)
  print(_summary(result))
  _write(result, meter)
  return None


def _source() -> str | int:
  if (_VIDEO.value is None) == (_CAMERA.value is None):
    raise InputError('give one of --video=PATH and --camera=NUMBER')
  return _CAMERA.value if _is_camera() else _VIDEO.value


def _set_up_opencv() -> None:
  # Frames are decoded on all cores: threads of its own would be in the way.
  cv2.setNumThreads(1)
  # What goes wrong with a video is told in one line, by us.
  os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
  cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _is_camera() -> bool:
  return _CAMERA.value is not None


def _name() -> str:
  return f'camera {_CAMERA.value}' if _is_camera() else _VIDEO.value


def _check_outputs() -> None:
  """Refuses paths that could not be written after all the work."""
  for flag in (_JSON, _CSV, _PLOT):
    if flag.value is None:
      continue
    folder = pathlib.Path(flag.value).parent
    if not folder.is_dir():
      raise InputError(f'--{flag.name}={flag.value}: no folder {folder}')
  if _PLOT.value and pathlib.Path(_PLOT.value).suffix not in ('.png', '.html'):
    raise InputError(
      f'--plot={_PLOT.value}: the name must end in .png or .html'
    )


def _run_dir() -> pathlib.Path:
  run_dir = pathlib.Path(_RUN_DIR.value or run_directory.PRETRAINED)
  if not run_dir.is_dir():
    raise InputError(f'{run_dir}: no such run; give --run_dir=DIR')
  return run_dir


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


def _frames(video: VideoReader, stopped, notify):
  """Read by another thread: (frame, seconds from the first)."""
  frames = prefetch.ahead(_until(video, stopped), _READ_FRAMES)
  if _is_camera():
    return _from_first(frames)
  return heart_rate.elapsed_times(frames, video.header_rate_hz, notify)


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


def _measure(
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
  for batch in batches:
    fresh = meter.push(batch)
    line.show(meter, fresh, batch.box is not None)


class LiveLine:
  """What is known now: one line, on a terminal rewritten in its place."""

  def __init__(self, stream):
    self._stream = stream
    self._in_place = stream.isatty()
    self._now = ''

  def __enter__(self) -> 'LiveLine':
    return self

  def __exit__(self, *_) -> None:
    if self._in_place and self._now:
      self._stream.write('\n')
      self._stream.flush()

  def note(self, text: str) -> None:
    """Says something once, above the line."""
    start = '\r\x1b[K' if self._in_place else ''
    end = self._now if self._in_place else ''
    self._stream.write(f'{start}{text}\n{end}')
    self._stream.flush()

  def show(
    self,
    meter: heart_rate.HeartRateMeter,
    fresh: list[heart_rate.Estimate],
    face_in_view: bool,
  ) -> None:
    """Shows where the measurement stands.

    Args:
      meter: the measurement.
      fresh: its estimates since the last call.
      face_in_view: now.
    """
    if not self._in_place:
      for estimate in fresh:
        self._stream.write(f'{describe(estimate)}\n')
      self._stream.flush()
      return
    if not meter.num_face_frames:
      self._now = 'looking for a face'
    elif not meter.estimates:
      left_s = max(contract.WINDOW_S - meter.elapsed_s, 0)
      self._now = f'first heart rate in {left_s:.0f} s'
    else:
      self._now = describe(meter.estimates[-1])
    if meter.num_face_frames and not face_in_view:
      self._now += '   no face in view'
    self._stream.write(f'\r\x1b[K{self._now}')
    self._stream.flush()


def describe(estimate: heart_rate.Estimate) -> str:
  """Returns one line for an estimate."""
  rate = f'{estimate.bpm:5.1f} BPM' if estimate.bpm is not None else ' withheld'
  return (
    f'{estimate.time_s:6.0f} s   {rate}   confidence {estimate.confidence:.2f}'
  )


def _result(
  meter: heart_rate.HeartRateMeter,
  threshold: float,
  run_dir: pathlib.Path,
  took_s: float,
) -> dict:
  """What --json holds."""
  return {
    'video': _name(),
    'backend': _BACKEND.value,
    'run_dir': str(run_dir),
    'frames': meter.num_frames,
    'duration_s': meter.elapsed_s,
    'face_found_share': meter.num_face_frames / meter.num_frames,
    'frames_per_s': meter.num_frames / took_s,
    'realtime_factor': meter.elapsed_s / took_s,
    'confidence_threshold': threshold,
    'estimates': [estimate._asdict() for estimate in meter.estimates],
    **heart_rate.summarise(meter.estimates),
  }


def _summary(result: dict) -> str:
  num_estimates = len(result['estimates'])
  withheld_percent = 100 * result['withheld_share']
  withheld = f'{withheld_percent:.0f} % of {num_estimates} estimates withheld'
  median_bpm = result['median_bpm']
  if median_bpm is None:
    first = f'no heart rate: {withheld}'
  else:
    first = f'median heart rate: {median_bpm:.1f} BPM, {withheld}'
  return (
    f'{first}\n'
    f'face found in {100 * result["face_found_share"]:.0f} % of '
    f'{result["frames"]} frames\n'
    f'{result["frames_per_s"]:.0f} frames/s, {result["realtime_factor"]:.1f} '
    f'x real time ({result["duration_s"]:.1f} s, --backend='
    f'{result["backend"]})'
  )


def _write(result: dict, meter: heart_rate.HeartRateMeter) -> None:
  if _JSON.value:
    files.write_json(pathlib.Path(_JSON.value), result)
  if _CSV.value:
    text = _csv(meter.estimates)
    files.write_bytes(pathlib.Path(_CSV.value), text.encode())
  if _PLOT.value:
    # matplotlib takes a second to load
    from rppg_tf.reporting import prediction

    path = pathlib.Path(_PLOT.value)
    draw = prediction.html if path.suffix == '.html' else prediction.png
    files.write_bytes(path, draw(result, meter))
  for flag in (_JSON, _CSV, _PLOT):
    if flag.value:
      print(f'written: {flag.value}')


def _csv(estimates: list[heart_rate.Estimate]) -> str:
  """One line an estimate; bpm is empty while withheld."""
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(heart_rate.Estimate._fields)
  for estimate in estimates:
    writer.writerow(['' if value is None else value for value in estimate])
  return text.getvalue()


if __name__ == '__main__':
  run(main)
