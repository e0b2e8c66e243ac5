"""Damaged TFLite files are refused; whole ones are read as by LiteRT."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tests.support import bad_models
from tools.n6 import rules
from tools.tflite import cost, reader


def _survives(content: bytes) -> rules.Report:
  report = rules.check(content)
  if report.graph:
    cost.cost(report.graph)
    str(report.findings)
  return report


def test_a_file_cut_anywhere_is_refused():
  content = bad_models.SHIPPED.read_bytes()
  for length in range(len(content)):
    report = _survives(content[:length])
    assert [f.rule for f in report.findings] == [rules.READABLE], length


def test_flipped_bits_are_survived():
  content = bad_models.SHIPPED.read_bytes()
  rng = np.random.default_rng(6)
  num_refused = 0
  for _ in range(500):
    damaged = bytearray(content)
    # Tables are in the first and last parts of the file, numbers between.
    for place in rng.integers(0, len(content), rng.choice([1, 2, 8, 64])):
      damaged[place] ^= 1 << rng.integers(8)
    num_refused += _survives(bytes(damaged)).verdict != rules.FIT
  assert 100 < num_refused < 500


def test_counts_of_two_thousand_million_are_refused_at_once():
  content = bad_models.SHIPPED.read_bytes()
  words = np.frombuffer(content, '<u4')
  num_refused = 0
  for place in np.flatnonzero((words > 0) & (words <= 32)):
    damaged = words.copy()
    damaged[place] = 2**31 - 1
    num_refused += _survives(damaged.tobytes()).verdict != rules.FIT
  assert num_refused > 50


def _vector(builder: flatbuffers.Builder, offsets: list[int]) -> int:
  builder.StartVector(4, len(offsets), 4)
  for offset in offsets:
    builder.PrependUOffsetTRelative(offset)
  return builder.EndVector()


def _table(builder: flatbuffers.Builder, **slots: int) -> int:
  """A table with offsets in the slots named, e.g. `slot_3`."""
  builder.StartObject(8)
  for slot, offset in slots.items():
    builder.PrependUOffsetTRelativeSlot(int(slot[5:]), offset, 0)
  return builder.EndObject()


def _sharing_model(num_tensors: int, name_chars: int) -> bytes:
  """A file whose tensors are all one and the same table."""
  builder = flatbuffers.Builder(0)
  name = builder.CreateString('x' * name_chars)
  tensor = _table(builder, slot_3=name)
  tensors = _vector(builder, [tensor] * num_tensors)
  buffers = _vector(builder, [_table(builder)])
  subgraphs = _vector(builder, [_table(builder, slot_0=tensors)])
  model = _table(builder, slot_2=subgraphs, slot_4=buffers)
  builder.Finish(model, b'TFL3')
  return bytes(builder.Output())


def test_small_files_cannot_ask_for_much():
  graph = reader.read(_sharing_model(2, 10_000))
  assert [len(tensor.name) for tensor in graph.tensors] == [60, 60]
  with pytest.raises(reader.DamagedFileError, match='can hold'):
    reader.read(_sharing_model(1_000, 10_000))
  with pytest.raises(reader.DamagedFileError, match='any network'):
    reader.read(_sharing_model(100_000, 1))


def test_what_is_read_is_what_litert_reads():
  graph = reader.read(bad_models.SHIPPED.read_bytes())
  interpreter = Interpreter(
    model_path=str(bad_models.SHIPPED),
    experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
  )
  details = {d['index']: d for d in interpreter.get_tensor_details()}
  for tensor in graph.tensors:
    theirs = details[tensor.index]
    assert list(tensor.shape) == theirs['shape'].tolist()
    assert tensor.dtype == np.dtype(theirs['dtype']).name.upper()
    quantisation = theirs['quantization_parameters']
    assert list(tensor.scales) == quantisation['scales'].tolist()
    assert list(tensor.zero_points) == quantisation['zero_points'].tolist()
    if tensor.data is not None:
      assert tensor.data == interpreter.get_tensor(tensor.index).tobytes()
  names = [d['op_name'] for d in interpreter._get_ops_details()]
  assert graph.operator_names() == names[: len(graph.operators)]
