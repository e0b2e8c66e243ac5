"""What has no pulse must not be reported as one: `make bench`.

Still photographs, walls, noise and faces without a pulse, as ROI patches: no
face detector stands in between.
"""

import numpy as np
import pytest

from rppg_tf import contract, files, run_directory
from rppg_tf.data import recordings
from rppg_tf.evaluation import runs, windows
from rppg_tf.inference import estimators as inference_estimators
from tests.support import bench_data

pytestmark = pytest.mark.bench

_NUM_CLIPS = 20
_NUM_FRAMES = 20 * contract.GRID_RATE_HZ
_PATCHES = (contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)
_VARIANTS = {'model': 'float', 'int8_c': 'INT8 + C head'}


def test_nothing_without_a_pulse_is_reported():
  threshold = files.read_json(
    run_directory.PRETRAINED / run_directory.CONFIDENCE
  )['threshold']
  variants = runs.run_estimators(run_directory.PRETRAINED)
  estimators = {shown: variants[name] for name, shown in _VARIANTS.items()}
  heads = ' | '.join(f'{shown} reports | highest' for shown in estimators)
  print(f'\n\nthreshold {threshold:.3f}\n')
  print(f'| input | clips | estimates | {heads} |')
  print('|---' * (3 + 2 * len(estimators)) + '|')
  reported = {}
  for kind, clips in _kinds().items():
    values = _confidences(clips, estimators)
    cells = [f'{len(clips)}', f'{next(iter(values.values())).size}']
    for shown, found in values.items():
      reported[kind, shown] = int(np.sum(found >= threshold))
      cells += [f'{reported[kind, shown]}', f'{found.max():.3f}']
    print(f'| {kind} | {" | ".join(cells)} |', flush=True)
  assert not any(reported.values()), reported


def _confidences(clips, estimators) -> dict[str, np.ndarray]:
  mode = run_directory.read_flags(run_directory.PRETRAINED)['background']
  found = {shown: [] for shown in estimators}
  for clip in clips:
    recording = inference_estimators.with_codes(clip, mode)
    for shown, estimator in estimators.items():
      estimate = estimator(recording)
      unknown = np.full(len(estimate.heart_rate_bpm), np.nan, np.float32)
      columns = windows.estimator_columns('', estimate, unknown)
      found[shown].append(columns['_confidence'])
  return {shown: np.concatenate(values) for shown, values in found.items()}


def _kinds() -> dict[str, list[tuple]]:
  """Clips by kind, as far as they are examples of tfds_ubfc."""
  cut = [
    recordings.read_recording(folder)
    for folder in bench_data.folders(bench_data.without_pulse())
  ]
  random = np.random.default_rng(77)
  photographs = [r['frames'][len(r['frames']) // 2] for r in cut[:_NUM_CLIPS]]
  return {
    'still photograph': [_with_noise(p, random) for p in photographs],
    'wall': [_with_noise(_wall(random), random) for _ in range(_NUM_CLIPS)],
    'noise': [_noise(random) for _ in range(_NUM_CLIPS)],
    'face without pulse, normal motion': cut[:_NUM_CLIPS],
    'face without pulse, strong motion': cut[_NUM_CLIPS:],
  }


def _clip(frames: np.ndarray) -> dict:
  """Patches at 30 frames/s; the mid face has their mean colour."""
  return {
    'frames': frames,
    'mid_face_rgb': frames.mean((1, 2, 3), np.float32),
    'timestamp_s': np.arange(len(frames)) / contract.GRID_RATE_HZ,
    'face_found': np.ones(len(frames), bool),
  }


def _with_noise(patches: np.ndarray, random) -> dict:
  """A picture that stands still before a sensor, [3, 36, 36, 3]."""
  deviation = random.uniform(0.3, 2.0)
  noise = random.normal(0, deviation, (_NUM_FRAMES, *_PATCHES))
  return _clip(np.clip(np.rint(patches + noise), 0, 255).astype(np.uint8))


def _wall(random) -> np.ndarray:
  """A plain colour that gets brighter towards one side."""
  colour = random.uniform(40, 220, 3)
  slope = random.uniform(-0.2, 0.2, 2)
  y, x = np.mgrid[: contract.ROI_SIZE_PX, : contract.ROI_SIZE_PX]
  shade = 1 + (slope[0] * x + slope[1] * y) / contract.ROI_SIZE_PX
  return np.broadcast_to(shade[..., np.newaxis] * colour, _PATCHES)


def _noise(random) -> dict:
  return _clip(random.integers(0, 256, (_NUM_FRAMES, *_PATCHES), np.uint8))
