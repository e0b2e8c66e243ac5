"""The commands that pip installs.

rppg-measure, rppg-train, rppg-evaluate and rppg-web.
"""

import runpy
import sys


def measure() -> None:
  """Runs `python -m rppg_tf.predict`."""
  _run('rppg_tf.predict', 'plot')


def train() -> None:
  """Runs `python -m rppg_tf.train`."""
  _run('rppg_tf.train', 'train')


def evaluate() -> None:
  """Runs `python -m rppg_tf.evaluate`."""
  _run('rppg_tf.evaluate', 'train')


def web() -> None:
  """Runs `python -m rppg_tf.web`."""
  runpy.run_module('rppg_tf.web', run_name='__main__', alter_sys=True)


def _run(module: str, extra: str) -> None:
  """Runs a module as `python -m` does, which --help and workers rely on.

  Args:
    module: its name.
    extra: of pyproject.toml, with the packages that the base does not have.
  """
  try:
    runpy.run_module(module, run_name='__main__', alter_sys=True)
  except ModuleNotFoundError as error:
    package = (error.name or '').split('.')[0]
    if package in ('', __package__):
      raise
    print(
      f"error: {package} is not installed: pip install 'rppg_tf[{extra}]'",
      file=sys.stderr,
    )
    sys.exit(1)
