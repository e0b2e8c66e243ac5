"""Measurements of data preparation; tools/benchmark runs them.

  python -m tools.benchmark_process tools.benchmarks.build plain RECORDINGS_DIR

Each is for a process of its own. recordings_dir is in the layout of UBFC's
DATASET_2, data_dir is where `build` writes and `read` reads.
"""

import itertools
import math
import pathlib
import time
from collections.abc import Callable, Iterable

import cv2
import cv2.data
import numpy as np

from rppg_tf import contract
from rppg_tf.data import dataset, ubfc
from rppg_tf.errors import InputError
from rppg_tf.faces import detector as face_detector
from rppg_tf.faces import motion as face_motion
from rppg_tf.faces import rois
from rppg_tf.faces import stabiliser as face_stabiliser
from rppg_tf.video.reader import VideoReader
from tools.benchmarks.process import now

# The plain script needs a quarter of a second for each.
_PLAIN_FRAMES = 40
# Of one stage of ours; decoded frames are 0.9 MB each at 640x480.
_STAGE_FRAMES = 120
# Of each recording: heads have moved by then.
_TRACKED_FRAMES = 150
_NUM_READS = 3

_WINDOW = contract.SEED_WINDOW_FRAMES
_REGIONS = rois.ROI_GEOMETRIES_PERCENT[rois.DEFAULT_ROI_GEOMETRY]


def plain_script(
  video: pathlib.Path, num_frames: int
) -> tuple[list[np.ndarray], list[face_stabiliser.Box | None]]:
  """Makes windows as the obvious script does.

  The cascade is loaded for every frame and run on all of it, with the
  parameters of faces/rois.py; the three ROIs are cut out and resized; each
  window keeps its own copy of its frames. Frames without a face are left out.

  Args:
    video: path.
    num_frames: to be read, from the first.

  Returns:
    windows, float32 (8, 3, 36, 36, 3) RGB in [0, 1], at stride 1; and the
    largest face's box in every frame, None where there is none.
  """
  capture = cv2.VideoCapture(str(video))
  boxes, patches, windows = [], [], []
  for _ in range(num_frames):
    ok, frame_bgr = capture.read()
    if not ok:
      break
    cascade = cv2.CascadeClassifier(
      cv2.data.haarcascades + face_detector.CASCADE_FILE
    )
    faces = cascade.detectMultiScale(
      cv2.cvtColor(frame_bgr, cv2.COLOR_BGR2GRAY),
      face_detector.CASCADE_SCALE_STEP,
      face_detector.CASCADE_MIN_NEIGHBOURS,
    )
    boxes.append(_largest(faces))
    if boxes[-1] is None:
      continue
    patches.append(_plain_patches(frame_bgr, boxes[-1]))
    if len(patches) >= _WINDOW:
      windows.append(np.stack(patches[-_WINDOW:]))
  return windows, boxes


def _largest(faces: Iterable) -> face_stabiliser.Box | None:
  boxes = [(int(x), int(y), int(w), int(h)) for x, y, w, h in faces]
  return max(boxes, key=lambda box: box[2] * box[3], default=None)


def _plain_patches(
  frame_bgr: np.ndarray, box: face_stabiliser.Box
) -> np.ndarray:
  """float32 (3, 36, 36, 3) RGB in [0, 1]."""
  frame_rgb = cv2.cvtColor(frame_bgr, cv2.COLOR_BGR2RGB)
  height_px, width_px = frame_rgb.shape[:2]
  size = (contract.ROI_SIZE_PX, contract.ROI_SIZE_PX)
  patches = []
  for percent in _REGIONS:
    x0, x1, y0, y1 = rois.roi_bounds_px(box, percent, width_px, height_px)
    patch = cv2.resize(
      frame_rgb[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA
    )
    patches.append(patch.astype(np.float32) / 255)
  return np.stack(patches)


def roi_distances_px(
  folder: pathlib.Path, boxes: list[face_stabiliser.Box | None]
) -> dict[str, list[float]]:
  """How far our ROIs lie from those of detecting on every frame.

  Args:
    folder: of a recording.
    boxes: detected in its first frames, one after the other.

  Returns:
    Distances between the centres of each ROI in each frame, pixels:
    `held`, where the box of every frame goes through our stabiliser and
    follows the head too, and `raw`, where it is cut as detected.
  """
  stamps_s = ubfc.parse_ground_truth(
    folder / ubfc.GROUND_TRUTH_NAME
  ).timestamp_s
  tracker = rois.FaceTracker(face_detector.FaceDetector())
  stabiliser = face_stabiliser.FaceBoxStabiliser()
  motions = [face_motion.FaceMotion() for _ in range(2)]
  distances = {'held': [], 'raw': []}
  frames = VideoReader(ubfc.find_video(folder))
  # The list first: no frame is read that is not compared.
  for raw, (frame_bgr, _), time_s in zip(boxes, frames, stamps_s, strict=False):
    if tracker.is_look_due(time_s):
      tracker.look(frame_bgr, time_s)
    time_us = round(time_s * 1e6)
    stabiliser.update(raw, time_us)
    ours = _followed(motions[0], frame_bgr, tracker.box_at(time_s))
    held = _followed(motions[1], frame_bgr, stabiliser.box_at(time_us))
    others = {'held': held, 'raw': raw}
    for name, other in others.items():
      if ours is not None and other is not None:
        distances[name] += _centre_distances_px(ours, other, frame_bgr)
  return distances


def _followed(
  motion: face_motion.FaceMotion,
  frame_bgr: np.ndarray,
  box: face_stabiliser.Box | None,
) -> face_stabiliser.Box | None:
  """The box where the head is."""
  shift = motion.push(frame_bgr, box)
  return box and rois.moved_box(box, shift)


def _centre_distances_px(
  box: face_stabiliser.Box, other: face_stabiliser.Box, frame: np.ndarray
) -> list[float]:
  """One for each ROI."""
  height_px, width_px = frame.shape[:2]

  def centres(of):
    for percent in _REGIONS:
      x0, x1, y0, y1 = rois.roi_bounds_px(of, percent, width_px, height_px)
      yield (x0 + x1) / 2, (y0 + y1) / 2

  return list(map(math.dist, centres(box), centres(other)))


# --- Measurements -----------------------------------------------------------


def plain(recordings_dir: pathlib.Path) -> dict:
  """The plain script on the first frames of every recording."""
  windows, boxes = [], []
  start_s = now()
  for folder in _folders(recordings_dir):
    made, found = plain_script(ubfc.find_video(folder), _PLAIN_FRAMES)
    windows.append(made)
    boxes.append(found)
  took_s, cpu_s = now() - start_s
  num_frames = sum(map(len, boxes))
  stored_bytes = sum(window.nbytes for made in windows for window in made)
  num_windows = sum(map(len, windows))
  if not num_windows:
    raise InputError(f'{recordings_dir}: the plain script saw no face')
  distances = _pooled_distances_px(recordings_dir, boxes)
  return {
    'plain_build_frames_per_s': num_frames / took_s,
    'plain_build_cpu_ms_per_frame': 1e3 * cpu_s / num_frames,
    # A long video has a window to every frame; these short parts have fewer.
    'plain_bytes_per_frame': stored_bytes / num_windows,
    'roi_distance_full_frame_px': float(np.median(distances['held'])),
    'roi_distance_unsteadied_px': float(np.median(distances['raw'])),
  }


def roi(recordings_dir: pathlib.Path) -> dict:
  """Our ROIs beside those of our detector looking at every frame."""
  detector = face_detector.FaceDetector()
  boxes = []
  for folder in _folders(recordings_dir):
    video = VideoReader(ubfc.find_video(folder))
    first = itertools.islice(video, _TRACKED_FRAMES)
    boxes.append([detector.find(frame_bgr) for frame_bgr, _ in first])
  distances = _pooled_distances_px(recordings_dir, boxes)
  return {'roi_distance_px': float(np.median(distances['held']))}


def _pooled_distances_px(
  recordings_dir: pathlib.Path,
  boxes: list[list[face_stabiliser.Box | None]],
) -> dict[str, list[float]]:
  """roi_distances_px of all recordings together."""
  pooled = {'held': [], 'raw': []}
  for folder, found in zip(_folders(recordings_dir), boxes, strict=True):
    for name, distances_px in roi_distances_px(folder, found).items():
      pooled[name] += distances_px
  return pooled


def decode(recordings_dir: pathlib.Path) -> dict:
  """Frames decoded by one thread."""
  video = VideoReader(
    ubfc.find_video(_folders(recordings_dir)[0]), num_threads=1
  )
  return {'decode_frames_per_s': _rate(iter(video), lambda _: None)}


def detect(recordings_dir: pathlib.Path) -> dict:
  """Frames that the face is looked for in; few of a video's are."""
  detector = face_detector.FaceDetector()
  frames = _frames(recordings_dir)
  box = detector.find(frames[0])
  return {
    'detect_frames_per_s': _rate(
      frames, lambda frame_bgr: detector.find(frame_bgr, box)
    )
  }


def cut(recordings_dir: pathlib.Path) -> dict:
  """Decoded frames with a known box that ROIs are cut from."""
  frames = _frames(recordings_dir)
  box = face_detector.FaceDetector().find(frames[0])
  return {
    'cut_frames_per_s': _rate(
      frames, lambda frame_bgr: rois.cut_face(frame_bgr, box)
    )
  }


def labels(recordings_dir: pathlib.Path) -> dict:
  """Frames that are given a heart rate from the beats of the PPG."""
  from rppg_tf.data import labels as heart_rate_labels

  truths = [
    ubfc.parse_ground_truth(folder / ubfc.GROUND_TRUTH_NAME)
    for folder in _folders(recordings_dir)
  ]
  per_s = _rate(
    truths,
    lambda truth: heart_rate_labels.heart_rate_per_frame(
      truth.ppg, truth.timestamp_s, truth.timestamp_s
    ),
  )
  num_frames = sum(len(truth.ppg) for truth in truths)
  return {'label_frames_per_s': per_s * num_frames / len(truths)}


def build(recordings_dir: pathlib.Path, data_dir: pathlib.Path) -> dict:
  """The whole build, as `tfds build` runs it, once TensorFlow is there."""
  import tensorflow_datasets as tfds

  import tfds_ubfc

  builder = tfds_ubfc.Builder(
    data_dir=data_dir, config=rois.DEFAULT_ROI_GEOMETRY
  )
  start_s = now()
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=recordings_dir)
  )
  took_s, cpu_s = now() - start_s
  return {'build_s': took_s, 'build_cpu_s': cpu_s}


def read(data_dir: pathlib.Path) -> dict:
  """Recordings of the build read back, the fastest of a few passes."""
  import tensorflow_datasets as tfds

  geometry = rois.DEFAULT_ROI_GEOMETRY
  by_split = dataset.subjects_by_split(str(data_dir), geometry)
  subjects = list(itertools.chain.from_iterable(by_split.values()))
  fastest_s = math.inf
  for _ in range(_NUM_READS):
    # A new one each time: TFDS keeps a small dataset in memory after a pass.
    examples = dataset.load_recordings(str(data_dir), geometry, subjects)
    start_s = time.perf_counter()
    num_frames = sum(len(example['ppg']) for example in tfds.as_numpy(examples))
    fastest_s = min(fastest_s, time.perf_counter() - start_s)
  files = data_dir.rglob('*.tfrecord*')
  return {
    'recordings_read_per_s': len(subjects) / fastest_s,
    'frames': num_frames,
    'bytes_per_frame': sum(file.stat().st_size for file in files) / num_frames,
  }


def _rate(items: Iterable, function: Callable) -> float:
  """Returns how many of the items go through `function` in a second."""
  num_items = 0
  start_s = time.perf_counter()
  for item in items:
    function(item)
    num_items += 1
  return num_items / (time.perf_counter() - start_s)


def _frames(recordings_dir: pathlib.Path) -> list[np.ndarray]:
  """The first of a video; OpenCV keeps to one thread, as in the build."""
  cv2.setNumThreads(1)
  video = VideoReader(ubfc.find_video(_folders(recordings_dir)[0]))
  return [frame_bgr for frame_bgr, _ in itertools.islice(video, _STAGE_FRAMES)]


def _folders(recordings_dir: pathlib.Path) -> list[pathlib.Path]:
  found = ubfc.find_recordings(recordings_dir)
  return [folder for _, folder in found]
