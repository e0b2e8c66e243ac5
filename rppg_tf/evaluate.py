"""Errors of a run in BPM, beside the training-mean predictor.

  python -m rppg_tf.evaluate --run_dir=build/demo/run \
    --data_dir=build/demo/data

Over 10 s windows every 1 s of the test subjects, for every form of the model
that the run directory holds: float (`model`), INT8 CNN (`int8`), INT8 CNN and
C head (`int8_c`). Writes evaluation.json and windows.csv into the run.
"""

import csv
import io
import pathlib

from absl import flags

from rppg_tf import clips, evaluation, run_directory
from rppg_tf.compiled_head import CompiledHead
from rppg_tf.entry_point import InputError, run
from rppg_tf.int8_cnn import Int8SpatialCnn

_RUN_DIR = flags.DEFINE_string(
  'run_dir', None, 'Run of rppg_tf.train.', required=True
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Folder given to `tfds build --data_dir`.', required=True
)
_SPLIT = flags.DEFINE_enum(
  'split', 'test', ('train', 'validation', 'test'), 'Which subjects.'
)
_JSON = flags.DEFINE_string(
  'json', None, 'Where to write the errors; default RUN_DIR/evaluation.json.'
)


def main() -> None:
  """Evaluates, writes, prints the table."""
  run_dir = pathlib.Path(_RUN_DIR.value)
  values = run_directory.read_flags(run_dir)
  split = run_directory.read_json(run_dir / run_directory.SPLIT)
  subjects = split.get(_SPLIT.value)
  if not subjects:
    raise InputError(f'{run_dir}: its split {_SPLIT.value!r} has no subject')
  metrics = run_directory.read_json(run_dir / 'metrics.json')
  examples = clips.load_recordings(
    _DATA_DIR.value, values['roi_geometry'], subjects
  )
  estimators = run_estimators(run_dir)
  rows = evaluation.evaluate(
    examples.as_numpy_iterator(),
    values['background'],
    estimators,
    metrics['train_mean_bpm'],
  )
  names = [*estimators, 'train_mean']
  summaries = {name: evaluation.summarise(rows, name) for name in names}
  json_path = pathlib.Path(_JSON.value or run_dir / 'evaluation.json')
  run_directory.write_json(json_path, summaries)
  _write_csv(run_dir / 'windows.csv', rows)
  print(
    f'{_SPLIT.value}: {len(subjects)} subjects never trained on, 10 s '
    'windows every 1 s, BPM'
    if _SPLIT.value != 'train'
    else f'train: {len(subjects)} subjects that it was trained on, BPM'
  )
  print(evaluation.table(summaries))
  print(f'written: {json_path}, {run_dir / "windows.csv"}')


def run_estimators(run_dir: pathlib.Path) -> dict[str, evaluation.Estimator]:
  """Returns an estimator for each form of the model that is there."""
  quantisation = run_directory.input_quantisation(run_dir)
  estimators = {
    'model': evaluation.float_estimator(
      *run_directory.load_float(run_dir), quantisation
    )
  }
  if (run_dir / run_directory.INT8_MODEL).is_file():
    int8_cnn = Int8SpatialCnn(run_dir / run_directory.INT8_MODEL)
    estimators['int8'] = evaluation.int8_estimator(
      int8_cnn, run_directory.load_int8_head(run_dir)
    )
    if (run_dir / 'temporal_head.c').is_file():
      estimators['int8_c'] = evaluation.int8_c_estimator(
        int8_cnn, CompiledHead(run_dir)
      )
  return estimators


def _write_csv(path: pathlib.Path, rows: list[dict]) -> None:
  text = io.StringIO()
  writer = csv.DictWriter(text, rows[0].keys(), lineterminator='\n')
  writer.writeheader()
  writer.writerows(rows)
  run_directory.write_bytes(path, text.getvalue().encode())


if __name__ == '__main__':
  run(main)
