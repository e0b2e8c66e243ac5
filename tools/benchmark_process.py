"""Calls a function in a process of its own: what `process.measure` starts."""

import importlib
import json
import pathlib

from rppg_tf import entry_point


def main(words: list[str]) -> None:
  """Calls the function of a module; prints what it returns as JSON."""
  module, function, *folders = words
  call = getattr(importlib.import_module(module), function)
  print(json.dumps(call(*map(pathlib.Path, folders))))


if __name__ == '__main__':
  entry_point.run(main, takes_words=True)
