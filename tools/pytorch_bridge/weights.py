"""UltraLightRPPG's state_dict ↔ our spatial CNN and window head.

              PyTorch                        Keras
  Conv2d      (out, in, 3, 3), NCHW          (3, 3, in, out), NHWC
  BatchNorm   eps 1e-5, after a bias         eps 1e-3, no bias
  Conv1d      (out, in, 3), NCL              (3, in, out), NLC
  fc.0        (32, 16·T), channel by channel (T·16, 32), frame by frame

Batch norm is kept: its mean takes in the convolution's bias, its variance the
difference of the epsilons.
"""

from collections.abc import Mapping

import numpy as np

from rppg_tf import contract
from rppg_tf.errors import InputError
from rppg_tf.keras_compat import keras
from rppg_tf.model.spatial_cnn import CONV_CHANNELS, build_spatial_cnn
from rppg_tf.model.window_head import build_window_head

_TORCH_EPSILON = 1e-5
# Index in `spatial` of each convolution; its batch norm comes next.
_CONV_INDICES = (0, 4, 8)
_OPTIONAL_NAMES = {f'spatial.{index}.bias' for index in _CONV_INDICES}
_NORM_NAMES = ('weight', 'bias', 'running_mean', 'running_var')
_HEAD_LAYERS = {
  'temporal.0': 'conv1',
  'temporal.2': 'conv2',
  'fc.0': 'dense1',
  'fc.2': 'dense2',
}


def to_keras(
  state: Mapping[str, np.ndarray],
) -> tuple[keras.Model, keras.Model]:
  """Builds the Keras network of a state_dict.

  Args:
    state: arrays by name, as UltraLightRPPG names them; biases of spatial.0,
      4 and 8 and num_batches_tracked may be missing.

  Returns:
    Spatial CNN and window head of T frames, T as fc.0 has it.

  Raises:
    InputError: a name or a shape is another model's.
  """
  window = _check(state)
  cnn, head = build_spatial_cnn(), build_window_head(window)
  for number, index in enumerate(_CONV_INDICES, 1):
    kernel = state[f'spatial.{index}.weight']
    cnn.get_layer(f'conv{number}').set_weights([kernel.transpose(2, 3, 1, 0)])
    norm = cnn.get_layer(f'norm{number}')
    gamma, beta, mean, variance = (
      state[f'spatial.{index + 1}.{name}'].astype(np.float64)
      for name in _NORM_NAMES
    )
    mean = mean - state.get(f'spatial.{index}.bias', 0.0)
    variance = variance + _TORCH_EPSILON - norm.epsilon
    norm.set_weights([gamma, beta, mean, variance])
  for name, layer in _HEAD_LAYERS.items():
    kernel, bias = state[f'{name}.weight'], state[f'{name}.bias']
    if name == 'fc.0':
      kernel = kernel.reshape(len(kernel), -1, window)  # (32, 16, T)
      kernel = kernel.transpose(0, 2, 1).reshape(len(kernel), -1)
    head.get_layer(layer).set_weights([kernel.T, bias])
  return cnn, head


def from_keras(cnn: keras.Model, head: keras.Model) -> dict[str, np.ndarray]:
  """Returns the state_dict of a Keras network, as to_keras takes it.

  Args:
    cnn: of build_spatial_cnn; where batch norm is folded away, one that does
      nothing is put in its place.
    head: of build_window_head.

  Returns:
    float32 arrays by name (num_batches_tracked int64), every name of
    nn.Module.load_state_dict(strict=True); convolutions have a bias of 0.
  """
  state = {}
  for number, index in enumerate(_CONV_INDICES, 1):
    kernel, *folded_bias = cnn.get_layer(f'conv{number}').get_weights()
    zeros = np.zeros(kernel.shape[-1], np.float32)
    state[f'spatial.{index}.weight'] = kernel.transpose(3, 2, 0, 1)
    state[f'spatial.{index}.bias'] = zeros
    if folded_bias:
      weights = [zeros + 1, *folded_bias, zeros, zeros + 1 - _TORCH_EPSILON]
    else:
      norm = cnn.get_layer(f'norm{number}')
      *weights, variance = norm.get_weights()
      weights.append(
        variance.astype(np.float64) + norm.epsilon - _TORCH_EPSILON
      )
    for name, values in zip(_NORM_NAMES, weights, strict=True):
      state[f'spatial.{index + 1}.{name}'] = values.astype(np.float32)
    state[f'spatial.{index + 1}.num_batches_tracked'] = np.array(0)
  for name, layer in _HEAD_LAYERS.items():
    kernel, bias = head.get_layer(layer).get_weights()
    if name == 'fc.0':
      kernel = kernel.reshape(-1, contract.NUM_SPATIAL_FEATURES, len(bias))
      kernel = kernel.transpose(1, 0, 2).reshape(-1, len(bias))
    state[f'{name}.weight'], state[f'{name}.bias'] = kernel.T, bias
  return {name: np.ascontiguousarray(one) for name, one in state.items()}


def _check(state: Mapping[str, np.ndarray]) -> int:
  """Checks names and shapes; returns T."""
  expected = _expected_shapes()
  names = {name for name in state if not name.endswith('num_batches_tracked')}
  missing = sorted(required_names() - names)
  unexpected = sorted(names - expected.keys())
  if missing or unexpected:
    wrong = f'{missing[0]} missing' if missing else f'{unexpected[0]} not in it'
    raise InputError(f"not UltraLightRPPG's state_dict: {wrong}")
  columns = state['fc.0.weight'].shape[-1]
  window, rest = divmod(columns, contract.NUM_SPATIAL_FEATURES)
  expected['fc.0.weight'] = (32, columns)
  if rest or not window:
    raise InputError(
      "not UltraLightRPPG's state_dict: fc.0.weight: expected 16 columns a "
      f'frame, got {columns}'
    )
  for name in names:
    if state[name].shape != expected[name]:
      raise InputError(
        f"not UltraLightRPPG's state_dict: {name}: expected "
        f'{expected[name]}, got {state[name].shape}'
      )
    if not np.all(np.isfinite(state[name])):
      raise InputError(f'{name}: not all finite; the training diverged')
  return window


def required_names() -> set[str]:
  """Names without which a state_dict is not UltraLightRPPG's."""
  return _expected_shapes().keys() - _OPTIONAL_NAMES


def _expected_shapes() -> dict[str, tuple[int, ...]]:
  """Shapes by name, all but that of fc.0.weight, which depends on T."""
  shapes: dict[str, tuple[int, ...]] = {}
  inputs = contract.NUM_CHANNELS
  for index, outputs in zip(_CONV_INDICES, CONV_CHANNELS, strict=True):
    shapes[f'spatial.{index}.weight'] = (outputs, inputs, 3, 3)
    shapes[f'spatial.{index}.bias'] = (outputs,)
    for name in _NORM_NAMES:
      shapes[f'spatial.{index + 1}.{name}'] = (outputs,)
    inputs = outputs
  shapes |= {
    'temporal.0.weight': (32, contract.NUM_ROI_FEATURES, 3),
    'temporal.0.bias': (32,),
    'temporal.2.weight': (16, 32, 3),
    'temporal.2.bias': (16,),
    'fc.0.weight': (),
    'fc.0.bias': (32,),
    'fc.2.weight': (1, 32),
    'fc.2.bias': (1,),
  }
  return shapes
