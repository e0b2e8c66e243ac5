"""The rules of n6_rules as data: grade by version, remedy, evidence."""

import dataclasses
from collections.abc import Callable, Iterator

from tools.n6 import operator_rules as operators
from tools.n6 import shape_rules as shapes
from tools.n6 import type_rules as types
from tools.tflite.graph import Graph

REFUSED = 'refused'
SOFTWARE = 'software'
NOTE = 'note'
VERSIONS = ('2.2', '3.0', '4.0')


@dataclasses.dataclass(frozen=True)
class Rule:
  """One rule.

  Attributes:
    name: what findings call it.
    grades: version → `REFUSED`, `SOFTWARE` or `NOTE`; versions that a breach
      means nothing to are left out.
    is_own: whether a file for this project's firmware must keep it: a breach
      is `REFUSED` where int8 ends are asked for.
    find: yields (where, message) for every breach in a graph.
    remedy: how to mend a breach.
    evidence: version and report, or document, that it is known from.
  """

  name: str
  grades: dict[str, str]
  is_own: bool
  find: Callable[[Graph], Iterator[tuple[str, str]]]
  remedy: str
  evidence: str

  @property
  def meaning(self) -> str:
    """What a breach is, from the function that finds it."""
    return (self.find.__doc__ or '').splitlines()[0]


def _all(grade: str) -> dict[str, str]:
  return dict.fromkeys(VERSIONS, grade)


_NO_RUN = 'no run is known'
_DOCUMENTS = "ST's documents; no report shows it"
_INT8_FORMATS = (
  '3.0.0 documents: the NPU takes 8-bit weights, signed and symmetric, on '
  'signed activations; the CPU runs the rest'
)
_ENDS = '2.2.0 to 4.0.1: files with such ends compiled with this option'

RULES = (
  Rule(
    'well-formed',
    _all(REFUSED),
    True,
    shapes.ill_formed,
    'export the model again: LiteRT would refuse this file too',
    f'{_NO_RUN}; LiteRT refuses such a file',
  ),
  Rule(
    'not-empty',
    _all(REFUSED),
    True,
    shapes.nothing_computed,
    'export the network itself: ST fails on a graph that computes nothing',
    "2.x, users: 'NoneType' object is not subscriptable; INTERNAL ERROR: "
    "'input'",
  ),
  Rule(
    'control-flow',
    _all(REFUSED),
    True,
    shapes.control_flow,
    'leave loops and conditions out of the export',
    '3.0.0 documents: in no list of operators',
  ),
  Rule(
    'one-graph',
    _all(NOTE),
    True,
    shapes.several_graphs,
    'leave further signatures out of the export',
    _NO_RUN,
  ),
  Rule(
    'static-shape',
    _all(REFUSED),
    True,
    shapes.dynamic_shapes,
    'trace the model at its fixed shape (TensorSpec without None)',
    '2.2.0, report of the six operators: a batch of -1 in shape_signature '
    'alone compiles',
  ),
  Rule(
    'open-input',
    _all(NOTE),
    True,
    shapes.open_inputs,
    'trace the model at its fixed shape (TensorSpec without None)',
    _NO_RUN,
  ),
  Rule(
    'max-rank',
    _all(REFUSED),
    True,
    shapes.too_many_dimensions,
    'keep time and ROI out of the file: one image per run',
    '2.x, users: Unexpected combination of configuration and input shape',
  ),
  Rule(
    'batch-one',
    _all(REFUSED),
    True,
    shapes.batches,
    'trace at batch 1 and run the network once per image',
    '2.x, users: a convolution over several images failed',
  ),
  Rule(
    'image-input',
    _all(NOTE),
    True,
    shapes.not_images,
    'feed [1, height, width, channels] with 1, 3 or 4 channels',
    'seen to fail as an empty graph only; int8 [1, 30, 128] and '
    '[1, 80, 800] compiled',
  ),
  Rule(
    'hardware-operators',
    _all(SOFTWARE),
    True,
    operators.software_operators,
    'replace it, or compute it on the CPU outside the file',
    'reports: SOFTMAX (2.1.0 to 3.0.0), RESIZE_BILINEAR, RESIZE_NEAREST and '
    'TRANSPOSE_CONV (hybrid); 3.0.0 documents: the list of operators',
  ),
  Rule(
    'transpose',
    _all(SOFTWARE),
    True,
    operators.transposes,
    'keep channels last from end to end',
    '2.1.0, report: one at the input is hardware; 2.2.0, blazeface: those '
    'that PAD brings are hybrid',
  ),
  Rule(
    'pad-channels',
    _all(SOFTWARE),
    True,
    operators.padded_channels,
    'widen the convolution before it instead',
    '2.2.0, blazeface: 22 hybrid epochs, two for each of 11 PADs',
  ),
  Rule(
    'concat-channels',
    _all(SOFTWARE),
    True,
    operators.joined_channels,
    'make the channels of each part a multiple of 8, or hand the parts out',
    'reports: 8 of 18 in yolov8, 3 of 16 in yolo-x, those with 12 + 3 + 3 '
    'channels; the multiple is our reading of them',
  ),
  Rule(
    'single-value',
    _all(SOFTWARE),
    True,
    operators.single_values,
    'use MUL, or FULLY_CONNECTED on [1, C]',
    'reports: 16 of 16 in software',
  ),
  Rule(
    'single-pixel',
    _all(NOTE),
    True,
    operators.single_pixels,
    'FULLY_CONNECTED on [1, C] is in hardware',
    'those of one channel ran in software (single-value); no other is known',
  ),
  Rule(
    'stride',
    _all(SOFTWARE),
    True,
    shapes.odd_strides,
    'use stride 1, 2 or 4',
    'reports: stride 3 brings a SpaceToDepth in software, 2 of 2',
  ),
  Rule(
    'global-mean',
    _all(SOFTWARE),
    True,
    shapes.partial_means,
    'average over height and width of an image, axes 1 and 2',
    'reports (2.1.0 to 4.0.0): hardware over 64x64, 64x32, 9x9, 8x4, 7x7, '
    '3x3; no other is known',
  ),
  Rule(
    'no-quantize',
    _all(SOFTWARE),
    True,
    types.inner_conversions,
    'quantise the whole model',
    'reports: DEQUANTIZE in software',
  ),
  Rule(
    'no-float',
    _all(SOFTWARE),
    True,
    types.floats,
    'quantise the whole model to int8 (tools.export_tflite)',
    '3.0.0 documents: layers in float run on the CPU',
  ),
  Rule(
    'no-hybrid',
    _all(SOFTWARE),
    True,
    types.hybrids,
    'dynamic-range quantisation is not enough: give the converter activation '
    'ranges',
    '3.0.0 documents: layers in float run on the CPU',
  ),
  Rule(
    'int8-input',
    _all(NOTE),
    True,
    types.inputs_not_int8,
    "give ST's tool --input-data-type int8 (uint8 for camera pixels)",
    _ENDS,
  ),
  Rule(
    'int8-output',
    _all(NOTE),
    True,
    types.outputs_not_int8,
    "give ST's tool --output-data-type int8",
    f'{_ENDS}; without it DEQUANTIZE is an epoch in software',
  ),
  Rule(
    'int8-activations',
    _all(SOFTWARE),
    True,
    types.activations_not_int8,
    'quantise activations to int8, one scale and zero-point per tensor',
    _INT8_FORMATS,
  ),
  Rule(
    'int8-weights',
    _all(REFUSED),
    True,
    types.weights_not_int8,
    'quantise weights to int8',
    f'{_NO_RUN}; LiteRT refuses such a file',
  ),
  Rule(
    '4-bit-weights',
    {'2.2': NOTE},
    True,
    types.weights_of_4_bits,
    'quantise weights to int8, or use 3.0 or later',
    '3.0.0 on: native',
  ),
  Rule(
    'constant-weights',
    _all(SOFTWARE),
    True,
    types.computed_weights,
    'use constant weights',
    _NO_RUN,
  ),
  Rule(
    'symmetric-weights',
    _all(SOFTWARE),
    True,
    types.asymmetric_weights,
    'quantise weights symmetrically, zero-point 0',
    _INT8_FORMATS,
  ),
  Rule(
    'per-channel-weights',
    {},
    True,
    types.per_tensor_weights,
    'quantise weights with one scale per output channel',
    '2.2.0, reports: one scale per tensor is hardware too',
  ),
  Rule(
    'int32-biases',
    _all(REFUSED),
    True,
    types.biases_not_int32,
    'quantise biases to int32, zero-point 0',
    f'{_NO_RUN}; LiteRT refuses such a file',
  ),
  Rule(
    'conv-kernel',
    _all(NOTE),
    False,
    shapes.large_kernels,
    'keep to 3 high (5 from 4.0 on) and 6 wide (12 at stride 2 or more)',
    '7x7 on 64x64x3: 5 epochs, 0 in software, 1,323,303 B (2.2) and '
    '1,585,447 B (4.0: HW timeout on the board) where 3x3 needs 12,304 B',
  ),
  Rule(
    'conv-kernel-5',
    {'2.2': NOTE, '3.0': NOTE},
    False,
    shapes.high_kernels,
    'keep to 3 high before 4.0',
    '4.0, report: 5x5 in one epoch',
  ),
  Rule(
    'pool-window',
    _all(NOTE),
    False,
    shapes.large_pools,
    'pool over at most 3x3; use MEAN for a global pool',
    _DOCUMENTS,
  ),
  Rule(
    'pool-stride',
    _all(NOTE),
    False,
    shapes.odd_pool_strides,
    'use stride 1, 2 or 4',
    _DOCUMENTS,
  ),
  Rule(
    'line-buffer',
    _all(NOTE),
    False,
    shapes.wide_features,
    'keep width times input channels within 2048',
    _DOCUMENTS,
  ),
  Rule(
    'padding',
    _all(NOTE),
    False,
    shapes.wide_padding,
    'pad by at most 2',
    _DOCUMENTS,
  ),
  Rule(
    'dilation',
    _all(NOTE),
    False,
    shapes.dilations,
    'use dilation 1',
    _DOCUMENTS,
  ),
  Rule(
    'residual-scales',
    {'4.0': NOTE},
    False,
    types.unequal_scales,
    'give both inputs one scale: wrong sums were reported (4.0.1)',
    '4.0.1, users',
  ),
  Rule(
    'depthwise-stride',
    {'4.0': NOTE},
    False,
    shapes.strided_depthwise,
    'pool or stride in another layer: stalls on the board were reported '
    '(4.0.1)',
    '4.0.1, users',
  ),
  Rule(
    'split-activation',
    {'4.0': NOTE},
    False,
    operators.split_activations,
    'put the activation right behind its convolution: stalls on the board '
    'were reported (4.0.1)',
    '4.0.1, users',
  ),
  Rule(
    'relu-zero-point',
    _all(NOTE),
    False,
    types.wasted_codes,
    'let the range begin at 0, or codes below zero are never used',
    'arithmetic: true of every version',
  ),
)
