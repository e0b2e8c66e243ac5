"""The package: what it declares, needs, holds, and says where parts miss."""

import ast
import functools
import importlib
import pathlib
import re
import runpy
import sys
import tomllib

import pytest

import rppg_tf
from rppg_tf import console, run_directory
from tests.support import commands

_PROJECT = tomllib.loads((commands.ROOT / 'pyproject.toml').read_text())
_PACKAGES = ('rppg_tf', 'tfds_ubfc')
# Import names that are not those of their distributions.
_DISTRIBUTIONS = {
  'absl': 'absl-py',
  'cv2': 'opencv-python',
  'markupsafe': 'jinja2',
  'skimage': 'scikit-image',
}
# A tool, which only a checkout has, in a text.
_TOOL = re.compile(r'\btools\.[a-z]\w+')


# --- Papers -----------------------------------------------------------------


def test_the_version_is_one():
  version = _PROJECT['project']['version']
  assert rppg_tf.__version__ == version
  citation = (commands.ROOT / 'CITATION.cff').read_text()
  assert re.search(r'^version: (\S+)$', citation, re.M)[1] == version
  changes = (commands.ROOT / 'CHANGELOG.md').read_text()
  assert re.search(r'^## (\S+)', changes, re.M)[1] == version


def test_the_licence_goes_along():
  project = _PROJECT['project']
  assert project['license'] == 'Apache-2.0'
  assert project['license-files'] == ['LICENSE', 'NOTICE']
  text = (commands.ROOT / 'LICENSE').read_text()
  assert 'Apache License' in text and 'Version 2.0' in text
  assert not any('License ::' in name for name in project['classifiers'])


def test_the_model_that_ships_is_in_the_package():
  patterns = _PROJECT['tool']['setuptools']['package-data']['rppg_tf']
  packed = {
    path
    for pattern in patterns
    for path in (commands.ROOT / 'rppg_tf').glob(pattern)
  }
  assert set(run_directory.PRETRAINED.iterdir()) <= packed
  assert run_directory.PRETRAINED / run_directory.INT8_MODEL in packed
  assert any(path.suffix == '.flags' for path in packed)


def test_every_folder_with_modules_is_a_package():
  for package in _PACKAGES:
    for path in (commands.ROOT / package).rglob('*.py'):
      assert (path.parent / '__init__.py').is_file(), path


# --- What is imported -------------------------------------------------------


@functools.cache
def _tree(path: pathlib.Path) -> ast.Module:
  return ast.parse(path.read_text())


def _modules() -> list[pathlib.Path]:
  return [
    path
    for package in _PACKAGES
    for path in sorted((commands.ROOT / package).rglob('*.py'))
  ]


def _imported(nodes) -> set[str]:
  """Full names of what import statements bring."""
  names = set()
  for node in nodes:
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and not node.level:
      names |= {f'{node.module}.{alias.name}' for alias in node.names}
  return names


def _foreign(names: set[str]) -> set[str]:
  """The distributions that are neither ours nor Python's."""
  roots = {name.split('.')[0] for name in names}
  roots -= {*_PACKAGES, *sys.stdlib_module_names}
  return {_normal(_DISTRIBUTIONS.get(root, root)) for root in roots}


def _normal(name: str) -> str:
  return name.lower().replace('_', '-')


def _declared(requirements: list[str]) -> set[str]:
  """Distributions that requirements name, those of extras within."""
  found = set()
  for text in requirements:
    name, extras = re.match(r'([\w-]+)(?:\[([\w,]+)\])?', text).groups()
    if name != _PROJECT['project']['name']:
      found.add(_normal(name))
    for extra in extras.split(',') if name == 'rppg_tf' else ():
      found |= _declared(_PROJECT['project']['optional-dependencies'][extra])
  return found


_BASE = _declared(_PROJECT['project']['dependencies'])


def test_the_extras_are_there():
  extras = _PROJECT['project']['optional-dependencies']
  assert {'train', 'tfds', 'plot', 'pytorch', 'onnx', 'dev'} == set(extras)
  for requirements in extras.values():
    assert _declared(requirements)


def test_what_trains_plots_and_builds_is_declared():
  extras = _PROJECT['project']['optional-dependencies']
  declared = _BASE | _declared(extras['tfds'] + extras['plot'])
  imported = set()
  for path in _modules():
    imported |= _foreign(_imported(ast.walk(_tree(path))))
  assert imported <= declared
  # The other way round: nothing is installed that nothing here imports.
  assert imported >= _BASE


def test_what_measures_needs_the_base_alone():
  ours, foreign = set(), set()
  waiting = {'rppg_tf.predict', 'rppg_tf.console'}
  while waiting:
    name = waiting.pop()
    ours.add(name)
    path = commands.ROOT / f'{name.replace(".", "/")}.py'
    # Imports within functions are of what a flag asks for.
    names = _imported(_tree(path).body)
    foreign |= _foreign(names)
    for found in names:
      for part in (found, found.rpartition('.')[0]):
        if (commands.ROOT / f'{part.replace(".", "/")}.py').is_file():
          waiting |= {part} - ours
  assert {'rppg_tf.measurement', 'rppg_tf.faces.detector'} <= ours
  assert foreign == _BASE


# --- What is said -----------------------------------------------------------


def _texts(node: ast.AST):
  """Yields the strings in code, each whole; docstrings are none."""
  if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
    return
  if isinstance(node, ast.JoinedStr):
    parts = [part for part in node.values if isinstance(part, ast.Constant)]
    yield ''.join(part.value for part in parts)
  elif isinstance(node, ast.Constant):
    if isinstance(node.value, str):
      yield node.value
  else:
    for child in ast.iter_child_nodes(node):
      yield from _texts(child)


def test_who_has_a_wheel_is_not_sent_to_tools_as_if_they_were_there():
  texts = [text for path in _modules() for text in _texts(_tree(path))]
  named = [text for text in texts if _TOOL.search(text)]
  assert named
  assert [text for text in named if 'checkout' not in text] == []


def test_the_commands_are_there():
  for target in _PROJECT['project']['scripts'].values():
    module, function = target.split(':')
    assert callable(getattr(importlib.import_module(module), function))


def test_a_package_that_misses_is_one_line(monkeypatch, capsys):
  def without_tensorflow(*_, **__):
    raise ModuleNotFoundError('No module', name='tensorflow.keras')

  monkeypatch.setattr(runpy, 'run_module', without_tensorflow)
  with pytest.raises(SystemExit, match='1'):
    console.train()
  assert capsys.readouterr().err == (
    "error: tensorflow is not installed: pip install 'rppg_tf[train]'\n"
  )
