"""Where the emit_* commands put what they emit."""

import pathlib
from collections.abc import Mapping

from rppg_tf.files import write_bytes


def write(output_dir: str, files: Mapping[str, str | bytes]) -> None:
  """Writes files, each at once or not at all; prints what they are.

  Args:
    output_dir: made if it is not there.
    files: content by name; text is ASCII.
  """
  folder = pathlib.Path(output_dir)
  folder.mkdir(parents=True, exist_ok=True)
  for name, content in files.items():
    if isinstance(content, str):
      content = content.encode('ascii')
    write_bytes(folder / name, content)
    print(f'written: {folder / name}, {len(content):,} bytes')
