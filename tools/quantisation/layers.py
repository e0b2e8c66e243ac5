"""What int8 does to each layer of the spatial CNN."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from rppg_tf.keras_compat import keras
from rppg_tf.model.spatial_cnn import CONV_CHANNELS, build_spatial_cnn
from rppg_tf.quantisation import calibration
from tools.tflite import reader
from tools.tflite.graph import Graph, Tensor

# Keras' layer whose output is that of each operator, in order.
LAYERS = ('conv1', 'pool1', 'conv2', 'pool2', 'conv3', 'mean')


def describe(content: bytes) -> list[dict]:
  """Returns what the file says of each operator.

  Args:
    content: a TFLite file with tflite.graph.KNOWN_OPERATORS.

  Returns:
    [{layer, operator, output_shape, scale, zero_point}], for convolutions
    also weight_scales: [smallest, largest] of the channels, and
    weight_zero_points: those that occur. The first entry is the input.
  """
  graph = _graph(content)
  entries: list[tuple[str, str, Tensor, Tensor | None]] = [
    ('input', '-', graph.tensors[graph.inputs[0]], None)
  ]
  for layer, operator in zip(LAYERS, graph.operators, strict=True):
    kernel = graph.input(operator, 1) if operator.name == 'CONV_2D' else None
    output = graph.tensors[operator.outputs[0]]
    entries.append((layer, operator.name, output, kernel))
  described = []
  for layer, operator, output, kernel in entries:
    entry = {
      'layer': layer,
      'operator': operator,
      'output_shape': list(output.shape),
      'scale': output.scales[0],
      'zero_point': output.zero_points[0],
    }
    if kernel is not None:
      entry['weight_scales'] = [min(kernel.scales), max(kernel.scales)]
      entry['weight_zero_points'] = sorted({*kernel.zero_points})
    described.append(entry)
  return described


def _graph(content: bytes) -> Graph:
  graph = reader.read(content)
  graph.check_operators()
  return graph


def int8_outputs(content: bytes, codes: np.ndarray) -> list[np.ndarray]:
  """Runs the file; returns what each layer's codes stand for.

  Args:
    content: a TFLite file with tflite.graph.KNOWN_OPERATORS.
    codes: int8 [n, 36, 36, 3].

  Returns:
    float32 [n, ...], a layer of LAYERS each.
  """
  interpreter = Interpreter(
    model_content=content,
    experimental_preserve_all_tensors=True,
    # As inference/int8_cnn.py: the reference kernels' bytes.
    experimental_op_resolver_type=(
      OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    ),
  )
  graph = _graph(content)
  index = graph.inputs[0]
  interpreter.resize_tensor_input(index, codes.shape)
  interpreter.allocate_tensors()
  interpreter.set_tensor(index, codes)
  interpreter.invoke()
  outputs = []
  for operator in graph.operators:
    tensor = graph.tensors[operator.outputs[0]]
    quantisation = (tensor.scales[0], tensor.zero_points[0])
    outputs.append(
      calibration.values(interpreter.get_tensor(tensor.index), quantisation)
    )
  return outputs


def float_outputs(folded: keras.Model, images: np.ndarray) -> list[np.ndarray]:
  """Returns each layer's output of a CNN without batch norm.

  Args:
    folded: from spatial_cnn.fold_batch_norm.
    images: float32 [n, 36, 36, 3].

  Returns:
    float32 [n, ...], a layer of LAYERS each.
  """
  outputs = [folded.get_layer(name).output for name in LAYERS]
  every = keras.Model(folded.input, outputs)
  return every.predict(images, batch_size=128, verbose=0)


def same_weights_in_float(content: bytes) -> keras.Model:
  """Returns the file's own weights and biases as a float CNN.

  Against it, only the rounding of activations is left of the noise.
  """
  graph = _graph(content)
  num_channels = graph.tensors[graph.operators[0].inputs[1]].shape[0]
  model = build_spatial_cnn(
    batch_norm=False, width=num_channels // CONV_CHANNELS[0]
  )
  for layer, operator in zip(LAYERS, graph.operators, strict=True):
    if operator.name != 'CONV_2D':
      continue
    _, kernel, bias = graph.given(operator)
    assert kernel.data is not None and bias.data is not None
    steps = np.frombuffer(kernel.data, np.int8).reshape(kernel.shape)
    scales = np.array(kernel.scales, np.float32)
    # TFLite: [out, high, wide, in]; Keras: [high, wide, in, out].
    weights = steps.transpose(1, 2, 3, 0) * scales
    biases = np.frombuffer(bias.data, np.int32) * np.array(
      bias.scales, np.float32
    )
    model.get_layer(layer).set_weights([weights, biases])
  return model


def signal_to_noise_db(signal: np.ndarray, noisy: np.ndarray) -> float:
  """Returns 10 log10 of signal energy over error energy, dB.

  Infinite where there is no error; NaN for a signal of zeros.
  """
  signal = signal.astype(np.float64)
  energy, noise = np.sum(signal**2), np.sum((noisy - signal) ** 2)
  if energy == 0:
    return float('nan')
  return float(10 * np.log10(energy / noise)) if noise > 0 else float('inf')


def noise_by_layer(
  content: bytes,
  folded: keras.Model,
  codes: np.ndarray,
  input_quantisation: tuple[float, int],
) -> dict[str, list[float]]:
  """Returns signal to quantisation noise of every layer of LAYERS, dB.

  Args:
    content: a TFLite file with tflite.graph.KNOWN_OPERATORS.
    folded: the float CNN that it was made of, without batch norm.
    codes: int8 [n, 36, 36, 3].
    input_quantisation: (scale, zero_point) of the codes.

  Returns:
    float: against the float CNN. Of quantisation-aware training, that holds
      what fine-tuning changed on purpose.
    same_weights: against float arithmetic with the file's own weights.
  """
  images = calibration.values(codes, input_quantisation)
  noisy = int8_outputs(content, codes)
  references = {'float': folded, 'same_weights': same_weights_in_float(content)}
  return {
    name: [
      signal_to_noise_db(signal, noise)
      for signal, noise in zip(float_outputs(model, images), noisy, strict=True)
    ]
    for name, model in references.items()
  }


def num_weight_bytes(content: bytes) -> int:
  """Returns the bytes of all weights and biases in the file."""
  graph = _graph(content)
  return sum(
    tensor.num_bytes
    for operator in graph.operators
    if operator.name == 'CONV_2D'
    for tensor in graph.given(operator)
    if tensor.data is not None
  )
