"""Shapes, rates and regions that Python and C share → rppg_contract.h.

python -m tools.emit_contract --output_dir=firmware/generated
"""

import pathlib

from absl import flags

from rppg_tf import run_directory
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from tools.codegen import files as emitted_files
from tools.codegen.contract import render_contract

_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', 'firmware/generated', 'Folder for rppg_contract.h.'
)
_RUN_DIR = flags.DEFINE_string(
  'run_dir',
  str(run_directory.PRETRAINED),
  'Run directory; default: the model that ships.',
)


def main() -> None:
  """Emits the header."""
  run_dir = pathlib.Path(_RUN_DIR.value)
  trained = run_directory.read_flags(run_dir)
  if trained['background'] != 'normalise':
    raise InputError(
      f'{run_dir}: trained with --background={trained["background"]}; the '
      'firmware computes normalise only'
    )
  emitted_files.write(
    _OUTPUT_DIR.value, render_contract(trained['roi_geometry'])
  )


if __name__ == '__main__':
  run(main)
