"""Weights of UltraLightRPPG in the files in which PyTorch users keep them.

They are found by the names of its tensors: bare or at any place in a
checkpoint, behind any prefix (`module.` of DataParallel, `model.` or `net.` of
Lightning, `_orig_mod.` of torch.compile). What else a checkpoint holds
(optimiser, hyper-parameters) is not read: a class that its pickle names
becomes a stand-in that does nothing, and nothing of the file is run.
"""

import collections
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from rppg_tf.errors import InputError
from tools.pytorch_bridge import file as pytorch_file
from tools.pytorch_bridge import weights

# Containers within containers that are looked into.
_MAX_DEPTH = 4


class State(NamedTuple):
  """A state_dict and where it was.

  Attributes:
    arrays: float32 by name, without the prefix.
    place: keys that lead to it and prefix, joined by dots; may be empty.
    num_left_out: other tensors beside them.
  """

  arrays: dict[str, np.ndarray]
  place: str
  num_left_out: int


class _StandIn:
  """Takes the place of any object of a pickle; keeps nothing of it."""

  pickled_name = ''
  holds_modules = False

  def __new__(cls, *args, **kwargs):
    del args, kwargs
    return super().__new__(cls)

  def __init__(self, *args, **kwargs):
    del args, kwargs

  def __setstate__(self, state):
    self.holds_modules = isinstance(state, dict) and '_modules' in state


class _Candidate(NamedTuple):
  """Tensors of which some have names of UltraLightRPPG's."""

  place: str
  prefix: str
  num_found: int
  tensors: dict[str, torch.Tensor]


def read_state(path: pathlib.Path, place: str | None = None) -> State:
  """Reads the weights of a checkpoint.

  Args:
    path: of torch.save, any version of it, or of safetensors.
    place: which, if there are several; as State.place.

  Raises:
    InputError: unreadable, a pickled model or a program, no weights, several.
  """
  content = _load(path)
  found = list(_candidates(content))
  num_wanted = len(weights.required_names())
  whole = [one for one in found if one.num_found == num_wanted]
  if place is not None:
    whole = [one for one in whole if one.place == place]
  if len(whole) > 1 or (place is not None and not whole):
    places = ', '.join(
      repr(one.place) for one in found if one.num_found == num_wanted
    )
    raise InputError(
      f'{path}: weights at {places or "no place"}; choose one by --state'
    )
  # Of incomplete ones to_keras says what is missing.
  best = max(whole or found, key=lambda one: one.num_found, default=None)
  if best is None:
    raise InputError(f'{path}: {_nothing_found(content)}')
  arrays = {
    name.removeprefix(best.prefix): _array(path, name, tensor)
    for name, tensor in best.tensors.items()
    if name.startswith(best.prefix)
  }
  return State(arrays, best.place, len(best.tensors) - len(arrays))


def _load(path: pathlib.Path):
  if path.suffix == '.safetensors' and path.is_file():
    return _load_safetensors(path)
  stand_ins = [
    (type('StandIn', (_StandIn,), {'pickled_name': name}), name)
    for name in pytorch_file.unknown_names(path)
  ]
  return pytorch_file.load(path, stand_ins)


def _load_safetensors(path: pathlib.Path) -> dict[str, torch.Tensor]:
  try:
    import safetensors.torch
  except ImportError:
    raise InputError(
      'safetensors is not installed; run `pip install -e .[pytorch]`'
    ) from None
  try:
    return safetensors.torch.load_file(path)
  except safetensors.SafetensorError as error:
    raise InputError(f'{path}: cannot be read ({error})') from None


def _containers(content, place: str = '', depth: int = 0) -> Iterator[tuple]:
  """Yields (place, mapping) of every dictionary, the outermost first."""
  if isinstance(content, dict):
    yield place, content
    items = content.items()
  elif isinstance(content, list | tuple):
    items = enumerate(content)
  else:
    return
  if depth < _MAX_DEPTH:
    for key, value in items:
      yield from _containers(value, f'{place}.{key}'.lstrip('.'), depth + 1)


def _candidates(content) -> Iterator[_Candidate]:
  """Yields tensors by name with what prefix they are UltraLightRPPG's."""
  wanted = weights.required_names()
  for place, mapping in _containers(content):
    tensors = {
      name: value
      for name, value in mapping.items()
      if isinstance(name, str) and isinstance(value, torch.Tensor)
    }
    prefixes = collections.Counter(
      name.removesuffix(one)
      for name in tensors
      for one in wanted
      if name == one or name.endswith(f'.{one}')
    )
    if tensors and len(tensors) == len(mapping) and not prefixes:
      prefixes[''] = 0  # a state_dict, but of another model
    for prefix, num_found in prefixes.items():
      full = '.'.join(filter(None, (place, prefix.rstrip('.'))))
      yield _Candidate(full, prefix, num_found, tensors)


def _nothing_found(content) -> str:
  models = [content] + [
    value for _, mapping in _containers(content) for value in mapping.values()
  ]
  for model in models:
    if isinstance(model, _StandIn) and model.holds_modules:
      return (
        f'a whole model ({model.pickled_name}) was pickled, whose code is not '
        'run; in PyTorch, torch.save(model.state_dict(), PATH) and give that'
      )
  what = type(content).__name__
  if isinstance(content, _StandIn):
    what = content.pickled_name
  elif isinstance(content, dict):
    what = f'a dictionary of {", ".join(map(str, list(content)[:5]))}'
  return f'expected a state_dict, bare or in a checkpoint, got {what}'


def _array(path: pathlib.Path, name: str, tensor: torch.Tensor) -> np.ndarray:
  if (
    tensor.layout != torch.strided
    or tensor.device.type != 'cpu'
    or tensor.is_quantized
    or tensor.is_complex()
  ):
    raise InputError(
      f'{path}: {name}: expected a plain tensor of real numbers, got '
      f'{tensor.dtype}, {tensor.layout} on {tensor.device}; save the float '
      'model'
    )
  return tensor.detach().float().numpy()
