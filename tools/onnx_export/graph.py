"""ONNX files built node by node, and what every one of them must be.

Opset 17, IR version 8: QuantizeLinear has an axis since 13, ST Edge AI Core
names 20 as the highest that it reads, and 17 is the last in which ReduceMean
has its axes as an attribute, as older tools expect. onnxruntime reads it from
1.12 on.
"""

import numpy as np
import onnx

OPSET = 17
_IR_VERSION = 8
_MAX_RANK = 4


class GraphBuilder:
  """Nodes and constants of one graph, in order; `model` makes the file.

  Every tensor is called after what makes it. Inputs and outputs are float32.
  """

  def __init__(self, name: str, inputs: dict[str, tuple[int, ...]]):
    """Starts a graph of inputs with these shapes."""
    self._name = name
    self._inputs = [_tensor(*item) for item in inputs.items()]
    self._nodes: list[onnx.NodeProto] = []
    self._constants: dict[str, onnx.TensorProto] = {}

  def add(self, operator: str, name: str, *inputs: str, **attributes) -> str:
    """Adds an operator with one output; returns the output's name."""
    self._nodes.append(
      onnx.helper.make_node(operator, inputs, [name], name=name, **attributes)
    )
    return name

  def constant(self, name: str, values: np.ndarray) -> str:
    """Adds a constant of the array's own type and shape; returns its name."""
    if name in self._constants:
      raise ValueError(f'{self._name}: constant {name!r} is there already')
    self._constants[name] = onnx.numpy_helper.from_array(
      np.ascontiguousarray(values), name
    )
    return name

  def floats(self, name: str, values) -> str:
    """Adds a constant of float32; returns its name."""
    return self.constant(name, np.asarray(values, np.float32))

  def integers(self, name: str, values: list[int]) -> str:
    """Adds a constant of int64 (a shape, axes, indices); returns its name."""
    return self.constant(name, np.array(values, np.int64))

  def reshape(self, name: str, tensor: str, shape: list[int]) -> str:
    """Adds a Reshape to a shape that is known; returns its output."""
    return self.add(
      'Reshape', name, tensor, self.integers(f'{name}_shape', shape)
    )

  def cut(self, name: str, tensor: str, start: int, end: int, axis: int) -> str:
    """Adds a Slice [start, end) along one axis; returns its output."""
    numbers = {'start': start, 'end': end, 'axis': axis}
    bounds = [self.integers(f'{name}_{k}', [v]) for k, v in numbers.items()]
    return self.add('Slice', name, tensor, *bounds)

  def model(self, outputs: dict[str, tuple[int, ...]], doc: str) -> bytes:
    """Makes the file, with the shape of every tensor in it.

    Args:
      outputs: shapes of those tensors that come out.
      doc: what goes in and comes out; stored in the file.

    Returns:
      The file; the same graph gives the same bytes.

    Raises:
      ValueError: the graph is not one that `check` takes.
    """
    graph = onnx.helper.make_graph(
      self._nodes,
      self._name,
      self._inputs,
      [_tensor(*item) for item in outputs.items()],
      list(self._constants.values()),
    )
    model = onnx.helper.make_model(
      graph,
      opset_imports=[onnx.helper.make_opsetid('', OPSET)],
      ir_version=_IR_VERSION,
      producer_name='rppg_tf',
      doc_string=doc,
    )
    return check(model).SerializeToString(deterministic=True)


def _tensor(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
  return onnx.helper.make_tensor_value_info(
    name, onnx.TensorProto.FLOAT, list(shape)
  )


def check(model: onnx.ModelProto) -> onnx.ModelProto:
  """Returns the model with every inferred shape in it.

  Raises:
    ValueError: onnx.checker refuses it, a shape is not static or of more than
      4 dimensions, it computes nothing, or a node is an Identity: what tools
      for NPUs have been seen to fail on.
  """
  try:
    onnx.checker.check_model(model, full_check=True)
    model = onnx.shape_inference.infer_shapes(
      model, strict_mode=True, data_prop=True
    )
  except (
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
  ) as error:
    raise ValueError(f'{model.graph.name}: {error}') from error
  graph = model.graph
  operators = operator_names(model)
  if not operators or 'Identity' in operators:
    raise ValueError(f'{graph.name}: expected operators, got {operators}')
  known = {info.name: info for info in graph.value_info}
  known |= {info.name: info for info in [*graph.input, *graph.output]}
  for name in [*known, *(node.output[0] for node in graph.node)]:
    shape = _static_shape(known.get(name))
    if shape is None or len(shape) > _MAX_RANK:
      raise ValueError(
        f'{graph.name}: {name}: expected a static shape of at most '
        f'{_MAX_RANK} dimensions, got {shape}'
      )
  return model


def _static_shape(info: onnx.ValueInfoProto | None) -> list[int] | None:
  """The shape, or None where a dimension is not known."""
  if info is None or not info.type.tensor_type.HasField('shape'):
    return None
  sizes = info.type.tensor_type.shape.dim
  if not all(size.HasField('dim_value') for size in sizes):
    return None
  return [size.dim_value for size in sizes]


def operator_names(model: onnx.ModelProto) -> list[str]:
  """Returns the operators in order."""
  return [node.op_type for node in model.graph.node]
