"""Compares float, PTQ and QAT of a run: everything of compare_qat_ptq."""

import pathlib
import tempfile

from rppg_tf import files, run_directory
from rppg_tf.data import dataset
from rppg_tf.errors import InputError
from rppg_tf.inference.int8_cnn import Int8SpatialCnn
from rppg_tf.quantisation import calibration, convert
from rppg_tf.signals import background
from tools.quantisation import case as quantisation_case
from tools.quantisation import plots, report, sweep
from tools.quantisation import results as quantisation_results
from tools.quantisation.case import Case, Collected

_RAW_SAME_WEIGHTS = 'raw, same weights'


def compare(
  run_dir: pathlib.Path,
  data_dir: str,
  output_dir: pathlib.Path,
  raw_run_dir: pathlib.Path | None,
  num_sweep_seeds: int,
) -> None:
  """Compares, writes comparison.json, ptq.tflite and plots, prints tables.

  Args:
    run_dir: of rppg_tf.train, exported.
    data_dir: the --data_dir that it was trained on.
    output_dir: where to write; made if it is not there.
    raw_run_dir: a run on the same data with --background=none.
    num_sweep_seeds: calibration sets of each size and draw; 0: no sweep.

  Raises:
    InputError: the runs or the data do not go together.
  """
  _check_runs(run_dir, raw_run_dir)
  output_dir.mkdir(parents=True, exist_ok=True)
  case = quantisation_case.open_case(
    run_dir, data_dir, output_dir / 'ptq.tflite'
  )
  trials = sweep.trials(case, num_sweep_seeds)
  with tempfile.TemporaryDirectory() as folder:
    scratch = pathlib.Path(folder)
    collected = _collect(case, trials, scratch)
    raw = _raw_variants(case, raw_run_dir, scratch) if raw_run_dir else None
  results = quantisation_results.results(case, trials, collected, raw)
  files.write_json(output_dir / 'comparison.json', results)
  usage = quantisation_results.usage_of(collected, raw)
  plots.write_all(output_dir, results, usage)
  print()
  print(report.text(results, usage))
  print(f'written: {output_dir}/comparison.json, ptq.tflite, *.png')
  print(results['verdict']['line'])


def _check_runs(run_dir: pathlib.Path, raw_run_dir: pathlib.Path | None):
  """Refuses runs that cannot be compared, before all the work."""
  mode = run_directory.read_flags(run_dir)['background']
  if not (run_dir / run_directory.INT8_MODEL).is_file():
    raise InputError(
      f'{run_dir}: no {run_directory.INT8_MODEL}; run `python -m '
      'tools.export_tflite` first'
    )
  if raw_run_dir is None:
    return
  raw_mode = run_directory.read_flags(raw_run_dir)['background']
  if (mode, raw_mode) != ('normalise', 'none'):
    raise InputError(
      f'--raw_run_dir wants a run of --background=none beside one of '
      f'normalise; got {raw_mode} beside {mode}'
    )


def _collect(case: Case, trials: list, scratch: pathlib.Path) -> Collected:
  """Runs everything that reads the case's input over its test subjects."""
  int8_cnns = {
    name: (Int8SpatialCnn(path), case.mode) for name, path in case.files.items()
  }
  if case.mode != 'none':
    path = scratch / 'raw.tflite'
    path.write_bytes(_raw_with_same_weights(case))
    int8_cnns[_RAW_SAME_WEIGHTS] = (Int8SpatialCnn(path), 'none')
  estimators = sweep.estimators(case, trials, scratch)
  return _over_test_subjects(
    case, case.mode, {**case.estimators, **estimators}, int8_cnns
  )


def _raw_with_same_weights(case: Case) -> bytes:
  """PTQ of the case's own CNN for raw pixels: it needs no raw run.

  Heart rates of it mean nothing; how far features move against how far they
  reach does: both come from the pixels.
  """
  geometry = case.roi_geometry
  pool = quantisation_case.training_pool(
    case.data_dir, geometry, case.split['train'], 'none'
  )
  codes = calibration.stratified(pool, quantisation_case.PTQ_IMAGES, 0)
  return convert.post_training(
    case.spatial_cnn, codes, background.input_quantisation('none')
  )


def _over_test_subjects(case, mode, estimators, int8_cnns) -> Collected:
  subjects = case.split['test']
  examples = dataset.load_recordings(case.data_dir, case.roi_geometry, subjects)
  return quantisation_case.collect(
    examples.as_numpy_iterator(), len(subjects), mode, estimators, int8_cnns
  )


def _raw_variants(
  case: Case, raw_dir: pathlib.Path, scratch: pathlib.Path
) -> Collected:
  """Runs the raw run's variants over the case's test subjects."""
  raw = quantisation_case.open_case(
    raw_dir, case.data_dir, scratch / 'raw_ptq.tflite'
  )
  seen = {*raw.split['train'], *raw.split.get('validation', [])}
  if seen & {*case.split['test']}:
    raise InputError(
      f'{raw_dir}: trained on test subjects of the other run; give runs of '
      'one split'
    )
  int8_cnns = {
    f'raw {name}': (Int8SpatialCnn(path), 'none')
    for name, path in raw.files.items()
  }
  return _over_test_subjects(case, 'none', raw.estimators, int8_cnns)
