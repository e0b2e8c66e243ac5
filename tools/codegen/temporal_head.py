"""Keras head → its C source as text.

The C text is in temporal_head_templates.py and the heads' own templates; here
the head is checked against what that text computes, and its weights become
literals. Dimensions come from the weights; the output depends on nothing but
head, scale and zero point.
"""

import hashlib
from typing import NamedTuple

import numpy as np

from rppg_tf import contract, run_directory
from rppg_tf.keras_compat import keras
from rppg_tf.signals import pulse_constants
from rppg_tf.signals import spectrum as signals_spectrum
from tools.codegen import (
  pulse_head_templates,
  spectrum_tables,
  temporal_head_templates,
  window_head_templates,
)
from tools.codegen.literals import float32_bits, float_literal

_VALUES_PER_LINE = 5
_NUM_WAVES = 3  # of pulse_head.PulseWaves: pulse, POS, CHROM


class _Layer(NamedTuple):
  """What the C computes for a layer with weights, and its name there."""

  name: str
  c_name: str
  padding: str | None  # None: dense
  activation: str


class _Weights(NamedTuple):
  kernel: np.ndarray  # float32 [taps, inputs, outputs]
  bias: np.ndarray  # float32 [outputs]


_PULSE_LAYERS = (
  _Layer('pulse_conv1', 'pulse_conv1', 'causal', 'relu'),
  _Layer('pulse_conv2', 'pulse_conv2', 'causal', 'relu'),
  _Layer('pulse', 'pulse_conv3', 'causal', 'linear'),
  _Layer('rate_conv1', 'rate_conv1', 'same', 'relu'),
  _Layer('rate_conv2', 'rate_conv2', 'same', 'relu'),
  _Layer('rate_conv3', 'rate_conv3', 'same', 'linear'),
)
_WINDOW_LAYERS = (
  _Layer('conv1', 'conv1', 'same', 'relu'),
  _Layer('conv2', 'conv2', 'same', 'relu'),
  _Layer('dense1', 'dense1', None, 'relu'),
  _Layer('dense2', 'dense2', None, 'linear'),
)


def render_temporal_head(
  head: keras.Model, scale: float, zero_point: int
) -> dict[str, str]:
  """Renders a head as C99.

  Args:
    head: a model of build_pulse_head or build_window_head, told apart by its
      name.
    scale: what one step of an int8 feature stands for, > 0.
    zero_point: the int8 feature that stands for 0, in [-128, 127].

  Returns:
    {'temporal_head.h': text, 'temporal_head.c': text}.

  Raises:
    ValueError: head, scale or zero point is not one that the C computes.
  """
  if not (np.isfinite(np.float32(scale)) and np.float32(scale) > 0):
    raise ValueError(f'scale: expected a positive number, got {scale}')
  if not -128 <= zero_point <= 127:
    raise ValueError(f'zero_point: expected -128 to 127, got {zero_point}')
  if head.name == 'pulse_head':
    templates = pulse_head_templates
    values = _pulse_values(head)
  elif head.name == 'window_head':
    templates = window_head_templates
    values = _window_values(head)
  else:
    raise ValueError(
      f"head: expected 'pulse_head' or 'window_head', got {head.name!r}"
    )
  values |= {
    'outputs': templates.OUTPUTS,
    'num_roi_features': contract.NUM_ROI_FEATURES,
    'chrominance_scale': float_literal(contract.CHROMINANCE_SCALE),
    'features_per_roi': contract.NUM_SPATIAL_FEATURES,
    'grid_rate_hz': contract.GRID_RATE_HZ,
    'scale': float_literal(scale),
    'scale_bits': float32_bits(scale),
    'zero_point': int(zero_point),
  }
  weights_hash = _hash(values)
  values |= {'hash': weights_hash, 'weights_id': f'0x{weights_hash[:8]}u'}
  values['state'] = templates.STATE.substitute(values)
  source = temporal_head_templates.PROLOGUE.substitute(values)
  source += templates.BODY.substitute(values)
  header = temporal_head_templates.HEADER.substitute(values)
  return {
    run_directory.HEAD_HEADER: header,
    run_directory.HEAD_SOURCE: source,
  }


def _hash(values: dict) -> str:
  """Hashes all that reaches the C: dimensions, scale and every weight."""
  text = '\n'.join(f'{key}={values[key]}' for key in sorted(values))
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def _pulse_values(head: keras.Model) -> dict:
  """Checks a pulse head and returns what its templates need."""
  num_features = contract.NUM_FRAME_FEATURES
  weights = _checked_weights(head, _PULSE_LAYERS, num_features, ('rate_skip',))
  kernels = [kernel for kernel, _ in weights]
  _check_outputs('pulse', kernels[2])
  _check_outputs('rate_conv3', kernels[5])
  arrays = {
    **spectrum_tables.tables(),
    'part_hann': signals_spectrum.hann(pulse_constants.PART_SAMPLES),
    'rate_skip': _rate_skip(head),
  }
  history = sum(kernel.shape[0] * kernel.shape[1] for kernel in kernels[:3])
  samples = contract.WINDOW_SAMPLES * (1 + contract.NUM_CHROMINANCE)
  push_macs = sum(kernel.size for kernel in kernels[:3])
  rate_macs = sum(kernel.size for kernel in kernels[3:]) + _NUM_WAVES
  estimate_macs = _wave_macs() + contract.NUM_RATES * rate_macs
  return {
    'title': 'Pulse head: features to pulse wave to heart rate.',
    'is_pulse_head': 1,
    'num_features': num_features,
    'constants': _layer_constants(_PULSE_LAYERS, weights)
    + ''.join(_array(name, values) for name, values in arrays.items()),
    'state_bytes': 4 * (2 * num_features + history + samples + 5),
    'const_bytes': _num_bytes(weights)
    + sum(values.nbytes for values in arrays.values()),
    'cost': f'{push_macs} multiply-adds a push, {estimate_macs} an estimate.',
    **_pulse_numbers(),
    **_dimensions('pulse_conv', kernels[:3]),
    **_dimensions('rate_conv', kernels[3:]),
  }


def _rate_skip(head: keras.Model) -> np.ndarray:
  """Returns what each wave's spectrum weighs in the logits, float32 [3]."""
  (kernel,) = head.get_layer('rate_skip').get_weights()
  if kernel.shape != (1, _NUM_WAVES, 1):
    raise ValueError(
      f'rate_skip: expected a kernel {(1, _NUM_WAVES, 1)}, got {kernel.shape}'
    )
  return kernel.ravel()


def _wave_macs() -> int:
  """Returns the multiply-adds of an estimate up to the spectra.

  Of a wave of colour, in every part: square and Hann of two signals, then
  gain and Hann of their sum.
  """
  parts = (contract.WINDOW_SAMPLES - pulse_constants.PART_SAMPLES) // (
    pulse_constants.PART_STRIDE
  ) + 1
  colour = parts * pulse_constants.PART_SAMPLES * (2 * 2 + 2)
  spectrum = contract.NUM_RATES * spectrum_tables.num_thinned()
  spectrum += contract.WINDOW_SAMPLES * spectrum_tables.LOW_PASS_SPAN
  return (_NUM_WAVES - 1) * colour + _NUM_WAVES * spectrum


def _pulse_numbers() -> dict:
  """Returns the numbers of the pulse head that are not trained."""
  # Only the contract could break these: see take_stride and thin_out.
  stride = pulse_constants.PART_STRIDE
  assert pulse_constants.PART_SAMPLES % stride == 0
  assert contract.WINDOW_SAMPLES % stride == 0
  assert stride % spectrum_tables.THINNING == 0
  return {
    'window_samples': contract.WINDOW_SAMPLES,
    'min_bpm': contract.MIN_RATE_BPM,
    'max_bpm': contract.MAX_RATE_BPM,
    'num_chrominance': contract.NUM_CHROMINANCE,
    'num_waves': _NUM_WAVES,
    'thinning': spectrum_tables.THINNING,
    'low_pass_span': spectrum_tables.LOW_PASS_SPAN,
    'num_thinned': spectrum_tables.num_thinned(),
    'part_samples': pulse_constants.PART_SAMPLES,
    'part_stride': stride,
    'num_rates': contract.NUM_RATES,
    'rate_step_bpm': contract.RATE_STEP_BPM,
    'settled_weight': float_literal(pulse_constants.standardisation_weight()),
    'variance_floor': float_literal(pulse_constants.VARIANCE_FLOOR),
    'deviation_floor': float_literal(pulse_constants.DEVIATION_FLOOR),
    'power_floor': float_literal(pulse_constants.POWER_FLOOR),
    'mean_power_floor': float_literal(pulse_constants.MEAN_POWER_FLOOR),
    'confidence_limit_bpm': float_literal(
      pulse_constants.confidence_limit_bpm()
    ),
  }


def _window_values(head: keras.Model) -> dict:
  """Checks a window head and returns what its templates need."""
  windows = head.get_layer('windows')
  num_frames, stride = windows.length, windows.stride
  conv1, conv2, dense1, dense2 = _checked_weights(
    head, _WINDOW_LAYERS, contract.NUM_ROI_FEATURES
  )
  _check_outputs('dense2', dense2.kernel)
  channels = conv2.kernel.shape[2]
  # The frames are dense1's taps: the C never holds the flattened window.
  dense1 = _Weights(
    dense1.kernel.reshape(num_frames, channels, -1), dense1.bias
  )
  weights = [conv1, conv2, dense1, dense2]
  window_samples = (num_frames - 1) * stride + 1
  macs = num_frames * (conv1.kernel.size + conv2.kernel.size)
  macs += dense1.kernel.size + dense2.kernel.size
  min_bpm = contract.SEED_OUTPUT_MIN_BPM
  max_bpm = min_bpm + contract.SEED_OUTPUT_SPAN_BPM
  return {
    'title': f'Window head: {num_frames} feature frames to heart rate.',
    'is_pulse_head': 0,
    'num_features': contract.NUM_ROI_FEATURES,
    'window_samples': window_samples,
    'min_bpm': round(min_bpm),
    'max_bpm': round(max_bpm),
    'constants': _layer_constants(_WINDOW_LAYERS, weights),
    'state_bytes': 4 * (window_samples * contract.NUM_ROI_FEATURES + 2),
    'const_bytes': _num_bytes(weights),
    'cost': f'a push stores its column; {macs} multiply-adds an estimate.',
    'num_frames': num_frames,
    'frame_stride': stride,
    'dense1_channels': dense1.kernel.shape[2],
    'span_bpm': float_literal(contract.SEED_OUTPUT_SPAN_BPM),
    'lowest_bpm': float_literal(min_bpm),
    'highest_bpm': float_literal(max_bpm),
    **_dimensions('conv', [conv1.kernel, conv2.kernel]),
  }


def _dimensions(name: str, kernels: list[np.ndarray]) -> dict[str, int]:
  """Returns {'<name>1_taps': ..., '<name>1_channels': ..., ...}."""
  values = {}
  for number, kernel in enumerate(kernels, 1):
    values[f'{name}{number}_taps'] = kernel.shape[0]
    values[f'{name}{number}_channels'] = kernel.shape[2]
  return values


def _checked_weights(
  head: keras.Model,
  expected: tuple[_Layer, ...],
  num_features: int,
  other: tuple[str, ...] = (),
) -> list[_Weights]:
  """Returns the weights per layer, or says what the C does not compute."""
  found = [layer.name for layer in head.layers if layer.get_weights()]
  names = [layer.name for layer in expected]
  if found != [*names, *other]:
    raise ValueError(
      f'{head.name}: expected layers with weights {[*names, *other]}, got '
      f'{found}'
    )
  for layer in expected:
    _check_config(head.get_layer(layer.name).get_config(), layer)
  weights = []
  for name in names:
    kernel, bias = head.get_layer(name).get_weights()
    if kernel.ndim == 2:
      kernel = kernel[np.newaxis]
    weights.append(_Weights(kernel, bias))
  got = weights[0].kernel.shape[1]
  if got != num_features:
    raise ValueError(
      f'{names[0]}: expected {num_features} input features, got {got}'
    )
  return weights


def _check_config(config: dict, layer: _Layer) -> None:
  """Raises ValueError if Keras computes something else than the C."""
  expected = {'activation': layer.activation, 'use_bias': True}
  if layer.padding is not None:
    expected |= {
      'padding': layer.padding,
      'strides': (1,),
      'dilation_rate': (1,),
      'groups': 1,
    }
  got = {key: config.get(key) for key in expected}
  if got != expected:
    raise ValueError(f'{layer.name}: expected {expected}, got {got}')


def _check_outputs(name: str, kernel: np.ndarray) -> None:
  if kernel.shape[2] != 1:
    raise ValueError(f'{name}: expected 1 output, got {kernel.shape[2]}')


def _num_bytes(weights: list[_Weights]) -> int:
  return sum(kernel.nbytes + bias.nbytes for kernel, bias in weights)


def _layer_constants(
  layers: tuple[_Layer, ...], weights: list[_Weights]
) -> str:
  """Renders weights, bias and layer_t of every layer."""
  parts = []
  for layer, (kernel, bias) in zip(layers, weights, strict=True):
    name = layer.c_name
    taps, inputs, outputs = kernel.shape
    parts += [
      _array(f'{name}_weights', kernel),
      _array(f'{name}_bias', bias),
      f'static const layer_t {name} = {{\n'
      f'    {name}_weights, {name}_bias, {taps}, {inputs}, {outputs}}};\n\n',
    ]
  return ''.join(parts)


def _array(name: str, values: np.ndarray) -> str:
  literals = [float_literal(value) for value in values.ravel()]
  lines = [
    '    ' + ', '.join(literals[start : start + _VALUES_PER_LINE])
    for start in range(0, len(literals), _VALUES_PER_LINE)
  ]
  size = ' * '.join(str(length) for length in values.shape)
  text = ',\n'.join(lines)
  return f'static const float {name}[{size}] = {{\n{text}}};\n'
