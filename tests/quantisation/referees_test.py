"""The INT8 model before referees that nobody here wrote.

LiteRT's reference kernels, tflite-micro's interpreter, Arm's compiler vela.
"""

import pathlib
import re
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from rppg_tf.inference.int8_cnn import Int8SpatialCnn
from rppg_tf.signals import background
from rppg_tf.synthesis import patches
from tests.support import int8_models
from tests.support.referees import venv

pytestmark = pytest.mark.slow

_PEER = pathlib.Path(venv.__file__).with_name('tflite_micro_peer.py')
_MODELS = {
  'shipped': int8_models.shipped,
  'aware': int8_models.aware,
  'post_training': int8_models.post_training,
}


@pytest.fixture(scope='module')
def inputs():
  """int8 [10000, 36, 36, 3]: every ROI frame of 20 s of rendered skin, as it
  is, mirrored, upside down and both; extremes; noise. Shuffled.
  """
  source = patches.PatchSource(seed=71, without=frozenset({'pulse_less'}))
  read = patches.render_recording(source, 0)
  codes = background.input_codes(
    read['frames'], read['timestamp_s'], read['face_found']
  )
  real = codes.reshape(-1, 36, 36, 3)
  assert len(real) >= 3 * 20 * 20
  assert real.std() > 1
  turned = [real, real[:, ::-1], real[:, :, ::-1], real[:, ::-1, ::-1]]
  extremes = np.zeros((3, 36, 36, 3), np.int8)
  extremes[1], extremes[2] = -128, 127
  known = np.concatenate([extremes, *turned])
  rng = np.random.default_rng(1)
  noise = rng.integers(-128, 128, (10_000 - len(known), 36, 36, 3), np.int8)
  return rng.permutation(np.concatenate([known, noise]))


def _reference_kernels(path: pathlib.Path, codes: np.ndarray) -> np.ndarray:
  """LiteRT's reference kernels: no optimised ones, no XNNPACK."""
  interpreter = Interpreter(
    str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
  )
  interpreter.allocate_tensors()
  (read,), (written,) = (
    interpreter.get_input_details(),
    interpreter.get_output_details(),
  )
  features = np.empty((len(codes), 16), np.int8)
  for index in range(len(codes)):
    interpreter.set_tensor(read['index'], codes[index : index + 1])
    interpreter.invoke()
    features[index] = interpreter.get_tensor(written['index'])[0]
  return features


def _features(model: bytes, codes: np.ndarray, folder) -> dict:
  """What each of the three makes of the codes, int8 [n, 16]."""
  path = folder / 'model.tflite'
  path.write_bytes(model)
  np.save(folder / 'codes.npy', codes)
  paths = [path, folder / 'codes.npy', folder / 'micro.npy']
  micro = subprocess.Popen([venv.python(), _PEER, *paths])
  found = {
    'reference': _reference_kernels(path, codes),
    # As evaluate and predict run it: three ROIs a frame.
    'host': Int8SpatialCnn(path).frame_features(codes).reshape(-1, 16),
  }
  assert micro.wait(timeout=600) == 0
  return {**found, 'micro': np.load(folder / 'micro.npy')}


@pytest.mark.parametrize(
  ('name', 'num_inputs'),
  [
    ('shipped', 900),
    pytest.param('shipped', 10_000, marks=pytest.mark.bench),
    ('aware', 300),
    ('post_training', 300),
  ],
)
def test_not_one_byte_differs(name, num_inputs, inputs, tmp_path):
  codes = inputs[: num_inputs // 3 * 3]
  features = _features(_MODELS[name](), codes, tmp_path)
  reference = features['reference']
  # Not all the same: there is something to agree on.
  assert np.count_nonzero(reference.std(axis=0)) >= 8
  assert np.count_nonzero(features['micro'] != reference) == 0
  assert np.count_nonzero(features['host'] != reference) == 0


def _vela(folder: pathlib.Path, model: bytes, accelerator: str) -> str:
  """What vela prints of a model."""
  (folder / 'model.tflite').write_bytes(model)
  done = subprocess.run(
    [
      *(venv.python(), '-m', 'ethosu.vela', folder / 'model.tflite'),
      *('--accelerator-config', accelerator, '--output-dir', folder),
    ],
    capture_output=True,
    text=True,
    check=True,
  )
  return done.stdout


@pytest.mark.parametrize(
  ('name', 'accelerator'),
  [
    *((name, 'ethos-u55-128') for name in _MODELS),
    ('shipped', 'ethos-u65-256'),
  ],
)
def test_vela_leaves_nothing_to_the_cpu(name, accelerator, tmp_path):
  said = _vela(tmp_path, _MODELS[name](), accelerator)
  assert 'CPU operators = 0 (0.0%)' in said
  (num_npu,) = re.findall(r'NPU operators = (\d+) \(100.0%\)', said)
  assert int(num_npu) >= 6


def test_what_vela_would_leave_to_the_cpu_shows(tmp_path):
  """The check above can fail: float convolutions are no NPU's work."""
  converter = tf.lite.TFLiteConverter.from_keras_model(
    int8_models.trained_cnn()
  )
  said = _vela(tmp_path, converter.convert(), 'ethos-u55-128')
  assert 'CPU operators = 0 (0.0%)' not in said
