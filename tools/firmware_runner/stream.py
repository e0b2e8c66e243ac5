"""Drives the firmware on the host or on QEMU, and Python beside it.

The other end of firmware/test/replay.c. Both sides get the same frames, the
same detector's answers and the same times in whole microseconds, which is
what the board has.
"""

import contextlib
import fcntl
import pathlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from rppg_tf import contract, run_directory
from rppg_tf.errors import InputError
from rppg_tf.faces import detector as face_detector
from rppg_tf.faces import rois, stabiliser
from rppg_tf.inference import c_head
from rppg_tf.inference.int8_cnn import Int8SpatialCnn
from rppg_tf.signals import background, chrominance, readout
from tools.firmware_runner import waves

ROOT = pathlib.Path(__file__).parents[2]
FIRMWARE = ROOT / 'firmware'
# Programs of firmware/Makefile.
TARGETS = {
  'host': 'build/host/replay',
  'sanitized': 'build/sanitized/replay',
  'qemu': 'build/m55/replay.elf',
  'qemu_scalar': 'build/m55_scalar/replay.elf',
}
_QEMU = 'qemu-system-arm -M mps3-an547 -display none -serial none -monitor none'

# rppg.h
RGB888, BGR888, RGB565 = range(3)
NOT_LOOKED_FOR, NOT_FOUND, FOUND = range(3)
OK, NOT_READY, NO_FACE, DROPPED, GAP, RESTARTED, LOOKING = range(7)
# The frame was not used.
BAD_ARGUMENT, TIME_BACKWARDS = -1, -2

FRAME_IN = np.dtype(
  [
    ('time_us', '<i8'),
    ('detection', '<i4'),
    ('box', '<i4', 4),
    ('age_us', '<u4'),
    ('width_px', '<u4'),
    ('height_px', '<u4'),
    ('stride_bytes', '<u4'),
    ('format', '<u4'),
  ]
)
FRAME_OUT = np.dtype(
  [
    ('was_detection_due', '<i4'),
    ('push_status', '<i4'),
    ('estimate_status', '<i4'),
    *waves.ESTIMATE_OUT.descr,
    ('mid_face_rgb', '<f4', 3),
    ('has_box', '<i4'),
    ('box', '<i4', 4),
    ('num_cnn_runs', '<i4'),
    *waves.BEATS_OUT.descr,
    ('codes', 'i1', (contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)),
    ('features', '<i2', contract.NUM_FRAME_FEATURES),
  ]
)


class Frame(NamedTuple):
  """One frame as the firmware gets it.

  Attributes:
    pixels: uint8 (height, width, 3), or (height, width, 2) for RGB565.
    time_us: when it was taken.
    detection: NOT_LOOKED_FOR, NOT_FOUND or FOUND.
    box: of FOUND.
    pixel_format: RGB888, BGR888 or RGB565.
  """

  pixels: np.ndarray
  time_us: int
  detection: int = NOT_LOOKED_FOR
  box: stabiliser.Box = (0, 0, 0, 0)
  pixel_format: int = BGR888

  def encode(self) -> bytes:
    """Returns it as replay.c reads it."""
    height, width, depth = self.pixels.shape
    head = np.array(
      (
        self.time_us,
        self.detection,
        self.box,
        0,
        width,
        height,
        width * depth,
        self.pixel_format,
      ),
      FRAME_IN,
    )
    return head.tobytes() + self.pixels.tobytes()


def make(
  *targets: str, run_dir: pathlib.Path | str | None = None
) -> subprocess.CompletedProcess:
  """Runs make in firmware/, one process at a time.

  Args:
    targets: of firmware/Makefile.
    run_dir: the model; the one that ships by default.

  Returns:
    The finished process with its output as text, whatever its exit status.

  Raises:
    InputError: there is no make.
  """
  if shutil.which('make') is None:
    raise InputError("no 'make' on PATH; apt-packages.txt has what is needed")
  command = ['make', '-s', '-C', str(FIRMWARE), f'PYTHON={sys.executable}']
  if run_dir is not None:
    command.append(f'RUN_DIR={pathlib.Path(run_dir).resolve()}')
  folder = FIRMWARE / 'build'
  folder.mkdir(exist_ok=True)
  with open(folder / 'lock', 'w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    return subprocess.run(
      [*command, *targets], capture_output=True, text=True, check=False
    )


def build(*targets: str, run_dir: pathlib.Path | str | None = None) -> None:
  """Builds programs of TARGETS by firmware/Makefile.

  Raises:
    InputError: make or a compiler is missing, or does not succeed.
  """
  check_made(make(*(TARGETS[target] for target in targets), run_dir=run_dir))


def check_made(done: subprocess.CompletedProcess) -> None:
  """Raises InputError with the first error that make printed."""
  if done.returncode:
    lines = (done.stdout + done.stderr).strip().splitlines()
    errors = [line for line in lines if 'rror' in line or '***' in line]
    raise InputError(f'firmware does not build: {(errors or lines)[0]}')


def command_line(
  target: str, *words: str, programs: dict[str, str] = TARGETS
) -> list[str]:
  """Returns the command that runs a program with `words` as its arguments.

  Args:
    target: a key of `programs`, built.
    words: the arguments.
    programs: of firmware/Makefile; replay by default.

  Raises:
    InputError: there is no QEMU.
  """
  program = FIRMWARE / programs[target]
  if not target.startswith('qemu'):
    return [str(program), *words]
  if shutil.which('qemu-system-arm') is None:
    raise InputError(
      "no 'qemu-system-arm' on PATH; apt-packages.txt has what is needed"
    )
  arguments = ''.join(f',arg={word}' for word in (program.stem, *words))
  semihosting = f'enable=on,target=native{arguments}'
  return [
    *_QEMU.split(),
    '-semihosting-config',
    semihosting,
    '-kernel',
    str(program),
  ]


def replay(
  target: str, frames: Iterable[Frame], own_detector: bool = False
) -> Iterator[np.ndarray]:
  """Runs frames through the firmware as they come.

  Args:
    target: a key of TARGETS, built.
    frames: any number of frames, in order.
    own_detector: the firmware looks for the face itself; detections of the
      frames are not read.

  Yields:
    One FRAME_OUT a frame.

  Raises:
    InputError: the firmware ended early.
  """
  kind = 'run' if own_detector else 'frames'
  command = command_line(target, kind, '/dev/stdin', '/dev/stdout')
  process = subprocess.Popen(
    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
  )
  assert process.stdout is not None
  counter = _Feeder(process.stdin, frames)
  feeder = threading.Thread(target=counter.run, daemon=True)
  feeder.start()
  num_frames = 0
  try:
    while len(record := process.stdout.read(FRAME_OUT.itemsize)):
      if len(record) < FRAME_OUT.itemsize:
        break
      num_frames += 1
      yield np.frombuffer(record, FRAME_OUT)[0]
    feeder.join()
  finally:
    if feeder.is_alive():  # nobody wants the rest
      process.kill()
    status = process.wait()
  if counter.error is not None:
    raise counter.error
  if status or num_frames != counter.num_frames:
    raise InputError(
      f'firmware ({target}): exit status {status} after {num_frames} frames'
    )


class _Feeder:
  """Writes frames to the firmware, in a thread of its own."""

  def __init__(self, pipe, frames: Iterable[Frame]):
    self._pipe = pipe
    self._frames = frames
    self.num_frames = 0
    self.error: Exception | None = None

  def run(self) -> None:
    try:
      for frame in self._frames:
        self._pipe.write(frame.encode())
        self.num_frames += 1
    except BrokenPipeError:
      pass  # the firmware ended: its exit status says why
    except Exception as error:
      self.error = error
    finally:
      with contextlib.suppress(BrokenPipeError):
        self._pipe.close()


def run_crops(target: str, crops: np.ndarray, folder: pathlib.Path):
  """Runs the CNN alone.

  Args:
    target: a key of TARGETS, built.
    crops: int8 [num, 36, 36, 3].
    folder: for the files in between.

  Returns:
    int8 [num, 16].
  """
  crops.tofile(folder / 'crops.bin')
  names = [str(folder / name) for name in ('crops.bin', 'features.bin')]
  subprocess.run(command_line(target, 'crops', *names), check=True, stdin=-3)
  features = np.fromfile(folder / 'features.bin', np.int8)
  return features.reshape(len(crops), contract.NUM_SPATIAL_FEATURES)


class _NotedDetector:
  """A detector that remembers whether it was asked, and its answer."""

  def __init__(self, detector):
    self._detector = detector
    self.was_asked = False
    self.answer: stabiliser.Box | None = None

  def find(self, frame, tracked=None):
    self.was_asked = True
    self.answer = self._detector.find(frame, tracked)
    return self.answer


class PythonPipeline:
  """rppg_tf's own path, frame by frame, with an estimate at every sample."""

  def __init__(self, run_dir: pathlib.Path, c_dir: pathlib.Path, detector=None):
    """Loads the CNN and compiles the head.

    Args:
      run_dir: holds spatial_int8.tflite and flags.json.
      c_dir: holds temporal_head.{h,c}.
      detector: anything with FaceDetector's `find`; the Haar cascade by
        default.
    """
    self._detector = _NotedDetector(detector or face_detector.FaceDetector())
    trained = run_directory.read_flags(run_dir)
    self._extractor = rois.FaceRoiExtractor(
      trained['roi_geometry'], self._detector
    )
    self._coder = background.InputCoder('normalise')
    self._colour_stream = chrominance.ChrominanceStream()
    self._cnn = Int8SpatialCnn(
      run_dir / run_directory.INT8_MODEL, num_threads=1
    )
    head = c_head.CompiledHead(c_dir)
    self._window_samples = head.window_samples
    self._head = head.stream(window_stride=1)
    self._estimates = waves.EstimateReader()
    self._origin_us: int | None = None

  def step(self, frame_bgr: np.ndarray, time_us: int):
    """Takes the next frame.

    Returns:
      The frame for the firmware, and what it should make of it (FRAME_OUT,
      statuses apart).
    """
    time_s = time_us / 1e6
    if self._origin_us is None:
      self._origin_us = time_us
    self._detector.was_asked = False
    cut = self._extractor.process(frame_bgr, time_s)
    expected = np.zeros((), FRAME_OUT)
    seen = (time_s, cut.face_found)
    expected['codes'] = self._coder.push(cut.rois, *seen)
    colour = self._colour_stream.push(cut.mid_face_rgb, *seen)
    features = self._cnn.frame_features(expected['codes'][np.newaxis])
    features = chrominance.append(features, colour[np.newaxis])
    self._advance(features, time_s)
    expected['was_detection_due'] = self._detector.was_asked
    for part in (
      self._estimates.estimate(),
      self._estimates.take_beats(self._origin_us),
    ):
      for name in part.dtype.names or ():
        expected[name] = part[name]
    expected['mid_face_rgb'] = cut.mid_face_rgb
    expected['has_box'] = cut.box is not None
    expected['box'] = cut.box or (0, 0, 0, 0)
    expected['num_cnn_runs'] = contract.NUM_ROIS
    expected['features'] = features[0]
    return self._frame(frame_bgr, time_us), expected

  def _advance(self, features: np.ndarray, time_s: float) -> None:
    result = self._head.push(features, np.array([time_s]))
    spectral = map(
      readout.Spectral,
      result.heart_rate_bpm.tolist(),
      result.confidence.tolist(),
    )
    self._estimates.push(result.pulse, list(spectral))

  def _frame(self, frame_bgr: np.ndarray, time_us: int) -> Frame:
    if not self._detector.was_asked:
      return Frame(frame_bgr, time_us)
    if self._detector.answer is None:
      return Frame(frame_bgr, time_us, NOT_FOUND)
    return Frame(frame_bgr, time_us, FOUND, self._detector.answer)


class Difference(NamedTuple):
  """How far the firmware is from Python over some frames.

  Attributes:
    num_frames: compared.
    num_estimates: frames with an estimate on both sides.
    codes: int8 inputs of the CNN that differ.
    features: of them, int8 and chrominance, that differ.
    others: frames of which box, samples, detection due, mid-face, beats or
      variability differ.
    max_bpm: largest difference of the rates, those of the beats included.
  """

  num_frames: int
  num_estimates: int
  codes: int
  features: int
  others: int
  max_bpm: float

  @property
  def is_same(self) -> bool:
    """No byte differs, and no heart rate by more than 0.01 BPM."""
    return not (self.codes or self.features or self.others) and (
      self.max_bpm <= waves.MAX_BPM_DIFFERENCE
    )


def add_up(differences: Iterable[Difference]) -> Difference:
  """Joins the differences of parts."""
  *counts, worst = zip(*differences, strict=True)
  frames, estimates, codes, features, others = map(sum, counts)
  return Difference(frames, estimates, codes, features, others, max(worst))


def compare(expected: np.ndarray, got: np.ndarray) -> Difference:
  """Compares FRAME_OUT [num_frames] of Python and of the firmware."""
  exact = (
    'was_detection_due',
    'num_samples',
    'mid_face_rgb',
    'has_box',
    'box',
    'num_cnn_runs',
  )
  others = np.zeros(len(got), bool)
  for name in exact:
    differs = expected[name] != got[name]
    others |= differs.reshape(len(got), -1).any(axis=1)
  others |= waves.beats_differ(expected, got)
  others |= waves.rate_details_differ(expected['beats'], got['beats'])
  others |= waves.variability_differs(
    expected['variability'], got['variability']
  )
  apart_bpm = np.stack(
    [
      waves.rates_apart(expected['heart_rate_bpm'], got['heart_rate_bpm']),
      waves.rates_apart(expected['spectrum_bpm'], got['spectrum_bpm']),
      waves.rates_apart(expected['beats']['bpm'], got['beats']['bpm']),
      waves.rates_apart(
        expected['beats']['newest_bpm'], got['beats']['newest_bpm']
      ),
    ]
  )
  is_known = np.isfinite(apart_bpm)
  others |= ~is_known.all(axis=0)
  ready = (expected['heart_rate_bpm'] > 0) & (got['heart_rate_bpm'] > 0)
  return Difference(
    len(got),
    int(ready.sum()),
    int(np.count_nonzero(expected['codes'] != got['codes'])),
    int(np.count_nonzero(expected['features'] != got['features'])),
    int(others.sum()),
    float(apart_bpm[is_known].max(initial=0.0)),
  )
