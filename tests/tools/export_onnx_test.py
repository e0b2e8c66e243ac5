"""ONNX files: what they are made of, and that they compute the same."""

import functools
import shutil

import numpy as np
import onnx
import pytest
import tensorflow_datasets as tfds

import tfds_ubfc
from rppg_tf import contract, files, run_directory
from rppg_tf.inference import estimators
from rppg_tf.inference.int8_cnn import Int8SpatialCnn
from rppg_tf.inference.pulse_stream import PulseStream
from rppg_tf.keras_compat import keras
from rppg_tf.model import loading, network
from rppg_tf.signals import background
from rppg_tf.synthesis import patches
from tests.support import (
  commands,
  converted_models,
  fake_recordings,
  int8_models,
)
from tools.onnx_export import comparison, spatial_cnn
from tools.onnx_export import graph as onnx_graph
from tools.onnx_export import head as onnx_head
from tools.tflite import reader

_CNN_OPERATORS = [
  *('Conv', 'Relu', 'MaxPool', 'Conv', 'Relu', 'MaxPool', 'Conv', 'Relu'),
  *('GlobalAveragePool', 'Reshape'),
]


@functools.cache
def _head(kind: str, **arguments) -> keras.Model:
  """A head whose biases are not all zero."""
  keras.utils.set_random_seed(5)
  head = network.build_head(kind, **arguments)
  rng = np.random.default_rng(5)
  head.set_weights(
    [
      weights if weights.ndim > 1 else rng.normal(0, 0.1, weights.shape)
      for weights in head.get_weights()
    ]
  )
  return head


def _qdq(content: bytes) -> bytes:
  return spatial_cnn.qdq_cnn(reader.read(content))


def _shapes(values) -> dict[str, tuple]:
  return {
    value.name: tuple(
      size.dim_value for size in value.type.tensor_type.shape.dim
    )
    for value in values
  }


@functools.cache
def _files() -> dict[str, bytes]:
  """Every form of file there is."""
  return {
    'float': spatial_cnn.float_cnn(int8_models.trained_cnn()),
    'qdq': _qdq(int8_models.shipped()),
    **onnx_head.head_files(_head('window'), 'window'),
    **onnx_head.head_files(_head('pulse'), 'pulse'),
  }


@pytest.mark.parametrize(
  'name', ['float', 'qdq', 'window.onnx', 'pulse.onnx', 'pulse_step.onnx']
)
def test_a_file_is_what_narrow_tools_take(name):
  model = onnx.load_from_string(_files()[name])
  onnx.checker.check_model(model, full_check=True)
  assert [(used.domain, used.version) for used in model.opset_import] == [
    ('', 17)
  ]
  assert model.ir_version == 8
  assert 'Identity' not in onnx_graph.operator_names(model)
  shapes = _shapes(
    [*model.graph.input, *model.graph.output, *model.graph.value_info]
  )
  written = {output for node in model.graph.node for output in node.output}
  assert written <= shapes.keys()
  for shape in shapes.values():
    assert len(shape) <= 4 and 0 not in shape
  assert all(value.name not in written for value in model.graph.initializer)


def test_the_cnn_is_nothing_but_its_operators():
  graph = onnx.load_from_string(_files()['float']).graph
  assert [node.op_type for node in graph.node] == _CNN_OPERATORS
  for name in ('float', 'qdq'):
    graph = onnx.load_from_string(_files()[name]).graph
    assert _shapes(graph.input) == {'image': (1, 3, 36, 36)}
    assert _shapes(graph.output) == {'features': (1, 16)}
  between = [
    node.op_type
    for node in graph.node
    if node.op_type not in ('QuantizeLinear', 'DequantizeLinear')
  ]
  assert between == _CNN_OPERATORS


def test_qdq_holds_the_numbers_of_the_tflite_file():
  content = int8_models.shipped()
  tflite = reader.read(content)
  graph = onnx.load_from_string(_qdq(content)).graph
  values = {
    value.name: onnx.numpy_helper.to_array(value) for value in graph.initializer
  }
  convs = [op for op in tflite.operators if op.name == 'CONV_2D']
  for number, operator in enumerate(convs, 1):
    _, kernel, bias = (tflite.input(operator, index) for index in range(3))
    codes = values[f'conv{number}_kernel_codes']
    assert codes.dtype == np.int8
    assert codes.transpose(0, 2, 3, 1).tobytes() == kernel.data
    assert tuple(values[f'conv{number}_kernel_scale']) == kernel.scales
    assert values[f'conv{number}_bias_codes'].dtype == np.int32
    assert values[f'conv{number}_bias_codes'].tobytes() == bias.data
    assert tuple(values[f'conv{number}_bias_scale']) == bias.scales
  for name, index in {'image': 4, 'conv1': 6, 'pool2': 10, 'mean': 13}.items():
    tensor = tflite.tensors[index]
    assert values[f'{name}_scale'] == np.float32(tensor.scales[0])
    assert values[f'{name}_zero_point'] == tensor.zero_points[0]


@pytest.mark.parametrize('mode', background.MODES)
def test_float_equals_keras(mode):
  # Sums of up to 288 products in another order: 1e-6 of the largest feature.
  cnn = int8_models.trained_cnn()
  quantisation = background.input_quantisation(mode)
  codes = comparison.random_codes(32)
  expected = estimators.float_features(cnn, quantisation, codes)
  opened = comparison.OnnxSpatialCnn(spatial_cnn.float_cnn(cnn), quantisation)
  found = opened.frame_features(codes)
  assert np.std(expected) > 0.1
  print(mode, np.max(np.abs(found - expected)), np.max(expected))
  np.testing.assert_allclose(found, expected, atol=2e-6 * np.max(expected))


@functools.cache
def _rendered() -> dict:
  source = patches.PatchSource(seed=4, duration_s=5)
  return patches.render_recording(source, 0)


@pytest.mark.parametrize('name', ['shipped', 'post_training'])
def test_qdq_equals_tflite(name, tmp_path):
  # Each rescaling is rounded twice in TFLite's fixed point and once in ONNX:
  # one code now and then, of which the last mean leaves one at most here.
  if name == 'shipped':
    mode, content = 'normalise', int8_models.shipped()
  else:
    mode, content = 'none', int8_models.post_training('none')
  (tmp_path / 'cnn.tflite').write_bytes(content)
  int8_cnn = Int8SpatialCnn(tmp_path / 'cnn.tflite')
  opened = comparison.OnnxSpatialCnn(
    _qdq(content), background.input_quantisation(mode)
  )
  rendered = estimators.with_codes(_rendered(), mode)['codes']
  for codes in (comparison.random_codes(32), rendered):
    assert np.std(int8_cnn.frame_features(codes)) > 5
    off = comparison.code_differences(int8_cnn, opened, codes)
    print(name, off.max(), np.mean(off))
    assert off.max() <= 1
    assert np.mean(off) < 0.1


@pytest.mark.parametrize(('window', 'stride'), [(8, 1), (5, 4), (1, 1)])
def test_the_window_head_equals_keras(window, stride):
  head = _head('window', window=window, frame_stride=stride)
  (content,) = onnx_head.head_files(head, 'head').values()
  for seed in range(5):
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 2, (window, 48)).astype(np.float32)
    found = comparison.head_differences(head, content, features)
    # Float32's sigmoid is off by 5e-7, that is 7.5e-5 BPM; Keras' is float64.
    print(found)
    assert found['heart_rate_bpm'] <= 1e-4
    assert found.keys() == {'heart_rate_bpm'}


def _features(num_samples: int) -> np.ndarray:
  return comparison.random_features(num_samples, contract.NUM_FRAME_FEATURES)


# Standardised features are some 3 wide, roundings of 300 terms 1e-6 of that;
# the logarithm of the spectrum and its convolutions bring 1e-4 BPM of them.
_TOLERANCES = {'pulse': 2e-5, 'heart_rate_bpm': 5e-4, 'confidence': 1e-5}


def _assert_within(differences: dict[str, float]) -> None:
  print(differences)
  assert differences.keys() == _TOLERANCES.keys()
  for name, limit in _TOLERANCES.items():
    assert differences[name] <= limit, name


@pytest.mark.parametrize(('offset', 'noise'), [(0, 0), (5, 0), (0, 0.5)])
def test_the_pulse_head_equals_keras_over_its_window(offset, noise):
  # With noise every rate has a share, and each wave matters.
  features = _features(300)
  features += np.random.default_rng(7).normal(offset, noise, features.shape)
  content = _files()['pulse.onnx']
  found = comparison.head_differences(_head('pulse'), content, features)
  _assert_within(found)


def test_the_pulse_head_equals_keras_sample_by_sample():
  head, features = _head('pulse'), _features(930)
  content = _files()['pulse_step.onnx']
  _assert_within(comparison.step_differences(head, content, features))
  stream = PulseStream.from_keras(head)
  expected = [stream.push(column) for column in features[:60]]
  found = comparison.head_stream(content, head, features[:60])
  np.testing.assert_allclose(found['pulse'], expected, atol=1e-5)


def test_the_same_model_gives_the_same_bytes():
  again = onnx_head.head_files(_head('pulse'), 'pulse')
  assert again['pulse.onnx'] == _files()['pulse.onnx']
  assert _qdq(int8_models.shipped()) == _files()['qdq']


def test_other_tflite_graphs_are_refused():
  graph = reader.read(converted_models.float_model())
  with pytest.raises(ValueError, match='expected the operators'):
    spatial_cnn.qdq_cnn(graph)


def _graph() -> onnx_graph.GraphBuilder:
  return onnx_graph.GraphBuilder('small', {'x': (1, 4)})


def test_graphs_that_tools_fail_on_are_refused():
  graph = _graph()
  graph.add('Identity', 'y', 'x')
  with pytest.raises(ValueError, match='expected operators'):
    graph.model({'y': (1, 4)}, '')
  graph = _graph()
  graph.reshape('wide', 'x', [1, 1, 1, 2, 2])
  graph.reshape('y', 'wide', [1, 4])
  with pytest.raises(ValueError, match='wide: expected a static shape'):
    graph.model({'y': (1, 4)}, '')
  graph = _graph()
  graph.add('NonZero', 'y', 'x')
  with pytest.raises(ValueError, match='small'):
    graph.model({'y': (2, 4)}, '')


@pytest.fixture
def run_dir(tmp_path):
  """The run that ships, tested on a subject of `_build`."""
  folder = tmp_path / 'run'
  shutil.copytree(run_directory.PRETRAINED, folder)
  split = {'train': [], 'validation': [], 'test': ['subject3']}
  files.write_json(folder / run_directory.SPLIT, split)
  return folder


def _build(folder) -> str:
  """Builds a data set of one recording of 11 s; returns its --data_dir."""
  fake_recordings.write_recording(folder / 'videos' / 'subject3', 330)
  download = tfds.download.DownloadConfig(manual_dir=folder / 'videos')
  builder = tfds_ubfc.Builder(data_dir=folder / 'data', config='inner')
  builder.download_and_prepare(download_config=download)
  return str(folder / 'data')


@pytest.mark.slow
def test_the_command_writes_and_compares(run_dir, tmp_path):
  done = commands.run(
    *('tools.export_onnx', f'--run_dir={run_dir}'),
    *(f'--output_dir={tmp_path / "onnx"}', f'--data_dir={_build(tmp_path)}'),
  )
  assert done.returncode == 0, done.stderr
  print(done.stdout)
  names = ['spatial_cnn.onnx', 'spatial_cnn_qdq.onnx']
  for head in ('head', 'int8_head'):
    names += [f'{head}.onnx', f'{head}_step.onnx']
  assert {path.name for path in (tmp_path / 'onnx').iterdir()} == set(names)
  for name in names:
    assert f'{name}: largest difference from' in done.stdout
  (said,) = (line for line in done.stdout.splitlines() if 'pulse of' in line)
  assert '1 test recordings' in said
  assert float(said.split()[-1]) >= 0.999


@pytest.mark.slow
def test_the_command_takes_a_window_head(run_dir):
  arguments = {'window': 6, 'frame_stride': 4}
  flags = {**run_directory.read_flags(run_dir), 'head': 'window', **arguments}
  files.write_json(run_dir / run_directory.FLAGS, flags)
  for name in (run_directory.HEAD_WEIGHTS, run_directory.INT8_HEAD_WEIGHTS):
    loading.save_weights(_head('window', **arguments), run_dir / name)
  words = ('tools.export_onnx', f'--run_dir={run_dir}')
  done = commands.run(*words, f'--data_dir={run_dir}')
  commands.assert_refused(done, 'the window head has none')
  assert not list(run_dir.glob('*.onnx'))
  assert 'int8_head.onnx' in commands.run_well(*words)
  assert len(list(run_dir.glob('*.onnx'))) == 4
  model = onnx.load(run_dir / 'head.onnx')
  assert _shapes(model.graph.input) == {'features': (1, 6, 48)}
  assert '6 frames on the 30 Hz grid, 4 samples apart' in model.doc_string


@pytest.mark.slow
def test_bad_runs_are_refused_and_nothing_is_written(run_dir, tmp_path):
  output = tmp_path / 'onnx'
  words = ('tools.export_onnx', f'--output_dir={output}')
  words += (f'--run_dir={run_dir}',)
  model = run_dir / run_directory.INT8_MODEL
  model.write_bytes(model.read_bytes()[:5000])
  done = commands.run(*words)
  commands.assert_refused(done, 'spatial_int8.tflite')
  model.unlink()
  done = commands.run(*words)
  commands.assert_refused(done, 'run `python -m tools.export_tflite`')
  assert not output.exists()


@pytest.mark.slow
def test_without_onnx_one_line_says_what_to_install(tmp_path, monkeypatch):
  # A package that is not there, as Python sees it.
  (tmp_path / 'sitecustomize.py').write_text(
    'import importlib.util as u\n'
    'real = u.find_spec\n'
    'def find_spec(name, *rest):\n'
    "  return None if name == 'onnx' else real(name, *rest)\n"
    'u.find_spec = find_spec\n'
  )
  monkeypatch.setenv('PYTHONPATH', str(tmp_path))
  done = commands.run_fresh('tools.export_onnx', f'--run_dir={tmp_path}')
  commands.assert_refused(done, 'pip install -e .[onnx]')
  assert len(done.stderr.strip().splitlines()) == 1
