"""Measurements of predict; tools/benchmark runs them.

  python -m tools.benchmark_process tools.benchmarks.predict startup DIR

Each is for a process of its own. recordings_dir is in the layout of UBFC's
DATASET_2; its first video is used. No TensorFlow, as in predict.
"""

import json
import pathlib
import tempfile
import time

import numpy as np

from rppg_tf import contract, run_directory
from rppg_tf.data import ubfc
from rppg_tf.errors import InputError
from rppg_tf.inference.int8_cnn import Int8SpatialCnn
from rppg_tf.video import mjpeg_writer
from rppg_tf.video.reader import VideoReader
from tools.benchmarks import process

_PREDICT = 'rppg_tf.predict'
# Machines are noisy: what the code can do is its best run.
_NUM_RUNS = 3
_INT8_FRAMES = 320
_JPEG_QUALITY = 95


def realtime(recordings_dir: pathlib.Path) -> dict:
  """The command on one video, after its start; the fastest of a few runs."""
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'out.json'
    runs = []
    for _ in range(_NUM_RUNS):
      done = process.run_well(
        _PREDICT, f'--video={_video(recordings_dir)}', f'--json={path}'
      )
      runs.append((json.loads(path.read_text()), done))
  result, done = max(runs, key=lambda run: run[0]['realtime_factor'])
  return {
    'predict_realtime_factor': result['realtime_factor'],
    'predict_frames_per_s': result['frames_per_s'],
    'predict_cpu_ms_per_frame': 1e3 * done.cpu_s / result['frames'],
  }


def startup(recordings_dir: pathlib.Path) -> dict:
  """The command on a video of one frame, from its start to its end.

  It ends as soon as the frame has been through the CNN and the compiled head:
  a heart rate needs 10 s, so that the exit code is 1.
  """
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'one_frame.avi'
    _write_first_frame(_video(recordings_dir), path)
    runs = [process.run(_PREDICT, f'--video={path}') for _ in range(_NUM_RUNS)]
  for done in runs:
    if f'a heart rate needs {contract.WINDOW_S} s' not in done.last_error:
      raise InputError(f'{_PREDICT} on one frame: {done.last_error}')
  return {'predict_startup_s': min(done.took_s for done in runs)}


def _write_first_frame(source: pathlib.Path, path: pathlib.Path) -> None:
  video = VideoReader(source)
  frame_bgr, _ = next(iter(video))
  height_px, width_px = frame_bgr.shape[:2]
  with mjpeg_writer.MjpgWriter(
    path, video.header_rate_hz, width_px, height_px, _JPEG_QUALITY
  ) as writer:
    writer.write(frame_bgr)


def int8() -> dict:
  """Video frames, three ROIs each, through the INT8 CNN on all cores."""
  cnn = Int8SpatialCnn(run_directory.PRETRAINED / run_directory.INT8_MODEL)
  shape = (_INT8_FRAMES, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)
  codes = np.random.default_rng(1).integers(-128, 128, shape, np.int8)
  cnn.frame_features(codes)
  start_s = time.perf_counter()
  cnn.frame_features(codes)
  took_s = time.perf_counter() - start_s
  return {'int8_frames_per_s': _INT8_FRAMES / took_s}


def _video(recordings_dir: pathlib.Path) -> pathlib.Path:
  (_, folder), *_ = ubfc.find_recordings(recordings_dir)
  return ubfc.find_video(folder)
