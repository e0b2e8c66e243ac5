"""OpenCV's cascade of a frontal face → face_cascade.{h,c} for the firmware.

python -m tools.emit_face_cascade --output_dir=firmware/generated
"""

import pathlib

import cv2.data
from absl import flags

from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from rppg_tf.faces import detector
from tools.codegen import files as emitted_files
from tools.codegen.face_cascade import render_face_cascade

_CASCADE = flags.DEFINE_string(
  'cascade',
  None,
  f'Path of a cascade; default: {detector.CASCADE_FILE} of the installed '
  'opencv-python.',
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', 'firmware/generated', 'Folder for face_cascade.{h,c}.'
)


def main() -> None:
  """Emits the cascade."""
  default = pathlib.Path(cv2.data.haarcascades) / detector.CASCADE_FILE
  path = pathlib.Path(_CASCADE.value or default)
  if not path.is_file():
    raise InputError(f'{path}: not there; give --cascade=FILE')
  try:
    files = render_face_cascade(path)
  except ValueError as error:
    raise InputError(f'{path}: {error}') from None
  emitted_files.write(_OUTPUT_DIR.value, files)


if __name__ == '__main__':
  run(main)
