"""best_model.pth ↔ a run directory: the same estimates on both sides."""

import json
import re

import numpy as np
import pytest
import torch

from rppg_tf import files, run_directory
from rppg_tf.errors import InputError
from tests.support import commands, pytorch_files
from tools.pytorch_bridge import checkpoint, recordings, weights
from tools.pytorch_bridge import file as pytorch_file
from tools.pytorch_bridge import run as pytorch_run
from tools.pytorch_bridge.ultralight_rppg import UltraLightRPPG

pytestmark = pytest.mark.slow

_TOOL = 'tools.import_pytorch'
# A step of float32 at 100 BPM is 7.6e-6, above 128 BPM 1.5e-5.
_TOLERANCE_BPM = 2e-5


def _trained(conv_bias: bool, window: int = 8, steps: int = 6):
  """A model that has seen some windows; its batch norm is not trivial."""
  torch.manual_seed(window + conv_bias)
  model = UltraLightRPPG(window, conv_bias)
  frames = torch.from_numpy(pytorch_run.random_frames(64, seed=3)) / 255
  windows = frames.unfold(0, window, 4).moveaxis(-1, 1)
  target = 60 + 60 * windows.mean(dim=(1, 2, 3, 4, 5))
  optimiser = torch.optim.Adam(model.parameters(), 2e-3)
  for step in range(steps):
    chosen = slice(step % 3 * 4, step % 3 * 4 + 4)
    loss = (model(windows[chosen]) - target[chosen]).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
  return model.eval()


def _state(model) -> dict[str, np.ndarray]:
  return {
    name: tensor.detach().numpy() for name, tensor in model.state_dict().items()
  }


@pytest.fixture(scope='module')
def work(tmp_path_factory):
  """A build to calibrate on, a checkpoint, and the run made of it."""
  work = tmp_path_factory.mktemp('work')
  samples, labels, _ = pytorch_files.windows(2)
  pytorch_files.save(work / 'w.pt', samples, labels)
  file = pytorch_file.WindowFile(work / 'w.pt')
  found = recordings.find(file, None)
  recordings.write(file, found, 30.0, work / 'data', 'original')
  state = _trained(True).state_dict()
  torch.save({'model_state_dict': state, 'epoch': 7}, work / 'best_model.pth')
  done = commands.run(
    *(_TOOL, 'weights', '--pth', work / 'best_model.pth'),
    *(f'--run_dir={work / "run"}', f'--data_dir={work / "data"}'),
  )
  assert done.returncode == 0, done.stderr
  (work / 'said').write_text(done.stdout)
  return work


def _largest_bpm(said: str) -> float:
  """What the command printed of 1,000 windows."""
  (found,) = re.findall(r'1,000 random windows: .* at most (\S+) BPM', said)
  return float(found)


def test_a_run_estimates_what_pytorch_does(work):
  said = (work / 'said').read_text()
  assert _largest_bpm(said) <= _TOLERANCE_BPM
  print(said)
  assert 'may have seen those of the test split' in said
  flags = run_directory.read_flags(work / 'run')
  assert (flags['head'], flags['window']) == ('window', 8)
  assert flags['background'] == 'none'
  metrics = files.read_json(work / 'run' / 'metrics.json')
  assert metrics['parameters']['total'] == 20_257


def test_and_back_again(work):
  done = commands.run(
    *(_TOOL, 'export-weights', f'--run_dir={work / "run"}'),
    f'--pth={work / "back.pth"}',
  )
  assert done.returncode == 0, done.stderr
  assert _largest_bpm(done.stdout) <= _TOLERANCE_BPM
  model = UltraLightRPPG()
  model.load_state_dict(
    torch.load(work / 'back.pth', weights_only=True), strict=True
  )
  frames = pytorch_run.random_frames(40, seed=9)
  before = checkpoint.read_state(work / 'best_model.pth').arrays
  np.testing.assert_allclose(
    pytorch_run.pytorch_bpm(_state(model), frames),
    pytorch_run.pytorch_bpm(before, frames),
    atol=_TOLERANCE_BPM,
  )


@pytest.mark.parametrize(('conv_bias', 'window'), [(False, 8), (True, 5)])
def test_other_forms_of_the_model(conv_bias, window):
  state = _state(_trained(conv_bias, window))
  cnn, head = weights.to_keras(state)
  frames = pytorch_run.random_frames(60)
  expected = pytorch_run.pytorch_bpm(state, frames)
  assert len(expected) == 61 - window and np.ptp(expected) > 0.1
  found = pytorch_run.keras_bpm(cnn, head, frames)
  np.testing.assert_allclose(found, expected, atol=_TOLERANCE_BPM)
  assert head.get_layer('windows').length == window


def test_folded_batch_norm_goes_back_too():
  from rppg_tf.model.spatial_cnn import fold_batch_norm

  cnn, head = weights.to_keras(_state(_trained(True)))
  state = weights.from_keras(fold_batch_norm(cnn), head)
  frames = pytorch_run.random_frames(60)
  np.testing.assert_allclose(
    pytorch_run.pytorch_bpm(state, frames),
    pytorch_run.keras_bpm(cnn, head, frames),
    atol=_TOLERANCE_BPM,
  )


def test_int8_and_c_go_on_from_there(work):
  flags = (f'--run_dir={work / "run"}', f'--data_dir={work / "data"}')
  last = commands.run_well(
    'tools.export_tflite', *flags, '--epochs=1', '--batch_size=1'
  )
  assert 'INT8 validation MAE' in last and 'nan' not in last
  commands.run_well(
    'tools.emit_temporal_head', flags[0], f'--output_dir={work / "run"}'
  )
  commands.run_well('rppg_tf.evaluate', *flags)
  found = json.loads((work / 'run' / 'evaluation.json').read_text())
  print({name: found[name]['mae_bpm'] for name in ('model', 'int8', 'int8_c')})
  # The C head is as near to Keras' as that of a model trained here.
  difference = found['int8_c']['mae_bpm'] - found['int8']['mae_bpm']
  assert abs(difference) <= 1.6e-5


def test_bad_weights_are_refused_and_nothing_is_written(work, tmp_path):
  state = _trained(True, steps=1).state_dict()
  other = torch.nn.Sequential(torch.nn.Linear(3, 4)).state_dict()
  wide = state | {'temporal.0.weight': torch.zeros(64, 48, 3)}
  odd = state | {'fc.0.weight': torch.zeros(32, 100)}
  lost = {name: value for name, value in state.items() if name != 'fc.2.bias'}
  nan = state | {'fc.2.bias': torch.tensor([torch.nan])}
  cases = {
    'other': (other, 'fc.0.bias missing'),
    'more': (state | other, '0.bias not in it'),
    'wide': (wide, 'temporal.0.weight: expected (32, 48, 3)'),
    'odd': (odd, 'expected 16 columns a frame, got 100'),
    'lost': (lost, 'fc.2.bias missing'),
    'nan': (nan, 'fc.2.bias: not all finite'),
    'scalar': (state['fc.2.bias'], 'expected a state_dict'),
    'none': ({'epoch': 3, 'args': []}, 'got a dictionary of epoch, args'),
    'truncated': (state, 'not a whole file of torch.save'),
  }
  for name, (content, part) in cases.items():
    path = tmp_path / f'{name}.pth'
    torch.save(content, path)
    if name == 'truncated':
      path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError) as caught:
      pytorch_run.import_weights(
        path, tmp_path / 'run', str(work / 'data'), 'original'
      )
    assert part in str(caught.value) and '\n' not in str(caught.value)
  assert not (tmp_path / 'run').exists()
  done = commands.run(
    *(_TOOL, 'weights', f'--pth={tmp_path / "other.pth"}'),
    *(f'--run_dir={tmp_path / "run"}', f'--data_dir={work / "data"}'),
  )
  commands.assert_refused(done, "not UltraLightRPPG's state_dict")
  assert not (tmp_path / 'run').exists()


def test_what_is_in_the_way_or_has_no_such_head_is_refused(work, tmp_path):
  with pytest.raises(InputError, match='already there'):
    pytorch_run.import_weights(
      work / 'best_model.pth', tmp_path, str(work / 'data'), 'original'
    )
  with pytest.raises(InputError, match='has the pulse head'):
    pytorch_run.export_weights(run_directory.PRETRAINED, tmp_path / 'w.pth')
  assert not list(tmp_path.iterdir())
