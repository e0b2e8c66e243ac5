"""What ST's compiler makes of a file: ours fits, each bad model breaks a rule.

Beside files of ours and the converter's, files whose reports by ST's compiler
are known, where they are at hand.
"""

import json
import math

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tests.support import bad_models, commands
from tools.n6 import memory, rule_table, rules
from tools.tflite import cost, reader
from tools.tflite.graph import KNOWN_OPERATORS, Graph, Operator, Tensor


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
  assert report.operators == KNOWN_OPERATORS
  outputs = [report.graph.output(op) for op in report.graph.operators]
  assert [output.zero_points for output in outputs] == [(-128,)] * 6
  assert len(content) <= 16 * 1024


_GRADES = {
  rules.REFUSED: bad_models.REFUSED_RULE,
  rules.SOFTWARE: bad_models.SOFTWARE_RULE,
  rules.NOTE: bad_models.NOTE_RULE,
}
_MEANT = {
  name: (rule, grade)
  for grade, rules in _GRADES.items()
  for name, rule in rules.items()
}


@pytest.mark.parametrize('name', _MEANT)
def test_a_bad_model_breaks_the_rule_meant_for_it(name):
  rule, grade = _MEANT[name]
  report = rules.check(bad_models.content(name))
  assert rule in _rules(report, grade)
  assert report.verdict == (rules.FIT if grade == 'note' else grade)


@pytest.mark.parametrize('name', bad_models.HARDWARE)
def test_what_reports_show_in_hardware_is_fit(name):
  report = rules.check(bad_models.content(name))
  assert report.findings == []
  strict = rules.check(bad_models.content(name), int8_ends=True)
  rule = bad_models.HARDWARE[name]
  assert _rules(strict, rules.REFUSED) == ({rule} if rule else set())


def test_every_rule_has_a_model_that_breaks_it():
  names = {rule.name for rule in rule_table.RULES} | {rules.READABLE}
  meant = {rule for rule, _ in _MEANT.values()}
  # Found at the other end of the same models.
  meant |= {rule for rule in bad_models.HARDWARE.values() if rule}
  assert meant == names
  assert len(rule_table.RULES) == len(names) - 1, 'a name is used twice'


# What each breaks beside the rule meant for it, and nothing more.
_BESIDE = {
  'reshape_from_6d': {'batch-one'},
  'float_model': {'int8-input', 'int8-output'},
  'float_io': {'int8-output'},
  'uint8_io': {'int8-output'},
  'uint8': {'int8-input', 'int8-output'},
  'hybrid_weights': {'no-float', 'int8-input', 'int8-output'},
  'float_amid': {'no-float', 'hardware-operators', 'per-channel-weights'},
  'while_loop': {'hardware-operators'},
  'kernel_7x7': {'padding'},
  'wide_padding': {'dilation'},
  'input_of_72_channels': {'line-buffer'},
}


@pytest.mark.parametrize('name', _MEANT)
def test_a_model_breaks_no_rule_that_it_keeps(name):
  report = rules.check(bad_models.content(name))
  broken = {found.rule for found in report.findings} - {_MEANT[name][0]}
  assert broken <= _BESIDE.get(name, set())


@pytest.mark.parametrize('name', ['float_io', 'two_graphs', 'open_height'])
def test_int8_ends_refuse_what_the_firmware_cannot_take(name):
  report = rules.check(bad_models.content(name), int8_ends=True)
  assert report.verdict == rules.REFUSED
  assert bad_models.NOTE_RULE[name] in _rules(report, rules.REFUSED)


def test_a_finding_names_operator_tensor_and_remedy():
  report = rules.check(bad_models.content('rank_6_constant'))
  (found,) = report.findings
  assert str(found) == (
    "refused max-rank: tensor 14 'constant' [1, 1, 1, 1, 1, 4]: 6 dimensions, "
    'at most 5 allowed; keep time and ROI out of the file: one image per run'
  )


def test_software_is_named_with_its_cost():
  report = rules.check(bad_models.content('padded_channels'))
  (found,) = report.of(rules.SOFTWARE)
  assert found.where.endswith(' PAD')
  assert found.message == (
    'pads 8 channels to 16: 1 to 2 hybrid transposes of 2,304 B'
  )
  report = rules.check(bad_models.content('softmax'))
  (found,) = report.of(rules.SOFTWARE)
  assert found.message == 'would run in software: 16 values'


def test_the_worse_version_judges_unless_one_is_named():
  content = bad_models.content('kernel_5x5')
  (found,) = rules.check(content).findings
  assert found.grades == {'2.2': 'note'}
  assert rules.check(content, ('4.0',)).findings == []
  content = bad_models.content('strided_depthwise')
  (found,) = rules.check(content).findings
  assert found.grades == {'4.0': 'note'}
  assert rules.check(content, ('2.2',)).findings == []


def test_every_rule_says_what_it_is_known_from():
  for rule in rule_table.RULES:
    assert rule.meaning and rule.remedy and rule.evidence, rule.name
    assert set(rule.grades) <= set(rule_table.VERSIONS), rule.name
    assert set(rule.grades.values()) <= {'refused', 'software', 'note'}


# --- Files that ST's compiler was run on -------------------------------------


def _real(name: str) -> rules.Report:
  return rules.check(commands.n6_real(name).read_bytes())


@pytest.mark.parametrize(
  'name', ['twin_spatial_cnn_int8', 'baseline_conv2d_16f_3x3_int8']
)
def test_what_st_compiled_without_software_is_fit(name):
  assert _real(f'{name}.tflite').findings == []


def test_a_large_kernel_is_fit_but_decomposed():
  report = _real('baseline_conv2d_32f_7x7_int8.tflite')
  assert report.verdict == rules.FIT
  assert _rules(report, rules.NOTE) == {'conv-kernel', 'padding'}
  assert 'decomposed, slow and large' in report.findings[0].message
  costs = cost.cost(report.graph)
  assert memory.foretold_bytes(report.graph, costs, True) is None


def test_each_pad_of_channels_of_blazeface_is_named():
  report = _real('blazeface_int8_io.tflite')
  assert report.verdicts == {'2.2': 'software', '4.0': 'software'}
  found = report.of(rules.SOFTWARE)
  assert [f.rule for f in found] == ['pad-channels'] * 11
  places = [int(f.where.split()[1]) for f in found]
  assert places == [6, 11, 15, 19, 24, 28, 32, 36, 40, 44, 53]


def test_activations_are_those_of_st_s_reports():
  for name, expected in (
    ('twin_spatial_cnn_int8', 9_072),
    ('baseline_conv2d_16f_3x3_int8', 12_304),
  ):
    graph = _real(f'{name}.tflite').graph
    costs = cost.cost(graph)
    assert memory.foretold_bytes(graph, costs, False) == expected


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


# --- Command -----------------------------------------------------------------


@pytest.mark.slow
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
    f'{bad_models.SHIPPED}: fit for STM32N6 (ST Edge AI 2.2 and 4.0); '
    'findings: 0 refused, 0 software, 0 notes'
  )
  (result,) = json.loads(path.read_text())['files']
  assert result['fit'] and result['findings'] == []
  assert result['verdicts'] == {'2.2': 'fit', '4.0': 'fit'}
  assert result['cost']['fused_peak_bytes'] == 9_072
  assert result['cost']['foretold_activation_bytes'] == 9_072
  assert len(result['rules']) == len(rule_table.RULES) + 1
  assert {rule['breaches'] for rule in result['rules']} == {0}
  assert [entry.name for entry in tmp_path.iterdir()] == ['report.json']


def _files(tmp_path, *names: str) -> list:
  for name in names:
    (tmp_path / name).write_bytes(bad_models.content(name))
  return [tmp_path / name for name in names]


@pytest.mark.slow
def test_the_exit_code_is_that_of_the_worst_file(tmp_path):
  fit, software, refused = _files(
    tmp_path, 'activations_of_24_mb', 'padded_channels', 'rank_6_constant'
  )
  report = tmp_path / 'report.json'
  done = commands.run(
    'tools.check_n6', software, fit, refused, '--json', report
  )
  assert done.returncode == 1
  assert 'Traceback' not in done.stderr
  assert 'refused max-rank: tensor 14' in done.stdout
  assert (
    'not held by npuRAM3-6 (4 x 448 kB) and cpuRAM2 (1 MB): external RAM'
  ) in done.stdout
  files = json.loads(report.read_text())['files']
  assert [result['verdict'] for result in files] == [
    'software',
    'fit',
    'refused',
  ]
  done = commands.run('tools.check_n6', fit, software)
  assert done.returncode == 2
  assert done.stdout.splitlines()[-1] == (
    f'{software}: in software in part (ST Edge AI 2.2 and 4.0); findings: 0 '
    'refused, 1 software, 0 notes'
  )


@pytest.mark.slow
def test_an_unreadable_file_is_refused_and_nothing_else_checked(tmp_path):
  report = tmp_path / 'report.json'
  done = commands.run(
    'tools.check_n6', *_files(tmp_path, 'jpeg'), '--json', report
  )
  assert done.returncode == 1
  assert 'refused readable-file: file: bytes 4 to 7' in done.stdout
  (result,) = json.loads(report.read_text())['files']
  assert not result['fit']
  assert result['rules'][1]['rule'] == 'well-formed'
  assert result['rules'][1]['breaches'] is None


@pytest.mark.slow
def test_flags_narrow_the_version_and_the_ends(tmp_path):
  (path,) = _files(tmp_path, 'kernel_5x5')
  done = commands.run('tools.check_n6', path)
  assert 'note conv-kernel-5: operator 0 CONV_2D' in done.stdout
  assert '(ST Edge AI 2.2)' in done.stdout
  done = commands.run('tools.check_n6', path, '--st-version=4.0')
  assert done.stdout.splitlines()[-1] == (
    f'{path}: fit for STM32N6 (ST Edge AI 4.0); findings: 0 refused, 0 '
    'software, 0 notes'
  )
  (path,) = _files(tmp_path, 'per_tensor_weights')
  assert commands.run('tools.check_n6', path).returncode == 0
  done = commands.run('tools.check_n6', path, '--ends=int8')
  assert done.returncode == 1
  assert 'refused per-channel-weights' in done.stdout


@pytest.mark.slow
def test_rules_are_printed_with_grades_and_evidence():
  done = commands.run('tools.check_n6', '--rules')
  assert done.returncode == 0
  lines = done.stdout.splitlines()
  assert (
    'pad-channels: 2.2 software, 3.0 software, 4.0 software, --ends=int8 '
    'refused'
  ) in lines
  assert 'conv-kernel-5: 2.2 note, 3.0 note, 4.0 -' in lines
  known = [line for line in lines if line.startswith('  known from: ')]
  assert len(known) == len(rule_table.RULES)


@pytest.mark.slow
def test_the_command_refuses_what_is_no_file(tmp_path):
  done = commands.run('tools.check_n6')
  commands.assert_refused(done, 'name a file')
  done = commands.run('tools.check_n6', tmp_path)
  commands.assert_refused(done, f'{tmp_path}: no such file')
