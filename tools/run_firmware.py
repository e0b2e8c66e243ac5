"""Heart rate of a video by the firmware, beside Python's.

  python -m tools.run_firmware --video=me.mp4 --target=qemu

builds firmware/ for the model of --run_dir, as a program of this machine or
for a Cortex-M55 in QEMU, and feeds it with what rppg_tf.predict would use:
the same frames, the same detections, times in whole microseconds. With
--own_detector the firmware finds the face itself instead. One line every
second; exit status 1 if a byte of the CNN's input or features differs,
or a heart rate by more than 0.01 BPM.
"""

import collections
import pathlib
from collections.abc import Iterator

import numpy as np
from absl import flags

from rppg_tf import contract, run_directory
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from rppg_tf.video import timestamps
from rppg_tf.video.reader import VideoReader
from tools.firmware_runner import stream

_VIDEO = flags.DEFINE_string('video', None, 'Path of a video.', required=True)
_TARGET = flags.DEFINE_enum(
  'target',
  'host',
  sorted(stream.TARGETS),
  'host and sanitized run here, qemu (Helium) and qemu_scalar on a Cortex-M55 '
  'in QEMU: some 10 frames/s.',
)
_RUN_DIR = flags.DEFINE_string(
  'run_dir',
  str(run_directory.PRETRAINED),
  'Run directory after tools.export_tflite; default: the model that ships.',
)
_MAX_FRAMES = flags.DEFINE_integer(
  'max_frames', None, 'Stop after this many frames.', lower_bound=1
)

_OWN_DETECTOR = flags.DEFINE_bool(
  'own_detector',
  False,
  'The firmware looks for the face itself, by rppg_run; default: it is handed '
  "Python's detections.",
)

# The statuses of an estimate, in words.
_STATUS = {
  stream.OK: '',
  stream.NOT_READY: 'not ready',
  stream.NO_FACE: 'no face in the last 10 s',
  stream.GAP: 'gap in the last 10 s',
}


class Comparison:
  """Both sides of one video, frame by frame."""

  def __init__(
    self, pipeline: stream.PythonPipeline, target: str, own_detector: bool
  ):
    self._pipeline = pipeline
    self._target = target
    self._own_detector = own_detector
    self._expected: collections.deque[np.ndarray] = collections.deque()

  def run(
    self, frames: Iterator[tuple[np.ndarray, float]]
  ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (expected, got), FRAME_OUT both, for every frame.

    Args:
      frames: (frame uint8 BGR, seconds from the first).
    """
    replayed = stream.replay(
      self._target, self._prepared(frames), self._own_detector
    )
    for got in replayed:
      yield self._expected.popleft(), got  # 12 kB each

  def _prepared(self, frames) -> Iterator[stream.Frame]:
    for frame_bgr, time_s in frames:
      frame, expected = self._pipeline.step(frame_bgr, round(time_s * 1e6))
      self._expected.append(expected)
      yield frame


def _frames() -> Iterator[tuple[np.ndarray, float]]:
  video = VideoReader(_VIDEO.value)
  frames = timestamps.elapsed_times(video, _VIDEO.value, print)
  for index, pair in enumerate(frames):
    if _MAX_FRAMES.value is not None and index >= _MAX_FRAMES.value:
      return
    yield pair


def _print_second(expected: np.ndarray, got: np.ndarray) -> None:
  time_s = got['num_samples'] / contract.GRID_RATE_HZ
  python_bpm = expected['heart_rate_bpm']
  bpm = f'{got["heart_rate_bpm"]:8.3f} BPM, Python {python_bpm:8.3f}'
  confidence = f'confidence {got["confidence"]:.2f}'
  status = _STATUS.get(int(got['estimate_status']), '')
  print(f'{time_s:6.1f} s  {bpm}  {confidence}  {status}'.rstrip())


def main() -> int:
  """Prints both sides and how far they are apart."""
  run_dir = pathlib.Path(_RUN_DIR.value)
  if not run_dir.is_dir():
    raise InputError(f'{run_dir}: no such run; give --run_dir=DIR')
  stream.build(_TARGET.value, run_dir=run_dir)
  pipeline = stream.PythonPipeline(run_dir, stream.FIRMWARE / 'generated')
  differences = []
  printed = contract.WINDOW_S - 1
  comparison = Comparison(pipeline, _TARGET.value, _OWN_DETECTOR.value)
  for expected, got in comparison.run(_frames()):
    differences.append(stream.compare(expected[np.newaxis], got[np.newaxis]))
    second = int(got['num_samples']) // contract.GRID_RATE_HZ
    if second > printed:
      printed = second
      _print_second(expected, got)
  return _summarise(differences)


def _summarise(differences: list[stream.Difference]) -> int:
  if not differences:
    raise InputError(f'{_VIDEO.value}: no frames')
  total = stream.add_up(differences)
  print(
    f'{_TARGET.value}: {total.num_frames} frames, {total.num_estimates} '
    f'estimates; differences: {total.codes} int8 inputs, {total.features} '
    f'int8 features, {total.others} frames otherwise, {total.max_bpm:.2g} BPM '
    'at most'
  )
  return int(not total.is_same)


if __name__ == '__main__':
  run(main)
