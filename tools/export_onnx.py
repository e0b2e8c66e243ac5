"""Trained and quantised run → ONNX, for those whose tools want it.

  python -m tools.export_onnx --run_dir=build/demo/run
  python -m tools.export_onnx --run_dir=R --output_dir=O --data_dir=D

spatial_cnn.onnx       float [1, 3, 36, 36] → [1, 16], batch norm folded
spatial_cnn_qdq.onnx   the same with the int8 weights, scales and zero points
                       of the run's spatial_int8.tflite between the operators
head.onnx              what follows spatial_cnn.onnx
int8_head.onnx         what follows spatial_cnn_qdq.onnx
head_step.onnx, int8_head_step.onnx   a pulse head sample by sample

tools/onnx_export/spatial_cnn.py and tools/onnx_export/head.py have the layouts,
tools/onnx_export/graph.py the opset and why. Every file is run by onnxruntime
beside Keras or TFLite before any is written. With --data_dir the pulse of the
QDQ file is correlated with TFLite's on the run's test recordings.

For STM32N6 take spatial_int8.tflite (BUILD.md). Needs ONNX:
pip install -e .[onnx]
"""

import importlib.util
import pathlib

import numpy as np
from absl import flags

from rppg_tf import contract, run_directory
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from rppg_tf.files import read_json, write_bytes

_NUM_FRAMES = 64
_NUM_SAMPLES = 600

_RUN_DIR = flags.DEFINE_string(
  'run_dir', None, 'Run directory after tools.export_tflite.', required=True
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', None, 'Folder for the files; default: the run directory.'
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir',
  None,
  "Folder given to `tfds build --data_dir`: compares pulses on the run's test "
  'split.',
)


def main() -> None:
  """Builds all files, holds them against Keras and TFLite, writes them."""
  from rppg_tf.model import loading

  _check_onnx()
  run_dir = pathlib.Path(_RUN_DIR.value)
  if _DATA_DIR.value and run_directory.read_flags(run_dir)['head'] != 'pulse':
    raise InputError('--data_dir compares pulses; the window head has none')
  tflite = _tflite_graph(run_dir / run_directory.INT8_MODEL)
  from tools.onnx_export import head as onnx_head

  spatial_cnn, head = loading.load_float(run_dir)
  int8_head = loading.load_int8_head(run_dir)
  files = _cnn_files(run_dir, spatial_cnn, tflite)
  for name, built in (('head', head), ('int8_head', int8_head)):
    head_files = onnx_head.head_files(built, name)
    _compare_head(built, head_files)
    files |= head_files
  if _DATA_DIR.value:
    _compare_pulses(run_dir, files['spatial_cnn_qdq.onnx'], int8_head)
  _write(pathlib.Path(_OUTPUT_DIR.value or run_dir), files)


def _check_onnx() -> None:
  for package in ('onnx', 'onnxruntime'):
    if importlib.util.find_spec(package) is None:
      raise InputError(
        f'{package} is not installed; run `pip install -e .[onnx]`'
      )


def _tflite_graph(path: pathlib.Path):
  """Reads the INT8 model; before Keras, whose import takes seconds."""
  from tools.tflite import reader

  if not path.is_file():
    raise InputError(
      f'{path}: not there; run `python -m tools.export_tflite` first'
    )
  content = reader.load(path)
  try:
    return reader.read(content)
  except ValueError as error:
    raise InputError(f'{path}: {error}') from None


def _cnn_files(run_dir: pathlib.Path, spatial_cnn, tflite) -> dict[str, bytes]:
  """Builds both forms of the CNN and compares them on random ROI frames."""
  from rppg_tf.inference import estimators
  from rppg_tf.inference.int8_cnn import Int8SpatialCnn
  from tools.onnx_export import comparison
  from tools.onnx_export import spatial_cnn as onnx_spatial_cnn

  path = run_dir / run_directory.INT8_MODEL
  try:
    qdq = onnx_spatial_cnn.qdq_cnn(tflite)
  except ValueError as error:
    raise InputError(f'{path}: {error}') from None
  files = {
    'spatial_cnn.onnx': onnx_spatial_cnn.float_cnn(spatial_cnn),
    'spatial_cnn_qdq.onnx': qdq,
  }
  quantisation = run_directory.input_quantisation(run_dir)
  codes = comparison.random_codes(_NUM_FRAMES)
  opened = comparison.OnnxSpatialCnn(files['spatial_cnn.onnx'], quantisation)
  expected = estimators.float_features(spatial_cnn, quantisation, codes)
  difference = np.max(np.abs(opened.frame_features(codes) - expected))
  # As a share of the largest: features have no bound.
  difference = float(difference / max(np.max(expected), 1e-6))
  _report(
    'spatial_cnn.onnx',
    {'share of the largest feature': difference},
    comparison.MAX_FEATURE_DIFFERENCE,
  )
  int8_cnn = Int8SpatialCnn(path)
  opened = comparison.OnnxSpatialCnn(qdq, quantisation)
  off = comparison.code_differences(int8_cnn, opened, codes)
  differences = {
    'codes': float(off.max()),
    'share of features': np.mean(off > 0),
  }
  _report('spatial_cnn_qdq.onnx', differences, comparison.MAX_CODE_DIFFERENCE)
  return files


def _compare_head(head, files: dict[str, bytes]) -> None:
  """Compares a head's files with Keras on random features."""
  from tools.onnx_export import comparison

  features = comparison.random_features(_NUM_SAMPLES, head.input_shape[-1])
  for name, content in files.items():
    if name.endswith('_step.onnx'):
      found = comparison.step_differences(head, content, features)
    else:
      length = contract.WINDOW_SAMPLES
      if head.name == 'window_head':
        length = head.get_layer('windows').length
      found = comparison.head_differences(head, content, features[:length])
    _report(name, found, comparison.MAX_HEAD_DIFFERENCE)


def _report(name: str, differences: dict[str, float], limit: float) -> None:
  """Prints the largest differences; one above the limit is an InputError."""
  listed = ', '.join(f'{key} {off:.2g}' for key, off in differences.items())
  other = 'TFLite' if 'qdq' in name else 'Keras'
  if not all(off <= limit for off in differences.values()):
    raise InputError(
      f'{name}: onnxruntime differs from {other} by more than {limit:g} '
      f'({listed}); nothing written. Are weights finite, versions those of '
      'requirements-onnx.txt?'
    )
  print(f'{name}: largest difference from {other}: {listed}')


def _compare_pulses(run_dir: pathlib.Path, qdq: bytes, head) -> None:
  """Prints how the pulse by QDQ goes with TFLite's on the test split."""
  from rppg_tf.data import dataset
  from rppg_tf.inference.int8_cnn import Int8SpatialCnn
  from tools.onnx_export import comparison

  values = run_directory.read_flags(run_dir)
  split = read_json(run_dir / run_directory.SPLIT)
  examples = dataset.load_recordings(
    _DATA_DIR.value, values['roi_geometry'], split['test']
  )
  correlations = comparison.pulse_correlations(
    examples.as_numpy_iterator(),
    values['background'],
    head,
    Int8SpatialCnn(run_dir / run_directory.INT8_MODEL),
    comparison.OnnxSpatialCnn(qdq, run_directory.input_quantisation(run_dir)),
  )
  if not correlations:
    raise InputError(f'{_DATA_DIR.value}: no test recording of 10 s')
  print(
    'pulse of spatial_cnn_qdq.onnx against spatial_int8.tflite, '
    f'{len(correlations)} test recordings: r {np.mean(correlations):.5f}, '
    f'lowest {np.min(correlations):.5f}'
  )


def _write(folder: pathlib.Path, files: dict[str, bytes]) -> None:
  from tools.onnx_export import graph

  folder.mkdir(parents=True, exist_ok=True)
  for name, content in files.items():
    write_bytes(folder / name, content)
    print(
      f'written: {folder / name}, {len(content):,} bytes, opset {graph.OPSET}'
    )


if __name__ == '__main__':
  run(main)
