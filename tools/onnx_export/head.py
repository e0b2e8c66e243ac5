"""The heads as ONNX, in float32, every shape static.

window head   `features` [1, T, 48] → `heart_rate_bpm` [1, 1]. The T frames of
  one window, frame_stride grid samples apart.

pulse head    `features` [1, 300, 52] → `pulse` [1, 300], `heart_rate_bpm`
  [1, 1], `confidence` [1, 1]: the first 10 s of a recording at once. The
  running standardisation begins with the first sample, and so do the causal
  convolutions: what Keras computes of these 300 samples alone.

pulse step    the same head one sample at a time, as the board runs it, for
  recordings of any length. `features` [1, 52] and the state → `pulse` [1, 1],
  `heart_rate_bpm`, `confidence` [1, 1] and the next state: each input of STATE
  comes out as `next_` and its name. All zeros at the start; before 300 samples
  have been seen, the heart rate means nothing.

A graph cannot stream without its state being handed round: whoever runs the
first pulse graph over later windows begins the standardisation anew, 2.5 s of
settling included; that is what the step is for.
"""

import numpy as np

from rppg_tf import contract
from rppg_tf.keras_compat import keras
from rppg_tf.signals import pulse_constants, spectrum
from tools.onnx_export.graph import GraphBuilder

_SAMPLES = contract.WINDOW_SAMPLES
_FEATURES = contract.NUM_FRAME_FEATURES
_PAST = pulse_constants.KERNEL_SIZE - 1
_ESTIMATE = {'heart_rate_bpm': (1, 1), 'confidence': (1, 1)}


def head_files(head: keras.Model, name: str) -> dict[str, bytes]:
  """Builds the ONNX files of a head.

  Args:
    head: of build_pulse_head or build_window_head.
    name: what the files are called, without ending.

  Returns:
    {'<name>.onnx': file} and, of a pulse head, '<name>_step.onnx'.
  """
  if head.name == 'window_head':
    return {f'{name}.onnx': window_head(head)}
  return {
    f'{name}.onnx': pulse_window(head),
    f'{name}_step.onnx': pulse_step(head),
  }


def window_head(head: keras.Model) -> bytes:
  """Builds the window head, float32 [1, T, 48] → [1, 1] BPM."""
  length = head.get_layer('windows').length
  shape = (1, length, contract.NUM_ROI_FEATURES)
  graph = GraphBuilder('window_head', {'features': shape})
  x = graph.add('Transpose', 'by_feature', 'features', perm=[0, 2, 1])
  for name in ('conv1', 'conv2'):
    x = _conv(graph, head, name, x, (1, 1), relu=True)  # [1, 32 or 16, T]
  x = graph.add('Transpose', 'by_frame', x, perm=[0, 2, 1])
  x = graph.reshape('flatten', x, [1, -1])  # [1, T * 16], frame by frame
  for name in ('dense1', 'dense2'):
    kernel, bias = head.get_layer(name).get_weights()
    kernel = graph.floats(f'{name}_kernel', kernel)
    x = graph.add('Gemm', name, x, kernel, graph.floats(f'{name}_bias', bias))
    if name == 'dense1':
      x = graph.add('Relu', 'dense1_relu', x)
  x = graph.add('Sigmoid', 'share', x)
  span = graph.floats('span_bpm', contract.SEED_OUTPUT_SPAN_BPM)
  lowest = graph.floats('lowest_bpm', contract.SEED_OUTPUT_MIN_BPM)
  x = graph.add('Mul', 'above_lowest', x, span)
  graph.add('Add', 'heart_rate_bpm', x, lowest)
  stride = head.get_layer('windows').stride
  return graph.model(
    {'heart_rate_bpm': (1, 1)},
    f'features: {length} frames on the 30 Hz grid, {stride} samples apart, '
    'feature 16 * roi + channel.',
  )


def pulse_window(head: keras.Model) -> bytes:
  """Builds the pulse head over the first 10 s, float32 [1, 300, 52] in."""
  graph = GraphBuilder('pulse_head', {'features': (1, _SAMPLES, _FEATURES)})
  x = _standardise_window(graph)
  x = graph.add('Transpose', 'by_feature', x, perm=[0, 2, 1])  # [1, 52, 300]
  for name in pulse_constants.PULSE_LAYERS:
    x = _conv(graph, head, name, x, (_PAST, 0), relu=name != 'pulse')
  # [1, 1, 300]
  graph.reshape('pulse', x, [1, _SAMPLES])
  colour = graph.cut(
    'chrominance', 'features', contract.NUM_ROI_FEATURES, _FEATURES, 2
  )
  colour = graph.add('Transpose', 'colour', colour, perm=[0, 2, 1])
  _estimate(graph, head, graph.add('Concat', 'samples', x, colour, axis=1))
  return graph.model(
    {'pulse': (1, _SAMPLES), **_ESTIMATE},
    'features: the first 10 s of a recording on the 30 Hz grid, feature '
    '16 * roi + channel, then chrominance.',
  )


def _standardise_window(graph: GraphBuilder) -> str:
  """RunningStandardisation of 300 samples; returns [1, 300, 52].

  With as many samples as are known beforehand, y[t] = keep[t] * y[t-1] + u[t]
  is a product with a triangular matrix.
  """
  weight = np.maximum(
    pulse_constants.standardisation_weight(),
    np.float32(1) / np.arange(1, _SAMPLES + 1, dtype=np.float32),
  )[:, np.newaxis]
  keep = np.float32(1) - weight
  reach = graph.floats('reach', _recursion(keep[:, 0].astype(np.float64)))
  first = graph.cut('first_sample', 'features', 0, 1, 1)
  x = graph.add('Sub', 'centred', 'features', first)
  new = graph.add('Mul', 'new', x, graph.floats('weight', weight))
  mean = graph.add('MatMul', 'mean', reach, new)
  before = graph.cut('before', mean, 0, _SAMPLES - 1, 1)
  before = graph.add(
    'Pad', 'mean_before', before, graph.integers('pads', [0, 1, 0, 0, 0, 0])
  )
  away = graph.add('Sub', 'away', x, before)
  square = graph.add('Mul', 'square', away, away)
  share = graph.floats('square_weight', keep * weight)
  variance = graph.add(
    'MatMul', 'variance', reach, graph.add('Mul', 'new_square', square, share)
  )
  return _standardise(graph, x, mean, variance)


def _recursion(keep: np.ndarray) -> np.ndarray:
  """Returns float64 [n, n]: what y[t] holds of the update at s <= t."""
  reach = np.zeros((len(keep), len(keep)))
  for t in range(len(keep)):
    if t:
      reach[t] = keep[t] * reach[t - 1]
    reach[t, t] = 1
  return reach


def _standardise(graph, x: str, mean: str, variance: str) -> str:
  """(x - mean) / sqrt(variance + VARIANCE_FLOOR)."""
  floor = graph.floats('variance_floor', pulse_constants.VARIANCE_FLOOR)
  floored = graph.add('Add', 'floored_variance', variance, floor)
  deviation = graph.add('Sqrt', 'deviation', floored)
  x = graph.add('Sub', 'off_mean', x, mean)
  return graph.add('Div', 'standardised', x, deviation)


def state_shapes(head: keras.Model) -> dict[str, tuple[int, ...]]:
  """Returns the shapes of what the pulse step hands round, by name."""
  kernels = [
    head.get_layer(name).get_weights()[0]
    for name in pulse_constants.PULSE_LAYERS
  ]
  past = {
    f'{name}_past': (1, kernel.shape[1], _PAST)
    for name, kernel in zip(pulse_constants.PULSE_LAYERS, kernels, strict=True)
  }
  return {
    'samples_seen': (1, 1),
    'mean': (1, _FEATURES),
    'variance': (1, _FEATURES),
    **past,
    'samples': (1, 1 + contract.NUM_CHROMINANCE, _SAMPLES),
  }


def pulse_step(head: keras.Model) -> bytes:
  """Builds the pulse head of one sample, float32 [1, 52] and state in."""
  state = state_shapes(head)
  graph = GraphBuilder('pulse_step', {'features': (1, _FEATURES), **state})
  x = graph.reshape('column', _standardise_sample(graph), [1, _FEATURES, 1])
  for name in pulse_constants.PULSE_LAYERS:
    past = f'{name}_past'
    x = graph.add('Concat', f'{name}_columns', past, x, axis=2)
    graph.cut(f'next_{past}', x, 1, 1 + _PAST, 2)
    x = _conv(graph, head, name, x, (0, 0), relu=name != 'pulse')
    # [1, channels, 1]
  graph.reshape('pulse', x, [1, 1])
  colour = graph.cut(
    'chrominance', 'features', contract.NUM_ROI_FEATURES, _FEATURES, 1
  )
  colour = graph.reshape('colour', colour, [1, contract.NUM_CHROMINANCE, 1])
  kept = graph.cut('kept_samples', 'samples', 1, _SAMPLES, 2)
  x = graph.add('Concat', 'sample', x, colour, axis=1)  # [1, 5, 1]
  samples = graph.add('Concat', 'next_samples', kept, x, axis=2)
  _estimate(graph, head, samples)
  next_state = {f'next_{name}': shape for name, shape in state.items()}
  return graph.model(
    {'pulse': (1, 1), **_ESTIMATE, **next_state},
    'features: of one grid time, every 1/30 s, feature 16 * roi + channel, '
    'then chrominance. The rest is state: zeros at first, then what came out '
    'as next_.',
  )


def _standardise_sample(graph: GraphBuilder) -> str:
  """One step of RunningStandardisation, as PulseStream; returns [1, 52]."""
  one = graph.floats('one', 1)
  seen = graph.add('Add', 'next_samples_seen', 'samples_seen', one)
  settled = graph.floats('settled', pulse_constants.standardisation_weight())
  share = graph.add('Div', 'share', one, seen)
  weight = graph.add('Max', 'weight', settled, share)
  away = graph.add('Sub', 'away', 'features', 'mean')
  step = graph.add('Mul', 'step', weight, away)
  mean = graph.add('Add', 'next_mean', 'mean', step)
  square = graph.add('Mul', 'new_square', step, away)
  variance = graph.add('Add', 'larger_variance', 'variance', square)
  keep = graph.add('Sub', 'keep', one, weight)
  variance = graph.add('Mul', 'next_variance', variance, keep)
  return _standardise(graph, 'features', mean, variance)


def _conv(graph, head, name: str, x: str, pads: tuple, relu: bool) -> str:
  """[1, in, length] → [1, out, length + pads - taps + 1]."""
  layer = head.get_layer(name)
  # [taps, in, out] → [out, in, taps]
  kernel = layer.get_weights()[0].transpose(2, 1, 0)
  weights = [graph.floats(f'{name}_kernel', kernel)]
  if layer.use_bias:
    weights.append(graph.floats(f'{name}_bias', layer.get_weights()[1]))
  x = graph.add('Conv', f'{name}_conv', x, *weights, pads=list(pads))
  return graph.add('Relu', f'{name}_relu', x) if relu else x


def _estimate(graph: GraphBuilder, head: keras.Model, samples: str) -> None:
  """[1, 5, 300] → heart_rate_bpm, confidence [1, 1]."""
  spectra = _spectra(graph, _waves(graph, samples))  # [1, 3, 71]
  x = spectra
  for name in pulse_constants.RATE_LAYERS:
    half = head.get_layer(name).kernel_size[0] // 2
    x = _conv(
      graph,
      head,
      name,
      x,
      (half, half),
      relu=name != pulse_constants.RATE_LAYERS[-1],
    )
  skip = _conv(graph, head, 'rate_skip', spectra, (0, 0), relu=False)
  x = graph.add('Add', 'rate_scores', x, skip)  # [1, 1, 71]
  x = graph.reshape('rate_logits', x, [1, contract.NUM_RATES])
  probability = graph.add('Softmax', 'rate_probability', x, axis=-1)
  rates = graph.floats('rates_bpm', spectrum.rates_bpm())
  cubes = graph.add('Mul', 'squares', probability, probability)
  cubes = graph.add('Mul', 'cubes', cubes, probability)
  moment = _sum(graph, 'moment', graph.add('Mul', 'moments', cubes, rates))
  bpm = graph.add('Div', 'heart_rate_bpm', moment, _sum(graph, 'total', cubes))
  distance = graph.add('Sub', 'off_estimate', rates, bpm)
  distance = graph.add('Abs', 'distance_bpm', distance)
  limit = graph.floats('limit_bpm', pulse_constants.confidence_limit_bpm())
  near = graph.add('Sub', 'within_bpm', limit, distance)
  step = graph.floats('rate_step_bpm', contract.RATE_STEP_BPM)
  near = graph.add('Div', 'within_steps', near, step)
  zero, most = graph.floats('no_share', 0), graph.floats('whole_share', 1)
  near = graph.add('Clip', 'near', near, zero, most)
  _sum(graph, 'confidence', graph.add('Mul', 'near_by', probability, near))


def _sum(graph: GraphBuilder, name: str, x: str) -> str:
  """[1, n] → [1, 1]."""
  axes = graph.integers(f'{name}_axes', [1])
  return graph.add('ReduceSum', name, x, axes, keepdims=1)


def _waves(graph: GraphBuilder, samples: str) -> str:
  """PulseWaves: [1, 5, 300] → [1, 3, 300], pulse, POS and CHROM."""
  size, stride = pulse_constants.PART_SAMPLES, pulse_constants.PART_STRIDE
  starts = np.arange(0, _SAMPLES - size + 1, stride)
  places = starts[:, np.newaxis] + np.arange(size)  # [22, 48]
  pulse = graph.cut('pulse_samples', samples, 0, 1, 1)
  colour = graph.cut(
    'colour_samples', samples, 1, 1 + contract.NUM_CHROMINANCE, 1
  )
  places = graph.constant('part_places', places.astype(np.int64))
  parts = graph.add('Gather', 'parts', colour, places, axis=2)
  # [1, 4, 22, 48]
  parts = _off_mean(graph, 'part', parts, 3)
  power = graph.add('Mul', 'part_square', parts, parts)
  power = graph.add('ReduceMean', 'part_power', power, axes=[3], keepdims=1)
  deviation = graph.add('Sqrt', 'part_deviation', power)
  # S1 and X, S2 and Y: [1, 2, 22, 48] and [1, 2, 22, 1]
  first, second = (
    graph.integers(f'{name}_of_pairs', indices)
    for name, indices in (('first', [0, 2]), ('second', [1, 3]))
  )
  of_first = graph.add('Gather', 'of_first', deviation, first, axis=1)
  of_second = graph.add('Gather', 'of_second', deviation, second, axis=1)
  floor = graph.floats('deviation_floor', pulse_constants.DEVIATION_FLOOR)
  of_second = graph.add('Add', 'floored_deviation', of_second, floor)
  gain = graph.add('Div', 'ratio', of_first, of_second)
  sign = graph.floats('sign', np.reshape([1, -1], (1, 2, 1, 1)))
  gain = graph.add('Mul', 'gain', gain, sign)
  first = graph.add('Gather', 'first', parts, first, axis=1)
  second = graph.add('Gather', 'second', parts, second, axis=1)
  second = graph.add('Mul', 'scaled', gain, second)
  parts = graph.add('Add', 'wave_parts', first, second)
  return graph.add('Concat', 'waves', pulse, _added_up(graph, parts), axis=1)


def _added_up(graph: GraphBuilder, parts: str) -> str:
  """Hann-windowed parts where they lie: [1, 2, 22, 48] → [1, 2, 300].

  A transposed convolution whose kernel for place i of a part is Hann's value
  there and 0 elsewhere.
  """
  size = pulse_constants.PART_SAMPLES
  parts = graph.add('Transpose', 'by_place', parts, perm=[0, 1, 3, 2])
  parts = graph.reshape('places', parts, [1, 2 * size, -1])  # [1, 96, 22]
  kernel = np.diag(spectrum.hann(size))[:, np.newaxis]  # [48, 1, 48]
  kernel = graph.floats('part_hann', np.concatenate([kernel, kernel]))
  strides = [pulse_constants.PART_STRIDE]
  return graph.add(
    'ConvTranspose', 'colour_waves', parts, kernel, group=2, strides=strides
  )


def _off_mean(graph: GraphBuilder, name: str, x: str, axis: int) -> str:
  """x minus its mean along an axis."""
  mean = graph.add('ReduceMean', f'{name}_mean', x, axes=[axis], keepdims=1)
  return graph.add('Sub', f'{name}_off_mean', x, mean)


def _spectra(graph: GraphBuilder, waves: str) -> str:
  """WaveSpectra: [1, 3, 300] → [1, 3, 71]."""
  x = _off_mean(graph, 'wave', waves, 2)
  x = graph.add(
    'Mul', 'weighted', x, graph.floats('hann', spectrum.hann(_SAMPLES))
  )
  squares = []
  basis = np.split(spectrum.fourier_basis(), 2, axis=1)
  for name, part in zip(('real', 'imaginary'), basis, strict=True):
    part = graph.add('MatMul', name, x, graph.floats(f'{name}_basis', part))
    squares.append(graph.add('Mul', f'{name}_square', part, part))
  power = graph.add('Add', 'power', *squares)
  mean = graph.add('ReduceMean', 'mean_power', power, axes=[2], keepdims=1)
  floor = graph.floats('mean_power_floor', pulse_constants.MEAN_POWER_FLOOR)
  mean = graph.add('Add', 'floored_mean_power', mean, floor)
  relative = graph.add('Div', 'relative_power', power, mean)
  floor = graph.floats('power_floor', pulse_constants.POWER_FLOOR)
  relative = graph.add('Add', 'floored_power', relative, floor)
  return graph.add('Log', 'level', relative)
