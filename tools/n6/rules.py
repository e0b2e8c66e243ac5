"""What STM32N6's NPU and ST Edge AI Core ask of a TFLite file, rule by rule.

  report = n6_rules.check(content)
  if report.hard: ...

A hard rule is one whose breach makes ST's tool refuse the file or leaves an
operator to the CPU; a warning costs time, or has been seen to go wrong. The
rules are those of ST Edge AI Core 2.2 (docs/architecture.md); a file that
breaks none is not thereby known to compile.

The NPU accumulates convolutions at 16 bits: expect its codes to differ by
one from the reference kernels'. No rule can mend that.
"""

import dataclasses
from collections.abc import Callable, Iterator

from tools.n6 import shape_rules, type_rules
from tools.tflite import reader
from tools.tflite.graph import Graph

HARD = 'hard'
WARNING = 'warning'
READABLE = 'readable-file'
# A compile report of this sequence exists: 5 epochs, 0 in software.
KNOWN_OPERATORS = [
  'CONV_2D',
  'MAX_POOL_2D',
  'CONV_2D',
  'MAX_POOL_2D',
  'CONV_2D',
  'MEAN',
]


@dataclasses.dataclass(frozen=True)
class Finding:
  """One breach of one rule.

  Attributes:
    rule: name of the rule, e.g. 'max-rank'.
    severity: `HARD` or `WARNING`.
    where: the operator and tensor, or 'file'.
    message: what is wrong there.
    remedy: how to mend it.
  """

  rule: str
  severity: str
  where: str
  message: str
  remedy: str

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
  """

  findings: list[Finding]
  graph: Graph | None

  @property
  def hard(self) -> list[Finding]:
    """The findings that forbid the file."""
    return [found for found in self.findings if found.severity == HARD]

  @property
  def operators(self) -> list[str]:
    """Names of the operators in order; empty if the file is unreadable."""
    return self.graph.operator_names() if self.graph else []


@dataclasses.dataclass(frozen=True)
class Rule:
  """One rule.

  Attributes:
    name: what findings call it.
    severity: `HARD` or `WARNING`.
    find: yields (where, message) for every breach in a graph.
    remedy: how to mend a breach.
  """

  name: str
  severity: str
  find: Callable[[Graph], Iterator[tuple[str, str]]]
  remedy: str


RULES = (
  Rule(
    'well-formed',
    HARD,
    shape_rules.ill_formed,
    'export the model again: LiteRT would refuse this file too',
  ),
  Rule(
    'not-empty',
    HARD,
    shape_rules.nothing_computed,
    'export the network itself: ST fails on a graph that computes nothing',
  ),
  Rule(
    'one-graph',
    HARD,
    shape_rules.several_graphs,
    'leave loops, conditions and further signatures out of the export',
  ),
  Rule(
    'static-shape',
    HARD,
    shape_rules.dynamic_shapes,
    'trace the model at its fixed shape (TensorSpec without None)',
  ),
  Rule(
    'max-rank',
    HARD,
    shape_rules.too_many_dimensions,
    'keep time and ROI out of the file: one image per run',
  ),
  Rule(
    'batch-one',
    HARD,
    shape_rules.batches,
    'trace at batch 1 and run the network once per image',
  ),
  Rule(
    'image-input',
    HARD,
    shape_rules.not_images,
    'feed [1, height, width, channels] with 1, 3 or 4 channels',
  ),
  Rule(
    'hardware-operators',
    HARD,
    type_rules.software_operators,
    'replace it, or compute it on the CPU outside the file',
  ),
  Rule(
    'no-quantize',
    HARD,
    type_rules.conversions,
    'convert with inference_input_type and inference_output_type int8, and '
    'quantise the whole model',
  ),
  Rule(
    'no-float',
    HARD,
    type_rules.floats,
    'quantise the whole model to int8 (tools.export_tflite)',
  ),
  Rule(
    'no-hybrid',
    HARD,
    type_rules.hybrids,
    'dynamic-range quantisation is not enough: give the converter activation '
    'ranges',
  ),
  Rule(
    'int8-io',
    HARD,
    type_rules.io_not_int8,
    'convert with inference_input_type and inference_output_type int8',
  ),
  Rule(
    'int8-activations',
    HARD,
    type_rules.activations_not_int8,
    'quantise activations to int8, one scale and zero-point per tensor',
  ),
  Rule(
    'int8-weights',
    HARD,
    type_rules.weights_not_int8,
    'quantise weights to int8',
  ),
  Rule(
    'symmetric-weights',
    HARD,
    type_rules.asymmetric_weights,
    'quantise weights symmetrically, zero-point 0',
  ),
  Rule(
    'per-channel-weights',
    HARD,
    type_rules.per_tensor_weights,
    'quantise weights with one scale per output channel',
  ),
  Rule(
    'int32-biases',
    HARD,
    type_rules.biases_not_int32,
    'quantise biases to int32, zero-point 0',
  ),
  Rule(
    'global-mean',
    HARD,
    shape_rules.partial_means,
    'average over height and width of an image, axes 1 and 2',
  ),
  Rule(
    'conv-kernel',
    WARNING,
    shape_rules.large_kernels,
    'at most 3 high, 6 wide (12 at stride 2 or more): a larger one is '
    'decomposed, which is slower',
  ),
  Rule(
    'pool-window',
    WARNING,
    shape_rules.large_pools,
    'pool over at most 3x3; use MEAN for a global pool',
  ),
  Rule(
    'line-buffer',
    WARNING,
    shape_rules.wide_features,
    'keep width times input channels within 2048',
  ),
  Rule('padding', WARNING, shape_rules.wide_padding, 'pad by at most 2'),
  Rule('stride', WARNING, shape_rules.odd_strides, 'use stride 1, 2 or 4'),
  Rule('dilation', WARNING, shape_rules.dilations, 'use dilation 1'),
  Rule(
    'residual-scales',
    WARNING,
    type_rules.unequal_scales,
    'give both inputs one scale: wrong sums were reported (4.0.1)',
  ),
  Rule(
    'depthwise-stride',
    WARNING,
    shape_rules.strided_depthwise,
    'pool or stride in another layer: hangs were reported',
  ),
  Rule(
    'relu-zero-point',
    WARNING,
    type_rules.wasted_codes,
    'let the range begin at 0, or codes below zero are never used',
  ),
)


def check(content: bytes) -> Report:
  """Holds a TFLite file against every rule.

  Args:
    content: the file's bytes; any bytes at all, however damaged.

  Returns:
    What was found. Bytes that are no TFLite model break 'readable-file', a
    hard rule, and nothing else is checked.
  """
  try:
    graph = reader.read(content)
  except reader.DamagedFileError as error:
    remedy = 'export the model again'
    return Report([Finding(READABLE, HARD, 'file', str(error), remedy)], None)
  findings = [
    Finding(rule.name, rule.severity, where, message, rule.remedy)
    for rule in RULES
    for where, message in rule.find(graph)
  ]
  return Report(findings, graph)
