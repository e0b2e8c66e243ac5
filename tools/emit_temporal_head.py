"""Head of an INT8 run → temporal_head.{h,c}, self-contained C99, and .npz.

  python -m tools.emit_temporal_head --run_dir=build/demo/run

Input of the C are int8 features with the scale and zero-point of the run's
spatial_int8.tflite. temporal_head.npz holds the weights of a pulse head for
machines without a C compiler. The same run gives the same bytes.
"""

import pathlib

from absl import flags

from rppg_tf import run_directory
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from rppg_tf.inference import numpy_head
from rppg_tf.inference.int8_cnn import Int8SpatialCnn
from rppg_tf.model import loading
from tools.codegen import files as emitted_files
from tools.codegen.temporal_head import render_temporal_head

_RUN_DIR = flags.DEFINE_string(
  'run_dir', None, 'Run directory after tools.export_tflite.', required=True
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', 'firmware/generated', 'Folder for temporal_head.{h,c,npz}.'
)


def main() -> None:
  """Emits the run's head."""
  run_dir = pathlib.Path(_RUN_DIR.value)
  head = loading.load_int8_head(run_dir)
  cnn = Int8SpatialCnn(run_dir / run_directory.INT8_MODEL)
  try:
    files: dict[str, str | bytes] = {
      **render_temporal_head(head, cnn.output_scale, cnn.output_zero_point)
    }
  except ValueError as error:
    raise InputError(f'{run_dir}: {error}') from None
  if head.name == 'pulse_head':
    files[run_directory.HEAD_TABLE] = numpy_head.content(
      head, cnn.output_scale, cnn.output_zero_point
    )
  emitted_files.write(_OUTPUT_DIR.value, files)


if __name__ == '__main__':
  run(main)
