"""Predict at other frame rates: `make bench`."""

import numpy as np
import pytest

from rppg_tf import run_directory
from rppg_tf.data import ubfc
from rppg_tf.inference import backends, frame_batches
from rppg_tf.inference import meter as heart_rate
from rppg_tf.video.reader import VideoReader
from tests.support import bench_data

pytestmark = pytest.mark.bench

_MOST_BPM = 1.0


def test_other_frame_rates_read_what_the_30_hz_twin_reads():
  """Twins in all but the frames that were taken: of one video of 120 Hz."""
  print(f'\n\n| median BPM | {" | ".join(_CHOICES)} | largest difference |')
  print('|---' * (2 + len(_CHOICES)) + '|')
  differences = []
  for folder in bench_data.folders(bench_data.at_120_hz()):
    medians = [np.median(_rates_bpm(folder, c)) for c in _CHOICES.values()]
    differences.append(np.max(np.abs(np.subtract(medians, medians[0]))))
    cells = ' | '.join(f'{bpm:.2f}' for bpm in medians)
    print(f'| {folder.name} | {cells} | {differences[-1]:.2f} |', flush=True)
  assert max(differences) <= _MOST_BPM


def _at(rate_hz: float):
  """Chooses the frames taken next to the times of another rate."""

  def choose(time_s: np.ndarray) -> np.ndarray:
    wanted_s = np.arange(0, time_s[-1], 1 / rate_hz)
    return np.unique(np.searchsorted(time_s, wanted_s))

  return choose


def _varying(time_s: np.ndarray) -> np.ndarray:
  """Chooses frames 2 to 8 apart: 15 to 60 a second."""
  steps = np.random.default_rng(77).integers(2, 9, len(time_s))
  chosen = np.cumsum(steps)
  return chosen[chosen < len(time_s)]


_CHOICES = {
  '30 Hz': _at(30),
  '23 Hz': _at(23),
  '60 Hz': _at(60),
  '15 - 60 Hz, varying': _varying,
}


def _rates_bpm(folder, choose) -> list[float]:
  """What predict says of the frames chosen, at the times they were taken."""
  time_s = ubfc.parse_ground_truth(folder / ubfc.GROUND_TRUTH_NAME).timestamp_s
  chosen = set(choose(time_s).tolist())
  video = VideoReader(ubfc.find_video(folder))
  frames = (
    (frame, time_s[index])
    for index, (frame, _) in enumerate(video.stored())
    if index in chosen
  )
  run_dir = run_directory.PRETRAINED
  values = run_directory.read_flags(run_dir)
  meter = heart_rate.HeartRateMeter(
    backends.load_backend('int8', run_dir), heart_rate.read_threshold(run_dir)
  )
  for batch in frame_batches.cut_batches(
    frames, values['roi_geometry'], values['background'], 32, lambda _: None
  ):
    meter.push(batch)
  return [estimate.raw_bpm for estimate in meter.estimates]
