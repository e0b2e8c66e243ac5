"""What a network costs: known answers, and those of ST's reports."""

import math

import pytest

from tests.support import bad_models
from tools.tflite import cost, reader
from tools.tflite.graph import Graph, Operator, Tensor


def test_costs_of_the_shipped_model_are_those_of_st_s_report():
  costs = cost.cost(reader.read(bad_models.SHIPPED.read_bytes()))
  assert [row.macs for row in costs.operators] == [
    36 * 36 * 16 * 27,
    0,
    18 * 18 * 32 * 144,
    0,
    9 * 9 * 16 * 288,
    0,
  ]
  assert costs.macs == 2_426_112
  assert costs.st_macc == 2_490_976
  assert costs.weights_bytes == 9_904
  assert costs.peak_bytes == 36 * 36 * 16 + 18 * 18 * 16
  # Input and first pool: 8.859 kB in ST's report.
  assert costs.ends_bytes == 36 * 36 * 3
  assert costs.fused_peak_bytes == 36 * 36 * 3 + 18 * 18 * 16 == 9_072


def _tensor(index: int, *shape: int, data: bool = False) -> Tensor:
  content = bytes(math.prod(shape)) if data else None
  return Tensor(index, '', shape, (), 'INT8', content, (1.0,), (0,), 0)


def _graph(tensors: list, operators: list, inputs: tuple, outputs: tuple):
  numbered = [
    Operator(i, name, 1, read, written, options)
    for i, (name, read, written, options) in enumerate(operators)
  ]
  return Graph(tuple(tensors), tuple(numbered), inputs, outputs, 1)


def test_a_tensor_is_alive_until_it_is_last_read():
  tensors = [_tensor(i, 1, size) for i, size in enumerate((10, 20, 30, 30))]
  operators = [
    ('RELU', (0,), (1,), {}),
    ('RELU', (1,), (2,), {}),
    ('ADD', (1, 2), (3,), {}),
  ]
  costs = cost.cost(_graph(tensors, operators, (0,), (3,)))
  assert costs.peak_bytes == costs.fused_peak_bytes == 20 + 30 + 30
  # An output that is written early stays.
  costs = cost.cost(_graph(tensors, operators, (0,), (1, 2, 3)))
  assert costs.peak_bytes == 80
  operators[2] = ('RELU', (2,), (3,), {})
  costs = cost.cost(_graph(tensors, operators, (0,), (3,)))
  assert costs.peak_bytes == 60


@pytest.mark.parametrize(
  'name, weights, output, macs, st_macc',
  [
    ('CONV_2D', (8, 3, 3, 4), (1, 6, 6, 8), 36 * 8 * 36, 36 * 8 * 36 + 8),
    ('DEPTHWISE_CONV_2D', (1, 3, 3, 4), (1, 6, 6, 4), 144 * 9, 144 * 9 + 4),
    ('FULLY_CONNECTED', (5, 144), (1, 5), 720, 725),
  ],
)
def test_multiplications_of_each_operator(name, weights, output, macs, st_macc):
  channels = output[-1]
  tensors = [
    _tensor(0, 1, 6, 6, 4),
    _tensor(1, *weights, data=True),
    _tensor(2, channels, data=True),
    _tensor(3, *output),
  ]
  graph = _graph(tensors, [(name, (0, 1, 2), (3,), {})], (0,), (3,))
  (row,) = cost.cost(graph).operators
  assert (row.macs, row.st_macc) == (macs, st_macc)
  assert row.weights_bytes == math.prod(weights) + channels
