"""A run's model as float, PTQ and QAT, run over the same recordings."""

import dataclasses
import pathlib
from collections.abc import Iterable

import numpy as np
import pandas
import tqdm

from rppg_tf import run_directory
from rppg_tf.data import dataset, pipeline
from rppg_tf.errors import InputError
from rppg_tf.evaluation import metrics, pulse_correlation, windows
from rppg_tf.files import read_json, write_bytes
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.inference import estimators as inference_estimators
from rppg_tf.inference.int8_cnn import Int8SpatialCnn
from rppg_tf.keras_compat import keras
from rppg_tf.model import loading
from rppg_tf.quantisation import calibration, convert
from rppg_tf.signals import background
from tools.quantisation.codes import Collector, Usage, mean_of_rois

PTQ_IMAGES = 100
_PTQ_SEED = 0


@dataclasses.dataclass(frozen=True)
class Case:
  """A run and what is made of it.

  Attributes:
    data_dir: the --data_dir of `tfds build`.
    roi_geometry: which dataset it reads.
    mode: what its input is, one of background.MODES.
    input_quantisation: (scale, zero_point) of its codes.
    split: subjects of train, validation and test.
    spatial_cnn, head: the float model.
    pool: ROI frames of the training subjects, to calibrate with.
    files: `ptq`, and `qat` where the run has been exported.
    estimators: float, ptq, qat.
  """

  data_dir: str
  roi_geometry: str
  mode: str
  input_quantisation: tuple[float, int]
  split: dict[str, list[str]]
  spatial_cnn: keras.Model
  head: keras.Model
  pool: calibration.Pool
  files: dict[str, pathlib.Path]
  estimators: dict[str, inference_estimates.Estimator]


def open_case(
  run_dir: pathlib.Path, data_dir: str, ptq_path: pathlib.Path
) -> Case:
  """Loads a run, quantises it after training.

  Args:
    run_dir: of rppg_tf.train.
    data_dir: the data that it was trained on.
    ptq_path: where the PTQ model is written.

  Raises:
    InputError: something is missing, or the data lack a subject of the run.
  """
  values = run_directory.read_flags(run_dir)
  split = read_json(run_dir / run_directory.SPLIT)
  _check_subjects(run_dir, data_dir, values['roi_geometry'], split)
  quantisation = run_directory.input_quantisation(run_dir)
  spatial_cnn, head = loading.load_float(run_dir)
  pool = training_pool(
    data_dir, values['roi_geometry'], split['train'], values['background']
  )
  chosen = calibration.stratified(pool, PTQ_IMAGES, _PTQ_SEED)
  write_bytes(
    ptq_path, convert.post_training(spatial_cnn, chosen, quantisation)
  )
  files = {'ptq': ptq_path}
  heads = {'ptq': head}
  if (run_dir / run_directory.INT8_MODEL).is_file():
    files['qat'] = run_dir / run_directory.INT8_MODEL
    heads['qat'] = loading.load_int8_head(run_dir)
  estimators = {
    'float': inference_estimators.float_estimator(
      spatial_cnn, head, quantisation
    )
  }
  for name, path in files.items():
    estimators[name] = inference_estimators.int8_estimator(
      Int8SpatialCnn(path), heads[name]
    )
  return Case(
    data_dir,
    values['roi_geometry'],
    values['background'],
    quantisation,
    split,
    spatial_cnn,
    head,
    pool,
    files,
    estimators,
  )


def _check_subjects(run_dir, data_dir, geometry: str, split: dict) -> None:
  """Refuses data other than those that the run was trained on."""
  by_split = dataset.subjects_by_split(data_dir, geometry)
  there = {name for names in by_split.values() for name in names}
  for part in ('train', 'test'):
    wanted = split.get(part, [])
    missing = sorted({*wanted} - there)
    if missing or not wanted:
      raise InputError(
        f'{data_dir}: holds {len(wanted) - len(missing)} of the '
        f'{len(wanted)} {part} subjects of {run_dir}; give the --data_dir '
        'that it was trained on'
      )
  if {*split['train']} & {*split['test']}:
    raise InputError(
      f'{run_dir}: tests people that it was trained on; compare on a run that '
      'was split by subject'
    )


def training_pool(
  data_dir: str, geometry: str, subjects: list[str], mode: str
) -> calibration.Pool:
  """Returns ROI frames of some subjects, as `mode` puts them in."""
  recordings = dataset.load_recordings(data_dir, geometry, subjects)
  prepared = pipeline.prepare(recordings, mode).as_numpy_iterator()
  return calibration.pool(
    tqdm.tqdm(prepared, 'calibration', len(subjects), unit='recording')
  )


@dataclasses.dataclass(frozen=True)
class Collected:
  """What a pass over the test recordings gives.

  Attributes:
    rows: of pulse_correlation.window_rows.
    usage: how each INT8 CNN uses its codes, by name.
    pool: ROI frames of the test subjects.
  """

  rows: pandas.DataFrame
  usage: dict[str, Usage]
  pool: calibration.Pool


def collect(
  examples: Iterable[dict],
  num_examples: int,
  mode: str,
  estimators: dict[str, inference_estimates.Estimator],
  int8_cnns: dict[str, tuple[Int8SpatialCnn, str]],
) -> Collected:
  """Runs every estimator and INT8 CNN over the recordings, once.

  Args:
    examples: recordings of tfds_ubfc as NumPy.
    num_examples: how many, for the progress bar.
    mode: what the estimators read, one of background.MODES.
    estimators: by name.
    int8_cnns: (CNN, what it reads) by name, for the usage of codes.
  """
  parts, thinned = [], []
  collectors = {name: Collector() for name in int8_cnns}
  collectors |= {f'input, {name}': Collector() for name in background.MODES}
  bar = tqdm.tqdm(examples, 'test', num_examples, unit='recording')
  for recording, estimates in windows.estimated(bar, mode, estimators):
    parts.append(pulse_correlation.window_rows(recording, estimates))
    thinned.append(calibration.pool([recording]))
    codes = {mode: recording['codes']}
    for name in background.MODES:
      if name != mode:
        codes[name] = background.input_codes(
          recording['frames'],
          recording['timestamp_s'],
          recording['face_found'],
          name,
        )
      collectors[f'input, {name}'].add(mean_of_rois(codes[name]), recording)
    for name, (int8_cnn, read) in int8_cnns.items():
      collectors[name].add(int8_cnn.frame_features(codes[read]), recording)
  return Collected(
    windows.joined(parts),
    {name: collector.usage() for name, collector in collectors.items()},
    calibration.joined(thinned),
  )


def paired_difference(rows: pandas.DataFrame, name: str, other: str) -> dict:
  """Compares two estimators window by window.

  Returns:
    {mae_difference_bpm: name's MAE minus other's, interval_bpm: [low, high],
    95 %, by bootstrap over subjects of that difference}.
  """
  difference_bpm = windows.absolute_error_bpm(
    rows, name
  ) - windows.absolute_error_bpm(rows, other)
  interval_bpm = metrics.bootstrap_mae_interval_bpm(
    difference_bpm, rows['subject'].to_numpy()
  )
  return {
    'mae_difference_bpm': float(np.mean(difference_bpm)),
    'interval_bpm': list(interval_bpm),
  }
