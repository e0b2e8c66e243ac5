"""Reads a network_c_info.json of ST Edge AI Core (schema 2.0).

In it a node's `macc` is 0 for the NPU and a pool's address is a decimal
number in a string. The first and last nodes of a graph for the NPU only hold
constants and the return: in 2.1 and 2.2 with the mapping of their neighbour,
from 3.0 on with none (NODE_NO_X).
"""

import json
import pathlib
import re

from rppg_tf.errors import InputError
from tools.n6 import st_report_run
from tools.n6.st_report_run import End, Epoch, Pool, StReport

_EPOCH_NAME = re.compile(r'epoch[_ ](\d+)')
_KIND_OF_NODE = re.compile(r'kind=(\w+)')
_NO_EPOCH = 'NODE_NO_X'
_HARDWARE = {'HW', 'EC'}
_SOFTWARE = {'SW'}
_FORMATS = {
  'STAI_FORMAT_S8': 'int8',
  'STAI_FORMAT_U8': 'uint8',
  'STAI_FORMAT_FLOAT': 'float32',
  'STAI_FORMAT_FLOAT32': 'float32',
  'STAI_FORMAT_S32': 'int32',
}
# What `validate` of 2.2 leaves in the place of the compiler's file.
_VALIDATE_KEYS = {
  *('inputs', 'outputs', 'activations', 'weights', 'macc', 'c_name'),
  *('name', 'model', 'network', 'report', 'c_nodes', 'nodes', 'tools'),
  *('environment', 'memory_footprint', 'memory_pools', 'buffers'),
}
_NUM_VALIDATE_KEYS = 3


def read(path: pathlib.Path, text: str) -> StReport:
  """Reads the one run that the file is of.

  Raises:
    InputError: it is no such file, or was not written whole.
  """
  try:
    info = json.loads(text.lstrip('\ufeff'))
  except (json.JSONDecodeError, RecursionError) as error:
    raise InputError(f'{path}: broken JSON; was it written whole?') from error
  if 'graphs' not in info and (
    len(_VALIDATE_KEYS & info.keys()) >= _NUM_VALIDATE_KEYS
  ):
    raise InputError(
      f"{path}: written by `validate` in the place of the compiler's (no "
      '"graphs"): read network_generate_report.txt, or run `generate` again'
    )
  try:
    return _from_info(info)
  except (
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    ValueError,
  ) as error:
    raise InputError(
      f'{path}: no network_c_info.json of ST Edge AI Core for stm32n6 '
      f'({type(error).__name__}: {error})'
    ) from error


def _from_info(info: dict) -> StReport:
  if not info['json_schema_version'].startswith('2.'):
    raise ValueError(f'schema {info["json_schema_version"]}, 2.x expected')
  graph = info['graphs'][0]
  footprint = info['memory_footprint']
  tool = _tool(info)
  arguments = tool.get('arguments') or ''
  is_onnx = tool.get('input_model', {}).get('type') == 'onnx'
  ends = {buffer['id']: _end(buffer, is_onnx) for buffer in info['buffers']}
  told = {
    'tool': _tool_name(tool),
    'command': arguments.split()[0] if arguments else '',
    'model': _model_name(tool),
    'weights_bytes': tool.get('input_model', {}).get('size') or None,
    'compiled_weights_bytes': int(footprint['weights']),
    'activations_bytes': int(footprint['activations']),
    'inputs': tuple(ends[index] for index in graph['inputs']),
    'outputs': tuple(ends[index] for index in graph['outputs']),
  }
  nodes = graph['nodes']
  if not any(_EPOCH_NAME.fullmatch(node['name']) for node in nodes):
    is_host = '--st-neural-art' in arguments
    return StReport(
      st_report_run.HOST if is_host else st_report_run.CPU,
      rewritten_macc=sum(int(node['macc']) for node in nodes) or None,
      target=_target(arguments),
      **told,
    )
  return StReport(
    st_report_run.NPU,
    pools=_pools(info),
    **_epochs([node for node in nodes if not _is_dummy(node, nodes)]),
    **told,
  )


def _tool(info: dict) -> dict:
  """What the file says of the tool itself; the compiler comes second."""
  tools = (info.get('environment') or {}).get('tools') or [{}]
  return tools[0]


def _tool_name(tool: dict) -> str:
  version = (tool.get('version') or '').split()
  return f'ST Edge AI Core v{version[0]}' if version else ''


def _model_name(tool: dict) -> str:
  files = tool.get('input_model', {}).get('model_files') or [{}]
  return st_report_run.file_name(files[0].get('name', ''))


def _target(arguments: str) -> str:
  match = re.search(r'--target[= ](\S+)', arguments)
  return match[1] if match else ''


def _is_dummy(node: dict, nodes: list[dict]) -> bool:
  """Whether a node only holds constants, or the return."""
  if node['mapping'] == _NO_EPOCH:
    return True
  return node in (nodes[0], nodes[-1]) and not node['outputs']


def _epochs(nodes: list[dict]) -> dict:
  kinds = [_kind(node['mapping']) for node in nodes]
  return {
    'num_epochs': len(nodes),
    'num_software': kinds.count(st_report_run.SOFTWARE),
    'num_hybrid': kinds.count(st_report_run.HYBRID),
    'not_hardware': tuple(
      Epoch(node['name'].replace('_', ' '), kind, _operator(node))
      for node, kind in zip(nodes, kinds, strict=True)
      if kind
    ),
  }


def _kind(mapping: str) -> str:
  """`SOFTWARE`, `HYBRID`, or '' for hardware."""
  words = set(mapping.split('_'))
  if 'HYBRID' in words or (words & _HARDWARE and words & _SOFTWARE):
    return st_report_run.HYBRID
  if words & _SOFTWARE:
    return st_report_run.SOFTWARE
  if words & _HARDWARE:
    return ''
  raise ValueError(f'a node of mapping {mapping}')


def _operator(node: dict) -> str:
  """Names of what an epoch computes, as its own nodes have them."""
  names = []
  for part in node.get('subgraph_nodes', ()):
    match = _KIND_OF_NODE.search(part.get('description') or '')
    names.append(match[1] if match else part.get('type') or '')
  return ', '.join(dict.fromkeys(filter(None, names)))


def _pools(info: dict) -> tuple[Pool, ...]:
  return tuple(
    Pool(
      pool['name'],
      int(pool['address']),
      int(pool['used_size_bytes']),
      int(pool['size_bytes']),
    )
    for pool in sorted(info['memory_pools'], key=_address)
    # A pool made of others only says what those say.
    if int(pool['used_size_bytes']) and not pool['subpools']
  )


def _address(pool: dict) -> int:
  return int(pool['address'])


def _end(buffer: dict, is_onnx: bool) -> End:
  """An end with channels last, as text reports have it.

  The shape is that of the model's file: ONNX has channels first. Of TFLite's
  images `channel_first` is true as well.
  """
  shape = tuple(int(size) for size in buffer['shape'])
  is_first = buffer.get('channel_first') and not buffer.get('channel_last')
  if is_onnx and is_first and len(shape) == 4:
    shape = (shape[0], *shape[2:], shape[1])
  name = buffer['format']
  return End(shape, _FORMATS.get(name) or name)
