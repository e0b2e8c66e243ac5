"""INT8 CNN of a TFLite file → spatial_cnn_params.{h,c} for port/portable.

python -m tools.emit_spatial_cnn --run_dir=build/demo/run
"""

import pathlib

from absl import flags

from rppg_tf import run_directory
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from tools.codegen import files as emitted_files
from tools.codegen.spatial_cnn import render_spatial_cnn

_RUN_DIR = flags.DEFINE_string(
  'run_dir',
  str(run_directory.PRETRAINED),
  'Run directory after tools.export_tflite; default: the model that ships.',
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', 'firmware/generated', 'Folder for spatial_cnn_params.{h,c}.'
)


def main() -> None:
  """Emits the run's CNN."""
  path = pathlib.Path(_RUN_DIR.value) / run_directory.INT8_MODEL
  if not path.is_file():
    raise InputError(f'{path}: not there; run tools.export_tflite first')
  try:
    files = render_spatial_cnn(path)
  except ValueError as error:
    raise InputError(f'{path}: {error}') from None
  emitted_files.write(_OUTPUT_DIR.value, files)


if __name__ == '__main__':
  run(main)
