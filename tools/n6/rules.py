"""What STM32N6's NPU and ST Edge AI Core make of a TFLite file, rule by rule.

  report = rules.check(content)
  if report.verdict != rules.FIT: ...

Three grades. Refused: ST's tool ends with an error. Software: it compiles,
but an operator runs on the CPU, whole or in part. Note: worth knowing. Every
rule has its grade by version and what it is known from (n6_rule_table.py); a
file that breaks none is not thereby known to compile.

The NPU accumulates convolutions at 16 bits: expect its codes to differ by
one from the reference kernels'. No rule can mend that.
"""

import dataclasses
from collections.abc import Sequence

from tools.n6.rule_table import NOTE, REFUSED, RULES, SOFTWARE, Rule
from tools.tflite import reader
from tools.tflite.graph import Graph

FIT = 'fit'
# From harmless to fatal; NOTE leaves a file fit.
_ORDER = (NOTE, SOFTWARE, REFUSED)
BOTH_ENDS = ('2.2', '4.0')
READABLE = 'readable-file'


@dataclasses.dataclass(frozen=True)
class Finding:
  """One breach of one rule.

  Attributes:
    rule: name of the rule, e.g. 'max-rank'.
    severity: the worst grade of the versions asked for.
    where: the operator and tensor, or 'file'.
    message: what is wrong there.
    remedy: how to mend it.
    grades: version → grade, for the versions asked for.
  """

  rule: str
  severity: str
  where: str
  message: str
  remedy: str
  grades: dict[str, str]

  def __str__(self) -> str:
    return (
      f'{self.severity} {self.rule}: {self.where}: {self.message}; '
      f'{self.remedy}'
    )


@dataclasses.dataclass(frozen=True)
class Report:
  """Everything that `check` found.

  Attributes:
    findings: in the order of `RULES`, then of the file.
    graph: what was read; None if the file could not be.
    versions: those asked for.
  """

  findings: list[Finding]
  graph: Graph | None
  versions: tuple[str, ...]

  def of(self, severity: str) -> list[Finding]:
    """The findings of one grade."""
    return [found for found in self.findings if found.severity == severity]

  @property
  def verdicts(self) -> dict[str, str]:
    """Version → `REFUSED`, `SOFTWARE` or `FIT`."""
    return {version: self._verdict(version) for version in self.versions}

  def _verdict(self, version: str) -> str:
    grades = [found.grades.get(version, NOTE) for found in self.findings]
    grade = worst(grades)
    return FIT if grade in (None, NOTE) else grade

  @property
  def verdict(self) -> str:
    """The worst of the versions."""
    verdicts = self.verdicts.values()
    return next((v for v in (REFUSED, SOFTWARE) if v in verdicts), FIT)

  @property
  def operators(self) -> list[str]:
    """Names of the operators in order; empty if the file is unreadable."""
    return self.graph.operator_names() if self.graph else []


def worst(grades: Sequence[str]) -> str | None:
  """The worst of some grades; None of none."""
  return max(grades, key=_ORDER.index, default=None)


def check(
  content: bytes,
  versions: tuple[str, ...] = BOTH_ENDS,
  int8_ends: bool = False,
) -> Report:
  """Holds a TFLite file against every rule.

  Args:
    content: the file's bytes; any bytes at all, however damaged.
    versions: of `rule_table.VERSIONS`, those to judge by.
    int8_ends: whether the file is for this project's firmware: int8 ends,
      and nothing that the rules of `is_own` speak of.

  Returns:
    What was found. Bytes that are no TFLite model break 'readable-file' and
    are refused; nothing else is checked.
  """
  try:
    graph = reader.read(content)
  except reader.DamagedFileError as error:
    found = Finding(
      READABLE,
      REFUSED,
      'file',
      str(error),
      'export the model again',
      dict.fromkeys(versions, REFUSED),
    )
    return Report([found], None, versions)
  findings = []
  for rule in RULES:
    grades = _grades(rule, versions, int8_ends)
    severity = worst(list(grades.values()))
    if severity is not None:
      findings += [
        Finding(rule.name, severity, where, message, rule.remedy, grades)
        for where, message in rule.find(graph)
      ]
  return Report(findings, graph, versions)


def _grades(
  rule: Rule, versions: tuple[str, ...], int8_ends: bool
) -> dict[str, str]:
  if int8_ends and rule.is_own:
    return dict.fromkeys(versions, REFUSED)
  return {v: rule.grades[v] for v in versions if v in rule.grades}
