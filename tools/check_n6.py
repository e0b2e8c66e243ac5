"""Holds TFLite files against the rules of STM32N6; prints what they cost.

  python -m tools.check_n6 rppg_tf/pretrained/spatial_int8.tflite

Exit code 0 only if no file breaks a hard rule. The rules are in n6/rules.py.
"""

import json
import pathlib

from absl import flags

from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from tools.n6 import rules as n6_rules
from tools.tflite import cost, reader

# AXISRAM3 to 6, which ST's reports call npuRAM3 to 6.
NUM_POOLS = 4
POOL_BYTES = 448 * 1024
# Of one rule in one file; the rest is counted. The JSON has all.
_MAX_PRINTED = 3
_ROW = '{:<22}{:<18}{:>12}{:>12}{:>11}{:>11}'
_NOTES = (
  'MACC is counted as ST counts it: biases, activations, pools and means too.',
  'The NPU accumulates at 16 bits: expect codes to differ by 1 from LiteRT.',
)

_JSON = flags.DEFINE_string(
  'json', None, 'File that the findings and costs are written to.'
)


def main(words: list[str]) -> int:
  """Checks every file named; returns 1 if one is unfit."""
  if not words:
    raise InputError('name a file: python -m tools.check_n6 model.tflite')
  results = [_check(pathlib.Path(word)) for word in words]
  if _JSON.value:
    path = pathlib.Path(_JSON.value)
    beside = path.with_name(f'.{path.name}')
    beside.write_text(json.dumps({'files': results}, indent=2) + '\n')
    beside.replace(path)
  return 0 if all(result['fit'] for result in results) else 1


def _check(path: pathlib.Path) -> dict:
  """Checks and prints one file; returns what JSON says of it."""
  content = reader.load(path)
  report = n6_rules.check(content)
  print(f'{path}: {len(content):,} bytes')
  result = {'path': str(path), 'bytes': len(content), 'fit': not report.hard}
  result['rules'] = _rules(report)
  result['findings'] = [vars(found) for found in report.findings]
  if report.graph:
    costs = cost.cost(report.graph)
    _print_costs(costs)
    result['cost'] = _cost_values(costs)
  _print_findings(report)
  num_warnings = len(report.findings) - len(report.hard)
  print(
    f'{path}: {"unfit" if report.hard else "fit"} for STM32N6; hard rules '
    f'broken {len(report.hard)} times, warnings {num_warnings}'
  )
  return result


def _rules(report: n6_rules.Report) -> list[dict]:
  """Every rule with its number of breaches; None if it was not checked."""
  broken = [found.rule for found in report.findings]
  rules = [
    {
      'rule': rule.name,
      'severity': rule.severity,
      'breaches': broken.count(rule.name) if report.graph else None,
    }
    for rule in n6_rules.RULES
  ]
  readable = {
    'rule': n6_rules.READABLE,
    'severity': n6_rules.HARD,
    'breaches': broken.count(n6_rules.READABLE),
  }
  return [readable, *rules]


def _print_costs(costs: cost.Cost) -> None:
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
  print(
    f'activations at most: {costs.peak_bytes:,} B one operator at a time, '
    f'{costs.fused_peak_bytes:,} B ({costs.fused_peak_bytes / 1024:.3f} kB) '
    'with pools done in their convolutions, as the NPU does'
  )
  print(pools_line(costs))
  for note in _NOTES:
    print(note)


def pools_line(costs: cost.Cost) -> str:
  """Says what of the NPU's memory pools the network fills."""
  num_pools = -(-costs.fused_peak_bytes // POOL_BYTES)
  if num_pools > NUM_POOLS:
    held = f'not held by npuRAM3-6 ({NUM_POOLS} x 448 kB): external RAM'
  else:
    share = 100 * costs.fused_peak_bytes / (max(num_pools, 1) * POOL_BYTES)
    held = (
      f'held by {max(num_pools, 1)} of npuRAM3-6 (448 kB each), '
      f'{share:.2f} % of it'
    )
  return (
    f'pools: activations {held}; weights {costs.weights_bytes:,} B in flash'
  )


def _cost_values(costs: cost.Cost) -> dict:
  return {
    **vars(costs),
    'operators': [vars(row) for row in costs.operators],
  }


def _print_findings(report: n6_rules.Report) -> None:
  """Prints the first breaches of every rule, and how many there are."""
  by_rule: dict[str, list] = {}
  for found in report.findings:
    by_rule.setdefault(found.rule, []).append(found)
  for found in by_rule.values():
    for one in found[:_MAX_PRINTED]:
      print(one)
    if len(found) > _MAX_PRINTED:
      print(f'… {found[0].rule}: {len(found) - _MAX_PRINTED} more')
  if report.graph and not report.findings:
    print(f'{len(n6_rules.RULES)} rules, none broken')
  if report.operators == n6_rules.KNOWN_OPERATORS:
    print('A compile report of this operator sequence exists (2.2.0).')


if __name__ == '__main__':
  run(main, takes_words=True)
