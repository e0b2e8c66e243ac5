"""Whether a report of ST Edge AI Core is of our network, in hardware whole.

Both functions yield one line for each thing that is wrong.
"""

import re
from collections.abc import Iterable, Iterator

from tools.n6 import st_report_run
from tools.n6.st_report_run import End, StReport
from tools.tflite import cost
from tools.tflite.graph import Graph, Tensor

# The compiler adds scales and padding to the weights: 2 % on ours (2.2.0), 1 %
# on a network of 49 kB (4.0.1). It blows up those of depthwise convolutions,
# to twice the whole of a MobileNet (2.1.0), and packs from 3.0 on.
_MAX_ADDED_SHARE = 0.25
_MAX_DEPTHWISE_SHARE = 3.0
_MAX_ADDED_BYTES = 1024
_MIN_PACKED_SHARE = 0.5
_UNPACKED = re.compile(r'v2\.')
# Operators that the compiler folds away, adds, or leaves to the ends.
_LOOSE = {
  *('QUANTIZE', 'DEQUANTIZE', 'RESHAPE', 'SQUEEZE', 'EXPAND_DIMS'),
  *('SHAPE', 'STRIDED_SLICE', 'PACK', 'TILE', 'FILL'),
}


def software(report: StReport) -> Iterator[str]:
  """Yields a line for each kind of epoch that is not in hardware."""
  if report.kind == st_report_run.CPU:
    yield _no_npu(report)
  in_software = 'in software'
  if report.num_hybrid is None:
    in_software += ', whole or in part'
  kinds = (
    (st_report_run.SOFTWARE, report.num_software or 0, in_software),
    (st_report_run.HYBRID, report.num_hybrid or 0, 'partly in software'),
  )
  for kind, count, how in kinds:
    named = [
      f'{epoch.name} {epoch.operator}'.strip()
      for epoch in report.not_hardware
      if epoch.kind == kind
    ]
    count = max(count, len(named))
    if count:
      yield (
        f'{count} of {report.num_epochs} epochs {how}: '
        f'{", ".join(named) or "not named"}'
      )


def _no_npu(report: StReport) -> str:
  if report.target in ('', 'stm32n6'):
    return (
      'compiled for the Cortex-M55: --st-neural-art was missing; run '
      'tools.st_edge_ai'
    )
  return f'compiled for {report.target}, not for the NPU of stm32n6'


def clashes(report: StReport, graph: Graph) -> Iterator[str]:
  """Yields a line for everything in which report and file differ."""
  if report.model and not report.model.lower().endswith('.tflite'):
    yield f'is of {report.model}, which is no TFLite file'
    return
  costs = cost.cost(graph)
  if report.weights_bytes not in (None, costs.weights_bytes):
    yield (
      f'{report.weights_bytes:,} bytes of weights, {costs.weights_bytes:,} in '
      'the TFLite file'
    )
  yield from _macc_clash(report, graph, costs.st_macc)
  yield from _operator_clash(report, graph)
  if report.kind == st_report_run.NPU:
    yield from _weight_clash(report, graph, costs.weights_bytes)
  for side, told, indices in (
    ('input', report.inputs, graph.inputs),
    ('output', report.outputs, graph.outputs),
  ):
    tensors = [graph.tensors[index] for index in indices]
    if told and not _same_ends(told, tensors):
      yield (f'{side} {shapes(told)}, {shapes(tensors)} in the TFLite file')


def _macc_clash(report, graph, counted: int) -> Iterator[str]:
  """ST counts more on some operators, never less."""
  is_exact = set(graph.operator_names()) <= set(cost.MACC_AS_ST)
  told = report.macc
  if told is not None and (told < counted or (is_exact and told != counted)):
    yield f'{told:,} MACC, {counted:,} in the TFLite file'


def _operator_clash(report, graph) -> Iterator[str]:
  told = [name for name in report.operators if name not in _LOOSE]
  names = [name for name in graph.operator_names() if name not in _LOOSE]
  if not report.operators or told == names:
    return
  if len(told) != len(names):
    yield f'{len(told)} operators, {len(names)} in the TFLite file'
  else:
    yield (
      f'operators {", ".join(told)}; in the TFLite file {", ".join(names)}'
    )


def _weight_clash(report, graph, file_bytes: int) -> Iterator[str]:
  """Compiled weights that are too few, or far too many."""
  compiled_bytes = report.compiled_weights_bytes
  is_depthwise = 'DEPTHWISE_CONV_2D' in graph.operator_names()
  share = _MAX_DEPTHWISE_SHARE if is_depthwise else _MAX_ADDED_SHARE
  most = (1 + share) * file_bytes + _MAX_ADDED_BYTES
  is_packed = not _UNPACKED.search(report.tool)
  least = _MIN_PACKED_SHARE * file_bytes if is_packed else file_bytes
  if not least <= compiled_bytes <= most:
    yield (
      f'{compiled_bytes:,} bytes of compiled weights, {file_bytes:,} in the '
      'TFLite file'
    )


def _same_ends(told, tensors) -> bool:
  """Sizes in any order, without ones: ST may list channels first.

  Types may differ where the file's are not int8: ST's options change them.
  """
  if len(told) != len(tensors):
    return False
  return all(
    _sizes(end.shape) == _sizes(tensor.shape)
    and (end.dtype in ('', 'int8') or end.dtype == tensor.dtype.lower())
    for end, tensor in zip(told, tensors, strict=True)
  )


def _sizes(shape: tuple[int, ...]) -> list[int]:
  return sorted(size for size in shape if size != 1)


def shapes(ends: Iterable[End | Tensor]) -> str:
  """Types and shapes in a line, e.g. 'int8[1x16]'."""
  return ', '.join(
    f'{end.dtype.lower()}[{"x".join(map(str, end.shape))}]' for end in ends
  )
