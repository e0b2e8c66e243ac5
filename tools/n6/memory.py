"""What is known of the memory that a network's activations take on STM32N6.

ST's compiler fuses, which takes less than one operator at a time, and copies
and decomposes, which takes more. Its figure is foretold for chains of
convolutions, pools and means alone: 9,072 B for the CNN of this project
(2.2.0), 12,304 B for a convolution and a mean at 64x64 (2.2.0 and 4.0.0).
"""

from tools.tflite import cost
from tools.tflite.graph import Graph

# AXISRAM3 to 6, which ST's reports call npuRAM3 to 6, and AXISRAM2, cpuRAM2,
# which the compiler fills before external RAM.
NUM_NPU_POOLS = 4
NPU_POOL_BYTES = 448 * 1024
CPU_POOL_BYTES = 1024 * 1024
_CHAINED = ('CONV_2D', *cost.POOLS, 'MEAN')


def foretold_bytes(
  graph: Graph, costs: cost.Cost, is_decomposed: bool
) -> int | None:
  """Bytes of activations in ST's report; None where nobody can say.

  Args:
    graph: the network.
    costs: of `tflite_cost.cost`.
    is_decomposed: whether a kernel of it is decomposed.
  """
  is_chain = all(
    after.inputs[:1] == before.outputs
    for before, after in zip(graph.operators, graph.operators[1:], strict=False)
  )
  ends = [graph.tensors[index] for index in (*graph.inputs, *graph.outputs)]
  if (
    is_decomposed
    or not is_chain
    or not set(graph.operator_names()) <= set(_CHAINED)
    or any(tensor.dtype != 'INT8' for tensor in ends)
  ):
    return None
  return costs.fused_peak_bytes


def lines(costs: cost.Cost, foretold: int | None, why: str) -> list[str]:
  """What is said of activations and pools.

  Args:
    costs: of `tflite_cost.cost`.
    foretold: of `foretold_bytes`.
    why: reason for which nothing is foretold.
  """
  if foretold is not None:
    return [
      f'activations: {foretold:,} B ({foretold / 1024:.3f} kB), pools and '
      'means done in their convolutions, as the NPU does',
      f'pools: activations {_held(foretold)}; weights '
      f'{costs.weights_bytes:,} B in flash',
    ]
  return [
    f'activations: at least {costs.ends_bytes:,} B (inputs or outputs); '
    f'{costs.peak_bytes:,} B one operator at a time, which is no bound: {why}',
    f'pools: what is sure {_held(costs.ends_bytes)}; weights '
    f'{costs.weights_bytes:,} B in flash',
  ]


def _held(num_bytes: int) -> str:
  """Which pools hold so much."""
  num_pools = max(-(-num_bytes // NPU_POOL_BYTES), 1)
  if num_pools <= NUM_NPU_POOLS:
    share = 100 * num_bytes / (num_pools * NPU_POOL_BYTES)
    return (
      f'held by {num_pools} of npuRAM3-6 (448 kB each), {share:.2f} % of it'
    )
  if num_bytes <= NUM_NPU_POOLS * NPU_POOL_BYTES + CPU_POOL_BYTES:
    return 'held by npuRAM3-6 (4 x 448 kB) with cpuRAM2 (1 MB)'
  return 'not held by npuRAM3-6 (4 x 448 kB) and cpuRAM2 (1 MB): external RAM'
