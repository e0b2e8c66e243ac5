"""The rules of STM32N6: our model keeps them, each bad model breaks one."""

import json
import math

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tests.support import bad_models, commands
from tools.n6 import rules
from tools.tflite import cost, reader
from tools.tflite.graph import Graph, Operator, Tensor


def _rules(report: rules.Report, severity: str) -> set[str]:
  return {f.rule for f in report.findings if f.severity == severity}


# --- Rules -------------------------------------------------------------------


def test_the_shipped_model_breaks_no_rule():
  content = bad_models.SHIPPED.read_bytes()
  report = rules.check(content)
  assert report.findings == []
  assert report.operators == [
    'CONV_2D',
    'MAX_POOL_2D',
    'CONV_2D',
    'MAX_POOL_2D',
    'CONV_2D',
    'MEAN',
  ]
  assert report.operators == rules.KNOWN_OPERATORS
  outputs = [report.graph.output(op) for op in report.graph.operators]
  assert [output.zero_points for output in outputs] == [(-128,)] * 6
  assert len(content) <= 16 * 1024


@pytest.mark.parametrize('name', bad_models.BROKEN_RULE)
def test_a_bad_model_breaks_the_rule_meant_for_it(name):
  report = rules.check(bad_models.content(name))
  assert bad_models.BROKEN_RULE[name] in _rules(report, rules.HARD)


@pytest.mark.parametrize('name', bad_models.DOUBTFUL_RULE)
def test_a_doubtful_model_is_warned_of_and_taken(name):
  report = rules.check(bad_models.content(name))
  assert report.hard == []
  assert bad_models.DOUBTFUL_RULE[name] in _rules(report, rules.WARNING)


def test_every_rule_has_a_model_that_breaks_it():
  names = {rule.name for rule in rules.RULES} | {rules.READABLE}
  meant = {*bad_models.BROKEN_RULE.values(), *bad_models.DOUBTFUL_RULE.values()}
  assert meant == names
  assert len(rules.RULES) == len(names) - 1, 'a name is used twice'


# What each breaks beside the rule meant for it, and nothing more.
@pytest.mark.parametrize(
  'name, others',
  [
    ('batch_24', set()),
    ('dynamic_batch', set()),
    ('transposed_conv', set()),
    ('softmax', set()),
    ('rank_6_constant', set()),
    ('per_tensor_weights', set()),
    ('asymmetric_weights', {'per-channel-weights'}),
    ('float_io', {'no-quantize', 'no-float'}),
    ('uint8', {'int8-io'}),
    ('reshape_from_6d', {'batch-one', 'image-input'}),
    ('identity_only', set()),
    ('int16_weights', set()),
  ],
)
def test_a_model_breaks_no_rule_that_it_keeps(name, others):
  report = rules.check(bad_models.content(name))
  broken = _rules(report, rules.HARD)
  assert broken == {bad_models.BROKEN_RULE[name], *others}


def test_a_finding_names_operator_tensor_and_remedy():
  report = rules.check(bad_models.content('rank_6_constant'))
  (found,) = report.findings
  assert str(found) == (
    "hard max-rank: tensor 14 'constant' [1, 1, 1, 1, 1, 4]: 6 dimensions, at "
    'most 5 allowed; keep time and ROI out of the file: one image per run'
  )
  report = rules.check(bad_models.content('per_tensor_weights'))
  (found,) = report.findings
  assert found.where.startswith('operator 0 CONV_2D, tensor 5 ')
  assert found.message == '1 scales for 16 output channels'


# --- Damaged files -----------------------------------------------------------


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
    assert [f.rule for f in report.hard] == [rules.READABLE], length


def test_flipped_bits_are_survived():
  content = bad_models.SHIPPED.read_bytes()
  rng = np.random.default_rng(6)
  num_refused = 0
  for _ in range(500):
    damaged = bytearray(content)
    # Tables are in the first and last parts of the file, numbers between.
    for place in rng.integers(0, len(content), rng.choice([1, 2, 8, 64])):
      damaged[place] ^= 1 << rng.integers(8)
    num_refused += bool(_survives(bytes(damaged)).hard)
  assert 100 < num_refused < 500


def test_counts_of_two_thousand_million_are_refused_at_once():
  content = bad_models.SHIPPED.read_bytes()
  words = np.frombuffer(content, '<u4')
  num_refused = 0
  for place in np.flatnonzero((words > 0) & (words <= 32)):
    damaged = words.copy()
    damaged[place] = 2**31 - 1
    num_refused += bool(_survives(damaged.tobytes()).hard)
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


# --- Costs -------------------------------------------------------------------


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
  assert costs.fused_peak_bytes == 36 * 36 * 3 + 18 * 18 * 16 == 9_072


def _tensor(index: int, *shape: int, data: bool = False) -> Tensor:
  content = bytes(math.prod(shape)) if data else None
  return Tensor(index, '', shape, False, 'INT8', content, (1.0,), (0,), 0)


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


# --- Command -----------------------------------------------------------------


def test_the_command_prints_costs_and_passes_our_model(tmp_path):
  path = tmp_path / 'report.json'
  done = commands.run('tools.check_n6', bad_models.SHIPPED, f'--json={path}')
  assert done.returncode == 0, done.stderr
  lines = done.stdout.splitlines()
  row = next(line for line in lines if line.startswith('total'))
  assert row.split() == ['total', '2,426,112', '2,490,976', '9,904']
  assert (
    'pools: activations held by 1 of npuRAM3-6 (448 kB each), 1.98 % of it; '
    'weights 9,904 B in flash'
  ) in lines
  assert lines[-1] == (
    f'{bad_models.SHIPPED}: fit for STM32N6; hard rules broken 0 times, '
    'warnings 0'
  )
  (result,) = json.loads(path.read_text())['files']
  assert result['fit'] and result['findings'] == []
  assert result['cost']['fused_peak_bytes'] == 9_072
  assert len(result['rules']) == len(rules.RULES) + 1
  assert {rule['breaches'] for rule in result['rules']} == {0}
  assert [entry.name for entry in tmp_path.iterdir()] == ['report.json']


def test_one_unfit_file_of_several_fails_the_command(tmp_path):
  names = ('rank_6_constant', 'jpeg', 'activations_of_24_mb')
  for name in names:
    (tmp_path / name).write_bytes(bad_models.content(name))
  report = tmp_path / 'report.json'
  done = commands.run(
    'tools.check_n6', *(tmp_path / name for name in names), '--json', report
  )
  assert done.returncode == 1
  assert 'Traceback' not in done.stderr
  assert 'hard max-rank: tensor 14' in done.stdout
  assert 'hard readable-file: file: bytes 4 to 7' in done.stdout
  assert 'not held by npuRAM3-6 (4 x 448 kB): external RAM' in done.stdout
  files = json.loads(report.read_text())['files']
  assert [result['fit'] for result in files] == [False, False, True]
  assert files[1]['rules'][1] == {
    'rule': 'well-formed',
    'severity': 'hard',
    'breaches': None,
  }


def test_the_command_refuses_what_is_no_file(tmp_path):
  done = commands.run('tools.check_n6')
  commands.assert_refused(done, 'name a file')
  done = commands.run('tools.check_n6', tmp_path)
  commands.assert_refused(done, f'{tmp_path}: no such file')
