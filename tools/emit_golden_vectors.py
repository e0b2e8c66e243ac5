"""What Python makes of frames, CNN inputs and looks → files to check C with.

  python -m tools.emit_golden_vectors --run_dir=build/demo/run

writes golden/frames.bin and golden/frames_expected.bin (firmware/test/
replay.h), golden/crops.bin and golden/crops_expected.bin (3,888 bytes in, 16
out), golden/looks.bin and golden/looks_expected.bin (firmware/test/looks.h),
golden/waves.bin and golden/waves_expected.bin (replay.h).
The frames hold a pulse, a head that sways, jitter of the detector, a step
of the face, a face that is lost and found, doubled times and a gap; in the
second half the box reaches out of the image. The looks go after a face that
moves, leaves the image and is lost; images are small, wide and tiny. The waves
pulse steadily, faster and faster, irregularly and in noise, or not at all. Made
of a fixed seed: the same model gives the same files.
"""

import pathlib

import cv2
import numpy as np
from absl import flags
from skimage import data

from rppg_tf import contract, files, run_directory
from rppg_tf.entry_point import run
from rppg_tf.faces import detector as face_detector
from rppg_tf.inference.int8_cnn import Int8SpatialCnn
from tools.firmware_runner import looks as firmware_looks
from tools.firmware_runner import waves as firmware_waves
from tools.firmware_runner.stream import (
  FOUND,
  FRAME_OUT,
  NOT_FOUND,
  PythonPipeline,
)

_RUN_DIR = flags.DEFINE_string(
  'run_dir',
  str(run_directory.PRETRAINED),
  'Run directory after tools.export_tflite; default: the model that ships.',
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir',
  'firmware/generated',
  'Folder with temporal_head.{h,c} of the same run; golden/ is made in it.',
)

_SHAPE = (150, 180, 3)
_NUM_FRAMES = 145
_NUM_CROPS = 60
_LOST = range(30, 48)


class _ScriptedDetector:
  """A box that jitters, steps once, and is gone for a while."""

  def __init__(self, random: np.random.Generator):
    self._random = random
    self.frame = 0

  def find(self, frame, tracked=None):
    """Returns the box of the frame that is set."""
    if self.frame in _LOST:
      return None
    # Regions of fewer than 36 pixels a side, then of more.
    x, y, side = 12, 4, 66
    if self.frame > 90:
      x, y, side = 30, 8, 160  # reaches out of the image
    dx, dy, dside = self._random.integers(-2, 3, 3).tolist()
    return (x + dx, y + dy, side + dside, side + dside)


def frame_times_us(random: np.random.Generator) -> np.ndarray:
  """Returns int64 [145] microseconds: 10-12 frames/s, some doubled, a gap."""
  steps_us = random.integers(82_000, 98_000, _NUM_FRAMES)
  steps_us[[0, 60, 61]] = 0
  steps_us[20] = 400_000
  steps_us[51] = 1_200_000
  return np.cumsum(steps_us)


def make_frame(base: np.ndarray, time_s: float, noise: np.ndarray):
  """Returns uint8 [150, 180, 3] BGR: what sways and pulses with 72 BPM."""
  pulse = np.sin(2 * np.pi * 72 / 60 * time_s)
  light = 3 * np.sin(2 * np.pi * 0.2 * time_s)
  colour = np.array([0.6, 1.2, 0.3]) * pulse + light
  sway = np.rint([2, 4] * np.sin(2 * np.pi * np.array([0.4, 0.3]) * time_s))
  moved = np.roll(base, sway.astype(int), axis=(0, 1))
  return np.clip(np.rint(moved + colour + noise), 0, 255).astype(np.uint8)


def write_frames(run_dir: pathlib.Path, c_dir: pathlib.Path) -> int:
  """Writes the frames and what Python makes of them; returns how many."""
  random = np.random.default_rng(5)
  times_us = frame_times_us(random)
  detector = _ScriptedDetector(random)
  pipeline = PythonPipeline(run_dir, c_dir, detector)
  soft = cv2.resize(random.normal(0, 12, (15, 18, 3)), _SHAPE[1::-1])
  base = random.uniform(70, 190, (1, 1, 3)) + soft
  frames, expected = [], []
  for index, time_us in enumerate(times_us.tolist()):
    detector.frame = index
    noise = random.normal(0, 1, _SHAPE)
    image = make_frame(base, time_us / 1e6, noise)
    frame, record = pipeline.step(image, time_us)
    frames.append(frame.encode())
    expected.append(record)
  folder = c_dir / 'golden'
  files.write_bytes(folder / 'frames.bin', b''.join(frames))
  records = np.array(expected, FRAME_OUT)
  files.write_bytes(folder / 'frames_expected.bin', records.tobytes())
  return len(frames)


def make_crops(num_crops: int, seed: int) -> np.ndarray:
  """Returns int8 [num, 36, 36, 3] in five kinds: noise, flat, rows, skin..."""
  random = np.random.default_rng(seed)
  shape = contract.ROI_FRAME_SHAPE
  crops = np.empty((num_crops, *shape), np.int8)
  for index in range(num_crops):
    kinds = (
      lambda: random.uniform(-128, 128, shape),
      lambda: random.normal(0, random.uniform(1, 80), shape),
      lambda: np.full(shape, random.choice([-128, 127, 0, 1, -1, 77])),
      lambda: np.broadcast_to(random.uniform(-128, 128, (36, 1, 1)), shape),
      lambda: (
        random.normal(random.normal(0, 40), random.uniform(1, 30), shape)
        + random.normal(0, 20, 3)
      ),
    )
    crop = np.rint(kinds[index % len(kinds)]())
    crops[index] = np.clip(crop, -128, 127).astype(np.int8)
  return crops


def crop_features(crops: np.ndarray, model: pathlib.Path) -> np.ndarray:
  """Returns LiteRT's int8 [num, 16] of int8 [num, 36, 36, 3]."""
  cnn = Int8SpatialCnn(model)
  padding = -len(crops) % contract.NUM_ROIS
  padded = np.concatenate([crops, np.zeros_like(crops[:padding])])
  frames = padded.reshape(-1, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)
  features = cnn.frame_features(frames)
  return features.reshape(-1, contract.NUM_SPATIAL_FEATURES)[: len(crops)]


# Height and width of the images of one detector after the other, and where
# the face's surroundings lie in each (x, y, side).
_LOOKS = (
  ((120, 160), [(9 + 4 * at, 5, 90 + 2 * at) for at in range(8)] + [None]),
  ((90, 160), [(75, -8, 95), (60, -3, 95), (58, -2, 95), (20, 0, 80)]),
  ((64, 700), [None, (500, -10, 80), (496, -10, 80)]),
  ((60, 24), [None]),
  ((1, 200), [None]),
)


def make_looks(random: np.random.Generator) -> list[firmware_looks.Look]:
  """Returns looks after what FaceDetector found in the image before."""
  face = np.ascontiguousarray(data.astronaut()[:320, 80:400, ::-1])
  looks = []
  for (height, width), places in _LOOKS:
    detector, found = face_detector.FaceDetector(), None
    for index, place in enumerate(places):
      image = random.integers(90, 130, (height, width, 3), np.uint8)
      if place is not None:
        x, y, side = place
        patch = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
        patch = patch[max(0, -y) :, max(0, -x) :]
        part = image[max(0, y) :, max(0, x) :][: len(patch), : patch.shape[1]]
        part[:] = patch[: len(part), : part.shape[1]]
      looks.append(firmware_looks.Look(image, found, index == 0))
      found = detector.find(image, found)
  return looks


def expect_looks(looks: list[firmware_looks.Look]) -> np.ndarray:
  """Returns what FaceDetector makes of them: LOOK_OUT [num_looks]."""
  expected = np.zeros(len(looks), firmware_looks.LOOK_OUT)
  detector = face_detector.FaceDetector()
  for look, result in zip(looks, expected, strict=True):
    if look.is_first:
      detector = face_detector.FaceDetector()
    box = detector.find(look.frame_bgr, look.tracked)
    result['detection'] = NOT_FOUND if box is None else FOUND
    result['box'] = box or (0, 0, 0, 0)
    result['num_faces'] = detector.num_faces
  return expected


def make_waves(random: np.random.Generator) -> list[np.ndarray]:
  """Returns pulse waves, float64 [samples] each."""

  def pulsing(interval_s: np.ndarray) -> np.ndarray:
    beat_s = np.cumsum(interval_s)
    time_s = np.arange(0, beat_s[-1], 1 / contract.GRID_RATE_HZ)
    angle = 2 * np.pi * np.interp(time_s, beat_s, np.arange(len(beat_s)))
    return np.cos(angle) + 0.4 * np.cos(2 * angle - 1.0)

  irregular = random.normal(0.83, 0.05, 90)
  irregular[[20, 45]] += (-0.3, 0.8)
  clean, noise = pulsing(irregular), random.normal(size=900)
  steps = np.repeat(random.normal(size=30), 20)
  silence = np.zeros(13_000)  # until nothing is left of what was
  return [
    5.0 + 1e-3 * pulsing(np.full(40, 60 / 71.3)),
    pulsing(np.linspace(1.3, 0.36, 90)),
    clean,
    clean + random.normal(0, 0.9, len(clean)),
    noise,
    steps,
    np.concatenate([clean[:600], silence, clean[:600]]),
  ]


def main() -> None:
  """Writes all eight files."""
  run_dir = pathlib.Path(_RUN_DIR.value)
  c_dir = pathlib.Path(_OUTPUT_DIR.value)
  folder = c_dir / 'golden'
  folder.mkdir(parents=True, exist_ok=True)
  crops = make_crops(_NUM_CROPS, seed=7)
  features = crop_features(crops, run_dir / run_directory.INT8_MODEL)
  files.write_bytes(folder / 'crops.bin', crops.tobytes())
  files.write_bytes(folder / 'crops_expected.bin', features.tobytes())
  looks = make_looks(np.random.default_rng(3))
  files.write_bytes(
    folder / 'looks.bin', b''.join(look.encode() for look in looks)
  )
  files.write_bytes(
    folder / 'looks_expected.bin', expect_looks(looks).tobytes()
  )
  waves = make_waves(np.random.default_rng(11))
  files.write_bytes(
    folder / 'waves.bin', b''.join(map(firmware_waves.encode, waves))
  )
  files.write_bytes(
    folder / 'waves_expected.bin',
    b''.join(firmware_waves.expect(wave).tobytes() for wave in waves),
  )
  num_frames = write_frames(run_dir, c_dir)
  print(
    f'written: {folder}, {num_frames} frames, {len(crops)} CNN inputs, '
    f'{len(looks)} looks, {len(waves)} pulse waves'
  )


if __name__ == '__main__':
  run(main)
