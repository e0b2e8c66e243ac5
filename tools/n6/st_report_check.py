"""Whether a report of ST Edge AI Core is of our network, in hardware whole.

Both functions yield one line for each thing that is wrong.
"""

from collections.abc import Iterable, Iterator

from tools.n6.st_report import End, StReport
from tools.tflite import cost
from tools.tflite.graph import Graph, Tensor

# The compiler adds scales and padding to the weights: 1 % on a network of
# 49 kB (4.0.1), nothing on ours (2.2.0).
_MAX_ADDED_SHARE = 0.25
_MAX_ADDED_BYTES = 1024


def software(report: StReport) -> Iterator[str]:
  """Yields a line for each kind of epoch that is not in hardware."""
  kinds = (
    ('SW', report.num_software, 'in software'),
    ('Hybrid', report.num_hybrid, 'partly in software'),
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


def clashes(report: StReport, graph: Graph) -> Iterator[str]:
  """Yields a line for everything in which report and file differ."""
  costs = cost.cost(graph)
  pairs = [
    ('MACC', report.macc, costs.st_macc),
    ('bytes of weights', report.weights_bytes, costs.weights_bytes),
    ('operators', len(report.operators) or None, len(graph.operators)),
  ]
  for what, told, counted in pairs:
    if told is not None and told != counted:
      yield f'{told:,} {what}, {counted:,} in the TFLite file'
  if (
    len(report.operators) == len(graph.operators)
    and list(report.operators) != graph.operator_names()
  ):
    yield (
      f'operators {", ".join(report.operators)}; in the TFLite file '
      f'{", ".join(graph.operator_names())}'
    )
  yield from _weight_clash(report, costs.weights_bytes)
  for side, told, indices in (
    ('input', report.inputs, graph.inputs),
    ('output', report.outputs, graph.outputs),
  ):
    tensors = [graph.tensors[index] for index in indices]
    if told and not _same_ends(told, tensors):
      yield (f'{side} {shapes(told)}, {shapes(tensors)} in the TFLite file')


def _weight_clash(report, file_bytes: int) -> Iterator[str]:
  """Compiled weights that are too few, or far too many."""
  compiled_bytes = report.compiled_weights_bytes
  most = (1 + _MAX_ADDED_SHARE) * file_bytes + _MAX_ADDED_BYTES
  if not file_bytes <= compiled_bytes <= most:
    yield (
      f'{compiled_bytes:,} bytes of compiled weights, {file_bytes:,} in the '
      'TFLite file'
    )


def _same_ends(told, tensors) -> bool:
  """Sizes in any order, without ones: ST may list channels first."""
  if len(told) != len(tensors):
    return False
  return all(
    _sizes(end.shape) == _sizes(tensor.shape)
    and end.dtype in ('', tensor.dtype.lower())
    for end, tensor in zip(told, tensors, strict=True)
  )


def _sizes(shape: tuple[int, ...]) -> list[int]:
  return sorted(size for size in shape if size != 1)


def shapes(ends: Iterable[End | Tensor]) -> str:
  """Types and shapes in a line, e.g. 'int8[1x16]'."""
  return ', '.join(
    f'{end.dtype.lower()}[{"x".join(map(str, end.shape))}]' for end in ends
  )
