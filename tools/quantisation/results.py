"""The comparison as figures: what comparison.json holds."""

import numpy as np
import pandas

from rppg_tf.evaluation import pulse_correlation, windows
from rppg_tf.model.spatial_cnn import fold_batch_norm
from rppg_tf.quantisation import calibration
from tools.quantisation import case as quantisation_case
from tools.quantisation import layers, report
from tools.quantisation.case import Case, Collected
from tools.quantisation.codes import Usage
from tools.quantisation.sweep import Trial

_DIFFERENCES = (('qat', 'ptq'), ('qat', 'float'), ('ptq', 'float'))
# ROI frames of test subjects over which the noise of layers is taken.
_NUM_NOISE_IMAGES = 512


def results(
  case: Case, trials: list[Trial], collected: Collected, raw: Collected | None
) -> dict:
  """Computes everything that is printed, plotted and written.

  Args:
    case: of the run, with float, ptq and qat.
    trials: of the sweep.
    collected: the case's estimators and the trials' on the test subjects.
    raw: a raw run's estimators on the same subjects.

  Returns:
    {test_subjects, forms, differences, files, noise_db, codes, sweep,
    raw_forms, verdict}, as JSON.
  """
  variants = _summaries(collected.rows, case.estimators)
  contents = {name: path.read_bytes() for name, path in case.files.items()}
  images = _noise_images(collected)
  return {
    'test_subjects': case.split['test'],
    'forms': variants,
    'differences': {
      f'{name}-{other}': quantisation_case.paired_difference(
        collected.rows, name, other
      )
      for name, other in _DIFFERENCES
    },
    'files': {name: _file(content) for name, content in contents.items()},
    'noise_db': _noise(case, contents, images),
    'codes': {
      name: used.as_json() for name, used in usage_of(collected, raw).items()
    },
    'sweep': _sweep(case, trials, collected, images),
    'raw_forms': raw and _summaries(raw.rows, ('float', 'ptq', 'qat')),
    'verdict': report.verdict(variants),
  }


def usage_of(collected: Collected, raw: Collected | None) -> dict[str, Usage]:
  """Returns how codes are used, by what uses them."""
  # The input's is the same of both.
  return {**(raw.usage if raw else {}), **collected.usage}


def _summaries(rows: pandas.DataFrame, names) -> dict[str, dict]:
  return {
    name: pulse_correlation.summarise(rows, name)
    for name in names
    if name in rows
  }


def _file(content: bytes) -> dict:
  return {
    'bytes': len(content),
    'weight_bytes': layers.num_weight_bytes(content),
    'layers': layers.describe(content),
  }


def _noise_images(collected: Collected) -> np.ndarray:
  """Draws ROI frames of test subjects, always the same ones."""
  num_images = min(_NUM_NOISE_IMAGES, len(collected.pool.codes))
  return calibration.at_random(collected.pool, num_images, 0)


def _noise(case: Case, contents: dict[str, bytes], images) -> dict:
  folded = fold_batch_norm(case.spatial_cnn)
  return {
    name: layers.noise_by_layer(
      content, folded, images, case.input_quantisation
    )
    for name, content in contents.items()
  }


def _sweep(case: Case, trials, collected: Collected, images) -> list[dict]:
  """Returns {num_images, draw, seed, mae_bpm, features_db} a trial."""
  exact = layers.float_outputs(
    fold_batch_norm(case.spatial_cnn),
    calibration.values(images, case.input_quantisation),
  )[-1]
  return [
    {
      'num_images': trial.num_images,
      'draw': trial.draw,
      'seed': trial.seed,
      'mae_bpm': windows.errors(collected.rows, trial.name)['mae_bpm'],
      'features_db': layers.signal_to_noise_db(
        exact, layers.int8_outputs(trial.content, images)[-1]
      ),
    }
    for trial in trials
  ]
