"""What ST's compiler makes of a file: ours fits, each bad model breaks a rule.

Beside files of ours and the converter's, files whose reports by ST's compiler
are known, where they are at hand.
"""

import pytest

from tests.support import bad_models, commands
from tools.n6 import memory, rule_table, rules
from tools.tflite import cost
from tools.tflite.graph import KNOWN_OPERATORS


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
