"""Where the emit_* commands put their C."""

import pathlib

from rppg_tf.files import write_bytes


def write(output_dir: str, files: dict[str, str]) -> None:
  """Writes ASCII files, each at once or not at all; prints what they are.

  Args:
    output_dir: made if it is not there.
    files: text by name.
  """
  folder = pathlib.Path(output_dir)
  folder.mkdir(parents=True, exist_ok=True)
  for name, text in files.items():
    write_bytes(folder / name, text.encode('ascii'))
    print(f'written: {folder / name}, {len(text):,} bytes')
