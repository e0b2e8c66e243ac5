"""Models as teachers: what they say of each frame of a recording.

A run directory of ours reads recordings as rppg_tf.evaluate does. A Keras or
TFLite file is taken for UltraLightRPPG's form: float32 windows (batch, T, 3,
36, 36, 3) of RGB patches in [0, 1] → BPM (batch, 1).
"""

import importlib
import json
import pathlib
import zipfile
from collections.abc import Callable

import h5py
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from rppg_tf import contract, run_directory
from rppg_tf.distillation.table import Track, at_times
from rppg_tf.errors import InputError
from rppg_tf.inference import estimators
from rppg_tf.keras_compat import keras, tf
from rppg_tf.model import loading
from rppg_tf.model.pulse_head import build_pulse_head
from rppg_tf.signals import chrominance, resampling

SUFFIXES = ('.keras', '.h5', '.tflite')
_PATCHES = (contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)
_EXPECTED = 'expected float32 (batch, T, 3, 36, 36, 3) to (batch, 1)'
_BATCH = 32
# Grid samples between two looks at 10 s; in between is interpolated.
_STRIDE = 6

# Takes an example of tfds_ubfc as NumPy.
Predictor = Callable[[dict], Track]
# float32 windows [n, T, 3, 36, 36, 3], n of any size → BPM float32 [n].
WindowModel = Callable[[np.ndarray], np.ndarray]


def run_predictor(run_dir: pathlib.Path) -> Predictor:
  """Returns a run's float model as a teacher.

  A track has a row for each frame: heart_rate_bpm (NaN where half a window
  does not fit), features (48 of the CNN) and, of the pulse head, pulse and
  rate_probability.
  """
  values = run_directory.read_flags(run_dir)
  quantisation = run_directory.input_quantisation(run_dir)
  spatial_cnn, head = loading.load_float(run_dir)
  if values['head'] == 'pulse':
    dense = build_pulse_head(_STRIDE, **loading.head_arguments(values))
    dense.set_weights(head.get_weights())
    head, first, stride = dense, contract.WINDOW_SAMPLES // 2, _STRIDE
  else:
    first, stride = values['window'] // 2 * values['frame_stride'], 1
  encode = tf.function(spatial_cnn, reduce_retracing=True)

  def predict(example):
    recording = estimators.with_codes(example, values['background'])
    features = estimators.float_features(
      encode, quantisation, recording['codes']
    )
    outputs = _head_outputs(
      head,
      chrominance.append(features, recording['chrominance']),
      example['timestamp_s'],
    )
    columns = _at_frames(outputs, first, stride, example['timestamp_s'])
    return Track(example['timestamp_s'], columns | {'features': features})

  return predict


def _head_outputs(head, features, timestamp_s) -> dict[str, np.ndarray]:
  """evaluation.head_outputs; of less than a window, no estimate."""
  _, newer, _ = resampling.grid_positions(timestamp_s)
  if head.name == 'pulse_head' and len(newer) < contract.WINDOW_SAMPLES:
    return {
      'heart_rate_bpm': np.zeros(0, np.float32),
      'rate_probability': np.zeros((0, contract.NUM_RATES), np.float32),
      'pulse': np.zeros(len(newer), np.float32),
    }
  return estimators.head_outputs(head, features, timestamp_s)


def _at_frames(outputs, first: int, stride: int, timestamp_s) -> dict:
  """Brings a head's outputs from the grid to the frames.

  Args:
    outputs: of the head.
    first: the grid sample that is the middle of the first window.
    stride: grid samples from one window to the next.
    timestamp_s: float64 [frames].
  """
  num_windows = len(outputs['heart_rate_bpm'])
  samples = first + stride * np.arange(num_windows)
  middle_s = timestamp_s[0] + samples / contract.GRID_RATE_HZ
  names = ('heart_rate_bpm', 'rate_probability')
  columns = {
    name: at_times(outputs[name], middle_s, timestamp_s)
    for name in names
    if name in outputs
  }
  if 'pulse' in outputs:
    pulse = outputs['pulse']
    grid_s = timestamp_s[0] + np.arange(len(pulse)) / contract.GRID_RATE_HZ
    columns['pulse'] = at_times(pulse, grid_s, timestamp_s)
  return columns


def file_predictor(path: pathlib.Path) -> Predictor:
  """Returns a Keras or TFLite file as a teacher.

  A track has a row for each frame, heart_rate_bpm alone: that of the T
  consecutive frames of which it is number T // 2, counted from 0, as
  UltraLightRPPG labels them.

  Raises:
    InputError: not such a model.
  """
  load = _tflite_model if path.suffix == '.tflite' else _keras_model
  model, num_frames = load(path)

  def predict(example):
    frames = example['frames']
    rates = np.full(len(frames), np.nan, np.float32)
    if len(frames) >= num_frames:
      windows = np.lib.stride_tricks.sliding_window_view(frames, num_frames, 0)
      windows = np.moveaxis(windows, -1, 1)  # [n, T, 3, 36, 36, 3], a view
      parts = [
        model(windows[start : start + _BATCH].astype(np.float32) / 255)
        for start in range(0, len(windows), _BATCH)
      ]
      rates[num_frames // 2 :][: len(windows)] = np.concatenate(parts)
      if not np.all(np.isfinite(rates[num_frames // 2 :][: len(windows)])):
        raise InputError(
          f'{path}: not finite for {example["subject"].decode()}'
        )
    return Track(example['timestamp_s'], {'heart_rate_bpm': rates})

  return predict


def _check_shapes(path, dtype: str, taken: list, given: list) -> int:
  """Checks the shapes of all inputs and outputs; returns T."""
  expected_end = _PATCHES
  fits = (
    dtype == 'float32'
    and len(taken) == len(given) == 1
    and len(taken[0]) == 6
    and tuple(taken[0][2:]) == expected_end
    and isinstance(taken[0][1], int)
    and taken[0][1] >= 1
    and tuple(given[0][1:]) == (1,)
  )
  if not fits:
    shapes = ' and '.join(map(str, map(tuple, taken)))
    ends = ' and '.join(map(str, map(tuple, given)))
    raise InputError(f'{path}: {_EXPECTED}, got {dtype} {shapes} to {ends}')
  return taken[0][1]


def _keras_model(path: pathlib.Path) -> tuple[WindowModel, int]:
  """Loads by the Keras that saved the file: 2 (tf_keras) or 3."""
  version, config = _keras_config(path)
  if _holds_lambda(config):
    raise InputError(
      f'{path}: has a Lambda layer, which is code: not run; save the model '
      'without, or as .tflite'
    )
  package = keras if version.startswith('2.') else _keras3()
  try:
    model = package.models.load_model(path, compile=False, safe_mode=True)
  except (ValueError, TypeError, OSError, KeyError, AttributeError) as error:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    raise InputError(
      f'{path}: Keras {package.__version__} cannot load it ({reason})'
    ) from None
  taken = [tuple(tensor.shape) for tensor in model.inputs]
  given = [tuple(tensor.shape) for tensor in model.outputs]
  dtype = tf.as_dtype(model.inputs[0].dtype).name
  num_frames = _check_shapes(path, dtype, taken, given)
  call = tf.function(
    lambda windows: model(windows, training=False), reduce_retracing=True
  )
  return _in_batches(
    lambda windows: call(tf.constant(windows)).numpy(), taken[0][0] or _BATCH
  ), num_frames


def _keras3():
  # Only here: all that is trained is Keras 2, which tfmot needs.
  return importlib.import_module('keras')


def _keras_config(path: pathlib.Path) -> tuple[str, object]:
  """Returns the version of Keras that saved a file, and what it saved."""
  try:
    if zipfile.is_zipfile(path):
      with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.read('metadata.json'))
        return metadata['keras_version'], json.loads(
          archive.read('config.json')
        )
    with h5py.File(path) as file:
      config = json.loads(file.attrs['model_config'])
      return str(file.attrs['keras_version']), config
  except (OSError, KeyError, ValueError, zipfile.BadZipFile):
    raise InputError(
      f'{path}: not a whole Keras model; save it by model.save, not '
      'save_weights'
    ) from None


def _holds_lambda(config) -> bool:
  """Whether a saved configuration has a Lambda layer at any depth."""
  if isinstance(config, dict):
    return config.get('class_name') == 'Lambda' or any(
      map(_holds_lambda, config.values())
    )
  return isinstance(config, list) and any(map(_holds_lambda, config))


def _tflite_model(path: pathlib.Path) -> tuple[WindowModel, int]:
  try:
    interpreter = Interpreter(model_content=path.read_bytes(), num_threads=2)
    interpreter.allocate_tensors()
  except (ValueError, RuntimeError) as error:
    reason = (str(error).splitlines() or ['damaged'])[0][:200]
    raise InputError(f'{path}: no TFLite model ({reason})') from None
  inputs = interpreter.get_input_details()
  outputs = interpreter.get_output_details()
  num_frames = _check_shapes(
    path,
    np.dtype(inputs[0]['dtype']).name,
    [detail['shape_signature'].tolist() for detail in inputs],
    [detail['shape_signature'].tolist() for detail in outputs],
  )
  batch = int(inputs[0]['shape'][0])

  def call(windows):
    interpreter.set_tensor(inputs[0]['index'], windows)
    interpreter.invoke()
    return interpreter.get_tensor(outputs[0]['index'])

  return _in_batches(call, batch), num_frames


def _in_batches(call: Callable, batch: int) -> WindowModel:
  """Makes a model of batches of one size a model of any number of windows."""

  def model(windows):
    parts = []
    for start in range(0, len(windows), batch):
      part = windows[start : start + batch]
      padding = [(0, batch - len(part)), *[(0, 0)] * (part.ndim - 1)]
      parts.append(call(np.pad(part, padding))[: len(part), 0])
    return np.concatenate(parts)

  return model
