"""Files that are written whole or not at all, and JSON."""

import json
import os
import pathlib
import tempfile
from typing import Any

from rppg_tf.errors import InputError


def write_bytes(path: pathlib.Path, content: bytes) -> None:
  """Writes a file whole or not at all: beside it first, then renamed."""
  handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
  try:
    with os.fdopen(handle, 'wb') as file:
      file.write(content)
    os.chmod(beside, 0o644)
    os.replace(beside, path)
  except BaseException:
    os.unlink(beside)
    raise


def write_json(path: pathlib.Path, content: Any) -> None:
  """Writes indented JSON, whole or not at all."""
  text = json.dumps(content, indent=2, sort_keys=True)
  write_bytes(path, f'{text}\n'.encode())


def read_json(path: pathlib.Path) -> Any:
  """Reads JSON; a missing or damaged file is an InputError."""
  try:
    return json.loads(path.read_text())
  except FileNotFoundError:
    raise InputError(
      f'{path}: not there; is {path.parent} a run directory of rppg_tf.train?'
    ) from None
  except ValueError as error:
    raise InputError(f'{path}: not JSON ({error}); train anew') from None
