"""Prints what ST Edge AI Core says of a network; fails if it is not ours.

  python -m tools.read_st_report build/st/network_analyze_report.txt \
    build/st/network_c_info.json --model=build/run/spatial_int8.tflite

Reads text reports, logs of the Developer Cloud and of AI Studio, and
network_c_info.json. Fails if an epoch runs in software, whole or in part, if
nothing was compiled for the NPU, or if the network is not that of the TFLite
file: operators, MACC, weights, input and output.
"""

import pathlib
import sys

from absl import flags

from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from tools.n6 import st_report_table

_MODEL = flags.DEFINE_string(
  'model', None, 'TFLite file that the reports should be of.'
)
_RUN = flags.DEFINE_integer(
  'run',
  None,
  'Number of the one run to read in a log of several; default: all.',
  lower_bound=1,
)


def main(words: list[str]) -> int:
  """Reads, prints and judges every file named; returns 1 on a failure."""
  if not words:
    raise InputError('name a network_*_report.txt or a network_c_info.json')
  model = pathlib.Path(_MODEL.value) if _MODEL.value else None
  failures = []
  for word in words:
    failures += st_report_table.print_and_judge(
      pathlib.Path(word), model, _RUN.value
    )
  for failure in failures:
    print(f'error: {failure}', file=sys.stderr)
  return 1 if failures else 0


if __name__ == '__main__':
  run(main, takes_words=True)
