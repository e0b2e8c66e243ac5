"""The Python API: the heart rate of a video, a camera, or frames as they come.

    video.reader → video times → faces.stream → inference.frame_batches
      → inference.meter → Measurement

No TensorFlow unless the backend is Keras.
"""

import dataclasses
import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from rppg_tf import contract, run_directory
from rppg_tf.errors import InputError
from rppg_tf.faces.rois import FaceRoiExtractor
from rppg_tf.inference import backends, frame_batches
from rppg_tf.inference import meter as heart_rate
from rppg_tf.inference.estimates import HeadRun
from rppg_tf.inference.meter import Estimate, Excerpt, HeartRateMeter
from rppg_tf.parallel import prefetch
from rppg_tf.parallel.opencv_threads import one_opencv_thread
from rppg_tf.signals import background, beats, chrominance, variability
from rppg_tf.video import file as video_file
from rppg_tf.video import timestamps
from rppg_tf.video.reader import VideoReader

# Many frames at a time are faster; few make a camera's line live.
_FILE_BATCH_FRAMES = 32
_CAMERA_BATCH_FRAMES = 5
# Frames that may wait: 0.9 MB each at 640x480, a tenth of it as JPEG.
_READ_FRAMES = 16

# Told after each batch: the meter, its new estimates, whether a face is seen.
Progress = Callable[[HeartRateMeter, list[Estimate], bool], None]


class NoFaceError(InputError):
  """No frame of the video shows a face."""


@dataclasses.dataclass(frozen=True)
class Measurement:
  """The heart rate of one video.

  Attributes:
    video: the path, or `camera N`.
    backend: `int8` or `keras`.
    run_dir: the model's run directory.
    confidence_threshold: below it an estimate is rejected.
    estimates: one a second, each over the 10 s before, or less at first.
    pulse: float32 [samples], the pulse wave on a 30 Hz grid, no unit.
    beats: their times in seconds from the first frame, and how likely each is
      one, float64 [beats] in [0, 1].
    num_frames: frames that were read.
    frames_lost: frames that could not be read.
    face_found_share: share of the frames with a face, in [0, 1].
    duration_s: length of the video.
    took_s: time that the measurement took.
    excerpt: what a plot shows of the best estimate.
  """

  video: str
  backend: str
  run_dir: str
  confidence_threshold: float
  estimates: tuple[Estimate, ...]
  pulse: np.ndarray
  beats: beats.Beats
  num_frames: int
  frames_lost: int
  face_found_share: float
  duration_s: float
  took_s: float
  excerpt: Excerpt | None

  @property
  def pulse_time_s(self) -> np.ndarray:
    """Times of the pulse's samples, float64 [samples], from the first frame."""
    return np.arange(len(self.pulse)) / contract.GRID_RATE_HZ

  @property
  def time_s(self) -> np.ndarray:
    """Ends of the estimates' windows, float64 [estimates]."""
    return self._column('time_s')

  @property
  def bpm(self) -> np.ndarray:
    """Heart rates, float64 [estimates], NaN where rejected."""
    return self._column('bpm')

  @property
  def newest_bpm(self) -> np.ndarray:
    """Heart rates of five beats, float64 [estimates], NaN where not known."""
    return self._column('newest_bpm')

  @property
  def raw_bpm(self) -> np.ndarray:
    """Heart rates, float64 [estimates], rejected ones as well."""
    return self._column('raw_bpm')

  @property
  def confidence(self) -> np.ndarray:
    """Signal quality of the estimates, float64 [estimates] in [0, 1]."""
    return self._column('confidence')

  @property
  def variability(self) -> variability.Variability:
    """RMSSD, SDNN and mean RR; NaN of less than 30 s of believed beats."""
    return variability.variability(self.beats)

  @property
  def median_bpm(self) -> float | None:
    """Median of the heart rates that were not rejected; None without one."""
    return heart_rate.summarise(list(self.estimates))['median_bpm']

  @property
  def frames_per_s(self) -> float:
    """Speed of the measurement."""
    return self.num_frames / self.took_s

  def to_frame(self):
    """Returns the estimates as a pandas.DataFrame; needs pandas."""
    import pandas

    return pandas.DataFrame(list(self.estimates), columns=Estimate._fields)

  def _column(self, name: str) -> np.ndarray:
    return np.array([getattr(e, name) for e in self.estimates], np.float64)


def measure(
  source: str | os.PathLike | int,
  *,
  run_dir: str | os.PathLike | None = None,
  backend: str = 'int8',
  fps: float | None = None,
  notify: Callable[[str], None] = lambda _: None,
  progress: Progress = lambda *_: None,
  stopped: threading.Event | None = None,
) -> Measurement:
  """Measures the heart rate of a video file or a camera.

  Args:
    source: path of a video, or number of a camera.
    run_dir: the model's run directory; None for the one that ships.
    backend: `int8` (as on the board) or `keras` (the float model).
    fps: frames/s of a file without times of its own, 5 to 500.
    notify: is told once of each oddity of the video.
    progress: is told after each batch of frames.
    stopped: ends the measurement when it is set; a camera needs one.

  Raises:
    NoFaceError: no face in any frame.
    InputError: the video or the model cannot be used, or the video is shorter
      than 10 s.
  """
  is_camera = isinstance(source, int)
  name = f'camera {source}' if is_camera else video_file.printable(source)
  _check_fps(fps, is_camera)
  model, values, threshold = _model(run_dir)
  video = VideoReader(source, rate_hz=fps)
  recorder = _PulseRecorder(backends.load_backend(backend, model))
  meter = HeartRateMeter(recorder, threshold)
  start_s = time.perf_counter()
  frames = prefetch.ahead(_until(video, stopped), _READ_FRAMES)
  if is_camera:
    frames = _from_first(frames)
  else:
    frames = timestamps.elapsed_times(frames, name, notify)
  _run(frames, values, meter, notify, progress, is_camera)
  took_s = time.perf_counter() - start_s
  # A camera that was stopped has read a few frames more than it has shown.
  num_lost = 0
  if not is_camera:
    num_lost = video.num_stored + video.num_missing - meter.num_frames
  _check_measured(name, meter, num_lost)
  return Measurement(
    video=name,
    backend=backend,
    run_dir=str(model),
    confidence_threshold=threshold,
    estimates=tuple(meter.estimates),
    pulse=recorder.pulse(),
    beats=meter.beats,
    num_frames=meter.num_frames,
    frames_lost=num_lost,
    face_found_share=meter.num_face_frames / meter.num_frames,
    duration_s=meter.elapsed_s,
    took_s=took_s,
    excerpt=meter.excerpt,
  )


class Meter:
  """The heart rate of frames as they come, in bounded memory.

      meter = Meter()
      for frame_bgr, time_s in frames:
        for estimate in meter.push(frame_bgr, time_s):
          print(estimate.time_s, estimate.bpm)

  Belongs to one thread at a time.
  """

  def __init__(
    self, run_dir: str | os.PathLike | None = None, backend: str = 'int8'
  ):
    """Loads the model.

    Args:
      run_dir: the model's run directory; None for the one that ships.
      backend: `int8` or `keras`.

    Raises:
      InputError: the model cannot be used.
    """
    model, values, threshold = _model(run_dir)
    self._geometry = values['roi_geometry']
    self._extractor = FaceRoiExtractor(self._geometry)
    self._coder = background.InputCoder(values['background'])
    self._colour = chrominance.ChrominanceStream()
    self._meter = HeartRateMeter(
      backends.load_backend(backend, model), threshold
    )
    self._start_s: float | None = None

  @property
  def estimates(self) -> tuple[Estimate, ...]:
    """All estimates so far."""
    return tuple(self._meter.estimates)

  @property
  def beats(self) -> beats.Beats:
    """All beats so far, seconds from the first frame; each is 1 s late."""
    return self._meter.beats

  def push(self, frame_bgr: np.ndarray, time_s: float) -> list[Estimate]:
    """Takes the next frame.

    Args:
      frame_bgr: uint8 (height, width, 3), BGR as OpenCV reads it.
      time_s: its measured time in seconds, any origin, not decreasing.

    Returns:
      The estimates that fell due: one a second from 10 s on, `bpm` None where
      the estimate is rejected; from 3 s on where five beats are believed.

    Raises:
      ValueError: not such a frame, or the time is not finite or decreases.
    """
    start_s = time_s if self._start_s is None else self._start_s
    elapsed_s = time_s - start_s
    cut = self._extractor.process(frame_bgr, elapsed_s)
    self._start_s = start_s
    seen = (elapsed_s, cut.face_found)
    batch = frame_batches.Batch(
      codes=self._coder.push(cut.rois, *seen)[np.newaxis],
      colour=self._colour.push(cut.mid_face_rgb, *seen)[np.newaxis],
      elapsed_s=np.array([elapsed_s]),
      face_found=np.array([cut.face_found]),
      frame=frame_bgr,
      box=cut.box,
      roi_geometry=self._geometry,
    )
    return self._meter.push(batch)

  def finish(self) -> list[Estimate]:
    """Ends the measurement; returns the estimates that fell due."""
    return self._meter.finish()


def _model(
  run_dir: str | os.PathLike | None,
) -> tuple[pathlib.Path, dict, float]:
  """Returns a run directory, its flags and its confidence threshold."""
  model = pathlib.Path(run_dir or run_directory.PRETRAINED)
  if not model.is_dir():
    raise InputError(f'{model}: no such run; give --run_dir=DIR')
  threshold = heart_rate.read_threshold(model)
  return model, run_directory.read_flags(model), threshold


def _check_fps(fps: float | None, is_camera: bool) -> None:
  if fps is None:
    return
  if is_camera:
    raise InputError('fps is of videos: a camera has a clock')
  lowest, highest = timestamps.MIN_FRAME_RATE_HZ, timestamps.MAX_FRAME_RATE_HZ
  if not lowest <= fps <= highest:
    raise InputError(
      f'fps: expected {lowest:g} to {highest:g} frames/s, got {fps:g}'
    )


class _PulseRecorder:
  """A backend that keeps the pulse wave: 120 bytes a second."""

  def __init__(self, backend: backends.Backend):
    self._backend = backend
    self._parts: list[np.ndarray] = []

  def push(self, codes, colour, timestamp_s) -> HeadRun:
    """See backends.Backend."""
    result = self._backend.push(codes, colour, timestamp_s)
    self._parts.append(result.pulse)
    return result

  def pulse(self) -> np.ndarray:
    """Returns float32 [samples]."""
    return np.concatenate(self._parts)


def _until(video: VideoReader, stopped: threading.Event | None) -> Iterator:
  for pair in video.stored():
    if stopped is not None and stopped.is_set():
      return
    yield pair


def _from_first(frames: Iterator) -> Iterator:
  start_s = None
  for frame_bgr, time_s in frames:
    if start_s is None:
      start_s = time_s
    yield frame_bgr, time_s - start_s


def _run(
  frames: Iterator,
  values: dict,
  meter: HeartRateMeter,
  notify: Callable[[str], None],
  progress: Progress,
  is_camera: bool,
) -> None:
  with one_opencv_thread():
    face_in_view = False
    for batch in frame_batches.cut_batches(
      frames,
      values['roi_geometry'],
      values['background'],
      _CAMERA_BATCH_FRAMES if is_camera else _FILE_BATCH_FRAMES,
      notify,
      # Frames under way would make a camera's line late.
      1 if is_camera else os.cpu_count() or 1,
    ):
      face_in_view = batch.box is not None
      progress(meter, meter.push(batch), face_in_view)
    if not is_camera:
      progress(meter, meter.finish(), face_in_view)


def _check_measured(name: str, meter: HeartRateMeter, num_lost: int) -> None:
  """Raises an error if there is nothing to report."""
  if not meter.num_frames:
    raise InputError(f'{name}: no frame could be read; record it again')
  lost = describe_lost(num_lost)
  if not meter.num_face_frames:
    raise NoFaceError(f'no face found{lost}')
  if not meter.estimates:
    raise InputError(
      f'{name}: {meter.elapsed_s:.2f} s long; a heart rate needs '
      f'{contract.WINDOW_S} s: record for {contract.WINDOW_S + 1} s or longer'
      f'{lost}'
    )


def describe_lost(num_frames: int) -> str:
  """Returns '' or the words that say how many frames were lost."""
  if not num_frames:
    return ''
  return f'; {num_frames} more frame{"s"[: num_frames > 1]} could not be read'
