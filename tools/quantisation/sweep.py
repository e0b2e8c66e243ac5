"""PTQ with calibration sets of many sizes, drawn in two ways."""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
import tqdm

from rppg_tf.inference import estimates
from rppg_tf.inference import estimators as inference_estimators
from rppg_tf.inference.int8_cnn import Int8SpatialCnn
from rppg_tf.quantisation import calibration, convert
from tools.quantisation.case import Case

SIZES = (10, 30, 100, 300)
DRAWS: dict[str, Callable] = {
  'stratified': calibration.stratified,
  'random': calibration.at_random,
}


@dataclasses.dataclass(frozen=True)
class Trial:
  """One calibration set and the model that it gave.

  Attributes:
    num_images: ROI frames in the set.
    draw: one of DRAWS.
    seed: of the draw.
    content: the TFLite file.
  """

  num_images: int
  draw: str
  seed: int
  content: bytes

  @property
  def name(self) -> str:
    """How its estimator is called."""
    return f'{self.draw}_{self.num_images}_{self.seed}'


def trials(case: Case, num_seeds: int) -> list[Trial]:
  """Quantises the case's CNN with every size, draw and seed.

  Sizes beyond what the training recordings give are left out.
  """
  num_known = int(np.sum(np.isfinite(case.pool.heart_rate_bpm)))
  wanted = [
    (size, draw, seed)
    for size in SIZES
    if size <= num_known
    for draw in DRAWS
    for seed in range(num_seeds)
  ]
  return [
    Trial(
      size,
      draw,
      seed,
      convert.post_training(
        case.spatial_cnn,
        DRAWS[draw](case.pool, size, seed),
        case.input_quantisation,
      ),
    )
    for size, draw, seed in tqdm.tqdm(
      wanted, 'sweep', unit='model', disable=not wanted
    )
  ]


def estimators(
  case: Case, made: list[Trial], folder: pathlib.Path
) -> dict[str, estimates.Estimator]:
  """Returns an estimator a trial, all with the float model's head."""
  found = {}
  for trial in made:
    path = folder / f'{trial.name}.tflite'
    path.write_bytes(trial.content)
    found[trial.name] = inference_estimators.int8_estimator(
      Int8SpatialCnn(path, num_threads=1), case.head
    )
  return found


def by_size(results: list[dict]) -> list[dict]:
  """Puts the seeds of each size and draw together.

  Args:
    results: {num_images, draw, seed, mae_bpm, features_db} a trial.

  Returns:
    {num_images, draw, seeds, mae_bpm: [lowest, mean, highest], features_db:
    the same} for each size and draw, in order.
  """
  groups: dict[tuple, list[dict]] = {}
  for result in results:
    groups.setdefault((result['num_images'], result['draw']), []).append(result)
  return [
    {
      'num_images': num_images,
      'draw': draw,
      'seeds': len(members),
      **{
        name: _spread([member[name] for member in members])
        for name in ('mae_bpm', 'features_db')
      },
    }
    for (num_images, draw), members in groups.items()
  ]


def _spread(values: list[float]) -> list[float]:
  return [min(values), float(np.mean(values)), max(values)]
