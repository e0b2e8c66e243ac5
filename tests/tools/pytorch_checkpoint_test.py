"""Checkpoints as PyTorch users save them: the same weights out of each."""

import argparse
import collections
import json
import os
import pathlib
import struct
import sys
import types
import zipfile

import numpy as np
import pytest
import torch

from rppg_tf.errors import InputError
from tools.pytorch_bridge import checkpoint, weights
from tools.pytorch_bridge.ultralight_rppg import UltraLightRPPG


@pytest.fixture(scope='module')
def model():
  torch.manual_seed(1)
  return UltraLightRPPG().eval()


def _prefixed(model, prefix):
  state = model.state_dict()
  return collections.OrderedDict((prefix + name, state[name]) for name in state)


def _adam(model):
  optimiser = torch.optim.Adam(model.parameters())
  model(torch.rand(2, 8, 3, 36, 36, 3)).sum().backward()
  optimiser.step()
  return optimiser.state_dict()


class _Settings:
  """A class of the user's, which the reader does not have."""

  def __init__(self):
    self.rate = 1e-3
    self.window = np.float64(8)


def _lightning(model):
  return {
    'epoch': 7,
    'pytorch-lightning_version': '2.5.0',
    'state_dict': _prefixed(model, 'model.')
    | {'loss.weight': torch.ones(3), 'model_scale': torch.ones(1)},
    'optimizer_states': [_adam(UltraLightRPPG())],
    'callbacks': {'ModelCheckpoint': {'best': np.float64(2.5)}},
    'hyper_parameters': {
      'args': argparse.Namespace(lr=1e-3, out=pathlib.Path('runs')),
      'settings': _Settings(),
    },
  }


# What is saved of a model, and where the weights are found in it.
_WAYS = {
  'bare': (lambda model: model.state_dict(), ''),
  'state_dict': (
    lambda model: {'state_dict': model.state_dict()},
    'state_dict',
  ),
  'model': (lambda model: {'model': dict(model.state_dict())}, 'model'),
  'list': (lambda model: [model.state_dict(), {'lr': 1}], '0'),
  'nested': (
    lambda model: {'state': {'net': model.state_dict()}, 'step': 1},
    'state.net',
  ),
  'optimiser': (
    lambda model: {
      'model_state_dict': model.state_dict(),
      'optimizer_state_dict': _adam(UltraLightRPPG()),
      'args': argparse.Namespace(lr=1e-3),
      'best': np.float64(2.5),
    },
    'model_state_dict',
  ),
  'data_parallel': (lambda model: _prefixed(model, 'module.'), 'module'),
  'compiled': (lambda model: _prefixed(model, '_orig_mod.'), '_orig_mod'),
  'both': (
    lambda model: {'net': _prefixed(model, '_orig_mod.module.')},
    'net._orig_mod.module',
  ),
  'averaged': (
    lambda model: torch.optim.swa_utils.AveragedModel(model).state_dict(),
    'module',
  ),
  'lightning': (_lightning, 'state_dict.model'),
  'parameters': (
    lambda model: {
      name: torch.nn.Parameter(tensor, requires_grad=False)
      for name, tensor in model.state_dict().items()
    },
    '',
  ),
}


def _check(state, model, tolerance=0.0):
  expected = model.state_dict()
  assert state.arrays.keys() == expected.keys()
  for name, found in state.arrays.items():
    assert found.dtype == np.float32, name
    np.testing.assert_allclose(
      found, expected[name].numpy(), rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize('way', _WAYS)
@pytest.mark.parametrize('suffix', ['.pth', '.legacy.pth.tar'])
def test_the_weights_are_found(tmp_path, model, way, suffix):
  content, place = _WAYS[way]
  path = tmp_path / f'best{suffix}'
  is_legacy = suffix != '.pth'
  torch.save(content(model), path, _use_new_zipfile_serialization=not is_legacy)
  if is_legacy and way in ('optimiser', 'lightning'):
    # Names of classes in so old a file cannot be listed.
    with pytest.raises(InputError, match=r'more than tensors \(.*\) and could'):
      checkpoint.read_state(path)
    return
  state = checkpoint.read_state(path)
  assert state.place == place
  _check(state, model)
  assert state.num_left_out == {'averaged': 1, 'lightning': 2}.get(way, 0)


@pytest.mark.parametrize(
  ('dtype', 'tolerance'),
  [(torch.float16, 1e-3), (torch.bfloat16, 8e-3), (torch.float64, 0.0)],
)
def test_other_floats_are_converted(tmp_path, model, dtype, tolerance):
  state = {
    name: tensor.to(dtype) if tensor.is_floating_point() else tensor
    for name, tensor in model.state_dict().items()
  }
  torch.save(state, tmp_path / 'half.pth')
  _check(checkpoint.read_state(tmp_path / 'half.pth'), model, tolerance)


@pytest.mark.parametrize('is_zip', [True, False])
def test_tensors_of_a_gpu_are_read(tmp_path, model, monkeypatch, is_zip):
  monkeypatch.setattr(
    torch.serialization, 'location_tag', lambda storage: 'cuda:1'
  )
  path = tmp_path / 'gpu.pth'
  torch.save(model.state_dict(), path, _use_new_zipfile_serialization=is_zip)
  assert b'cuda:1' in path.read_bytes()
  _check(checkpoint.read_state(path), model)


def test_safetensors_are_read(tmp_path, model):
  safetensors_torch = pytest.importorskip('safetensors.torch')
  path = tmp_path / 'model.safetensors'
  safetensors_torch.save_file(_prefixed(model, 'module.'), path)
  state = checkpoint.read_state(path)
  assert state.place == 'module'
  _check(state, model)
  path.write_bytes(path.read_bytes()[:100])
  with pytest.raises(InputError, match=r'model.safetensors: cannot be read \('):
    checkpoint.read_state(path)
  header = json.dumps(
    {'x': {'dtype': 'F32', 'shape': [9], 'data_offsets': [0, 4]}}
  )
  path.write_bytes(struct.pack('<Q', len(header)) + header.encode() + bytes(4))
  with pytest.raises(InputError, match=r'model.safetensors: cannot be read \('):
    checkpoint.read_state(path)


def test_one_of_several_is_chosen(tmp_path, model):
  torch.manual_seed(2)
  average = UltraLightRPPG()
  path = tmp_path / 'ema.pth'
  torch.save(
    {'model': model.state_dict(), 'ema': _prefixed(average, 'module.')}, path
  )
  message = "ema.pth: weights at 'model', 'ema.module'; choose one by --state"
  for place in (None, 'nowhere'):
    with pytest.raises(InputError, match=message):
      checkpoint.read_state(path, place)
  _check(checkpoint.read_state(path, 'model'), model)
  _check(checkpoint.read_state(path, 'ema.module'), average)


class _Malicious:
  """Makes a file where it is unpickled."""

  def __init__(self, path):
    self._path = path

  def __reduce__(self):
    return (open, (str(self._path), 'w'))


class _Worse(_Malicious):
  def __reduce__(self):
    return (os.system, (f'touch {self._path}',))


@pytest.mark.parametrize('kind', [_Malicious, _Worse])
@pytest.mark.parametrize('is_zip', [True, False])
def test_nothing_is_run(tmp_path, model, kind, is_zip):
  """Beside the weights, in their place, and as the whole file."""
  bad = kind(tmp_path / 'was_run')
  state = model.state_dict()
  for number, content in enumerate(
    ({'model': state, 'args': bad}, state | {'fc.2.bias': bad}, bad, [bad])
  ):
    path = tmp_path / f'{number}.pth'
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    if is_zip and number == 0 and kind is _Malicious:
      _check(checkpoint.read_state(path), model)
    else:
      with pytest.raises(InputError) as caught:
        read = checkpoint.read_state(path)
        if number == 1:
          weights.to_keras(read.arrays)
      assert '\n' not in str(caught.value)
    assert not (tmp_path / 'was_run').exists()


def _whole_model(path, model):
  torch.save(torch.nn.DataParallel(model), path)


def _in_checkpoint(path, model):
  torch.save({'epoch': 3, 'model': model}, path)


def _of_another_module(path, model):
  """Whose module is not there when it is read."""
  del model
  module = types.ModuleType('their_models')
  exec('import torch\nclass Net(torch.nn.Linear): pass', module.__dict__)
  sys.modules['their_models'] = module
  try:
    torch.save(module.Net(3, 4), path)
  finally:
    del sys.modules['their_models']


def _script(path, model):
  torch.jit.save(torch.jit.trace(model, torch.rand(1, 8, 3, 36, 36, 3)), path)


def _archive(path, model):
  del model
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('a/readme.txt', 'no tensors')


def _quantised(path, model):
  state = model.state_dict()
  kernel = torch.quantize_per_tensor(state['fc.0.weight'], 0.1, 0, torch.qint8)
  torch.save(state | {'fc.0.weight': kernel}, path)


def _cut_legacy(path, model):
  torch.save(model.state_dict(), path, _use_new_zipfile_serialization=False)
  path.write_bytes(path.read_bytes()[:-2000])


@pytest.mark.parametrize(
  ('write', 'message'),
  [
    (_whole_model, r'a whole model \(torch.nn.parallel.data_parallel.DataPara'),
    (
      _in_checkpoint,
      r'a whole model \(tools.pytorch_bridge.ultralight_rppg.UltraLightRPPG\)',
    ),
    (_of_another_module, r'a whole model \(their_models.Net\) was pickled'),
    (
      _script,
      r'a TorchScript program, which is not run; in PyTorch, torch.sav',
    ),
    (_archive, 'a zip archive, but not of torch.save'),
    (_quantised, 'fc.0.weight: expected a plain tensor of real numbers, got'),
    (_cut_legacy, r'cannot be read \('),
    (lambda path, model: path.mkdir(), 'a folder; give a file of torch.save'),
    (lambda path, model: path.write_text('#'), 'not a whole file of torch.s'),
  ],
)
@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_what_is_no_checkpoint_is_named(tmp_path, model, write, message):
  path = tmp_path / 'their.pth'
  write(path, model)
  with pytest.raises(InputError, match=message) as caught:
    checkpoint.read_state(path)
  assert str(caught.value).startswith(f'{path}: ')
  assert '\n' not in str(caught.value)
