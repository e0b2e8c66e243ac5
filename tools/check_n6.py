"""Foretells what ST's compiler for STM32N6 makes of TFLite files.

  python -m tools.check_n6 rppg_tf/pretrained/spatial_int8.tflite
  python -m tools.check_n6 --rules

Judges by the worse of ST Edge AI Core 2.2 and 4.0, unless --st_version names
one. Exit code 0: every file fits the NPU; 1: one would be refused; 2: none,
but one would run in software in part. The rules are in n6_rule_table.py.
"""

import json
import pathlib
import textwrap

from absl import flags

from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from tools.n6 import memory, rule_table, rules
from tools.tflite import cost, reader
from tools.tflite.graph import KNOWN_OPERATORS

# Of one rule in one file; the rest is counted. The JSON has all.
_MAX_PRINTED = 3
_EXIT_CODES = {rules.FIT: 0, rules.SOFTWARE: 2, rules.REFUSED: 1}
_ROW = '{:<22}{:<18}{:>12}{:>12}{:>11}{:>11}'
_MACC_NOTE = (
  'MACC is counted as ST counts it: biases, activations, pools and means too.'
)
_MACC_BOUND = (
  'MACC is as ST counts it on convolutions, pools and means; on PAD, PRELU and '
  'LOGISTIC ST counts more.'
)
_CODES_NOTE = (
  'The NPU accumulates at 16 bits: expect codes to differ by 1 from LiteRT.'
)
_DECOMPOSED = ('conv-kernel', 'conv-kernel-5')

_JSON = flags.DEFINE_string(
  'json', None, 'File that the findings and costs are written to.'
)
_ST_VERSION = flags.DEFINE_enum(
  'st_version',
  None,
  rule_table.VERSIONS,
  'ST Edge AI Core to judge by; default: the worse of 2.2 and 4.0.',
)
flags.DEFINE_alias('st-version', 'st_version')
_ENDS = flags.DEFINE_enum(
  'ends',
  'any',
  ['any', 'int8'],
  "int8: refuse what this project's firmware cannot take, as "
  'tools.export_tflite does.',
)
_RULES = flags.DEFINE_bool('rules', False, 'Print the rules and end.')


def main(words: list[str]) -> int:
  """Checks every file named; returns the exit code of the worst."""
  if _RULES.value:
    print_rules()
    return 0
  if not words:
    raise InputError('name a file: python -m tools.check_n6 model.tflite')
  results = [_check(pathlib.Path(word)) for word in words]
  if _JSON.value:
    path = pathlib.Path(_JSON.value)
    beside = path.with_name(f'.{path.name}')
    beside.write_text(json.dumps({'files': results}, indent=2) + '\n')
    beside.replace(path)
  verdicts = {result['verdict'] for result in results}
  worst = next(
    (v for v in (rules.REFUSED, rules.SOFTWARE) if v in verdicts),
    rules.FIT,
  )
  return _EXIT_CODES[worst]


def print_rules() -> None:
  """Prints every rule: grade by version, meaning, remedy, evidence."""
  for rule in rule_table.RULES:
    grades = ', '.join(
      f'{version} {rule.grades.get(version, "-")}'
      for version in rule_table.VERSIONS
    )
    own = f', --ends=int8 {rules.REFUSED}' if rule.is_own else ''
    print(f'{rule.name}: {grades}{own}')
    for title, text in (
      ('', rule.meaning),
      ('remedy: ', rule.remedy),
      ('known from: ', rule.evidence),
    ):
      print(
        textwrap.fill(
          title + text, 80, initial_indent='  ', subsequent_indent='    '
        )
      )


def _check(path: pathlib.Path) -> dict:
  """Checks and prints one file; returns what JSON says of it."""
  content = reader.load(path)
  versions = (_ST_VERSION.value,) if _ST_VERSION.value else rules.BOTH_ENDS
  report = rules.check(content, versions, _ENDS.value == 'int8')
  print(f'{path}: {len(content):,} bytes')
  result = {
    'path': str(path),
    'bytes': len(content),
    'fit': report.verdict == rules.FIT,
    'verdict': report.verdict,
    'verdicts': report.verdicts,
    'ends': _ENDS.value,
    'rules': _rules(report),
    'findings': [vars(found) for found in report.findings],
  }
  if report.graph:
    costs = cost.cost(report.graph)
    foretold = _foretold_bytes(report, report.graph, costs)
    _print_costs(report, costs, foretold)
    result['cost'] = {
      **vars(costs),
      'operators': [vars(row) for row in costs.operators],
      'foretold_activation_bytes': foretold,
    }
  _print_findings(report)
  print(f'{path}: {_verdict(report)}')
  return result


def _foretold_bytes(report: rules.Report, graph, costs) -> int | None:
  is_decomposed = any(f.rule in _DECOMPOSED for f in report.findings)
  return memory.foretold_bytes(graph, costs, is_decomposed)


def _verdict(report: rules.Report) -> str:
  """The last line: verdict, by version if they differ, and the numbers."""
  words = {
    rules.FIT: 'fit for STM32N6',
    rules.SOFTWARE: 'in software in part',
    rules.REFUSED: 'refused',
  }
  by_verdict: dict[str, list[str]] = {}
  for version, verdict in report.verdicts.items():
    by_verdict.setdefault(verdict, []).append(version)
  judged = ', '.join(
    f'{words[verdict]} (ST Edge AI {" and ".join(versions)})'
    for verdict, versions in by_verdict.items()
  )
  numbers = [
    len(report.of(grade))
    for grade in (rules.REFUSED, rules.SOFTWARE, rules.NOTE)
  ]
  return '{}; findings: {} refused, {} software, {} notes'.format(
    judged, *numbers
  )


def _rules(report: rules.Report) -> list[dict]:
  """Every rule with its number of breaches; None if it was not checked."""
  broken = [found.rule for found in report.findings]
  checked = [
    {
      'rule': rule.name,
      'severity': rules.worst(list(rule.grades.values())),
      'grades': rule.grades,
      'evidence': rule.evidence,
      'breaches': broken.count(rule.name) if report.graph else None,
    }
    for rule in rule_table.RULES
  ]
  readable = {
    'rule': rules.READABLE,
    'severity': rules.REFUSED,
    'breaches': broken.count(rules.READABLE),
  }
  return [readable, *checked]


def _print_costs(
  report: rules.Report, costs: cost.Cost, foretold: int | None
) -> None:
  print(
    _ROW.format('operator', 'output', 'MACs', 'MACC', 'weights B', 'output B')
  )
  for row in costs.operators:
    print(
      _ROW.format(
        row.name,
        'x'.join(map(str, row.output_shape)),
        f'{row.macs:,}',
        f'{row.st_macc:,}',
        f'{row.weights_bytes:,}',
        f'{row.activation_bytes:,}',
      )
    )
  totals = (costs.macs, costs.st_macc, costs.weights_bytes)
  print(_ROW.format('total', '', *(f'{total:,}' for total in totals), ''))
  is_decomposed = any(f.rule in _DECOMPOSED for f in report.findings)
  why = (
    'a decomposed kernel needs much more'
    if is_decomposed
    else 'ST fuses (less) and copies (more)'
  )
  for line in memory.lines(costs, foretold, why):
    print(line)
  is_exact = set(report.operators) <= set(cost.MACC_AS_ST)
  print(_MACC_NOTE if is_exact else _MACC_BOUND)
  print(_CODES_NOTE)


def _print_findings(report: rules.Report) -> None:
  """Prints the first breaches of every rule, and how many there are."""
  by_rule: dict[str, list] = {}
  for found in report.findings:
    by_rule.setdefault(found.rule, []).append(found)
  for found in by_rule.values():
    for one in found[:_MAX_PRINTED]:
      print(f'{one}{_only(one, report)}')
    if len(found) > _MAX_PRINTED:
      rest = ', '.join(
        one.where.split(',')[0].removeprefix('operator ')
        for one in found[_MAX_PRINTED:]
      )
      print(
        f'{found[0].severity} {found[0].rule}: {len(found) - _MAX_PRINTED} '
        f'more: {rest}'
      )
  if report.graph and not report.findings:
    print(f'{len(rule_table.RULES)} rules, none broken')
  if report.operators == KNOWN_OPERATORS:
    print('A compile report of this operator sequence exists (2.2.0).')


def _only(found: rules.Finding, report: rules.Report) -> str:
  """Which versions a finding is of, if not of all."""
  worst = [v for v, grade in found.grades.items() if grade == found.severity]
  if len(worst) == len(report.versions):
    return ''
  return f' (ST Edge AI {" and ".join(worst)})'


if __name__ == '__main__':
  run(main, takes_words=True)
