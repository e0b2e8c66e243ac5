"""port/stm32n6 against headers as ST declares them: ours, and ST's own.

ST's headers may not be copied here. `ST_HEADERS=DIR pytest
tests/firmware/st_headers_test.py` compiles both ports against every copy of
LL_ATON below DIR: `Middlewares/ST/AI` of an installed ST Edge AI Core, a
project that has it, or a folder of several. What DIR lacks of CMSIS, HAL and
the generated stai_network.h is taken from firmware/test/st_names.
"""

import os
import pathlib
import re
import shutil
import subprocess
from typing import NamedTuple

import pytest

from tools.firmware_runner import stream

pytestmark = pytest.mark.slow

_FIRMWARE = stream.FIRMWARE
_NAMES = _FIRMWARE / 'test/st_names'
_PORTS = ('ll_aton', 'stai')
_VARIABLES = ('CROSS', 'M55', 'WARNINGS', 'ST_DEFINES')

# Beside LL_ATON's own folder: one header of each folder that it needs.
_ELSEWHERE = (
  'ATON.h',
  'mcu_cache.h',
  'npu_cache.h',
  'stai.h',
  'stm32n6xx.h',
  'core_cm55.h',
  'stm32n6xx_hal.h',
  'stm32n6xx_hal_conf.h',
)
# What the rest of the program defines: ST's runtime and generated network.
_ST_DEFINES = re.compile(
  r'LL_ATON_RT_\w+|LL_ATON_\w+_network|mcu_cache_\w+|stai_\w+|SCB_\w+'
  r'|wait_for_event'
)
# Of CMSIS and HAL, what ST's headers need to be read at all.
_DEVICE = """
#include_next <stm32n6xx.h>
#define NPU_BASE_S 0x580E0000UL
#define NPU_BASE_NS 0x480E0000UL
#define __STATIC_FORCEINLINE static inline
#define __DSB() ((void)0)
"""
# The generated file of another network, with the sizes of ours.
_OTHER_NETWORK = """
#include_next <stai_network.h>
#undef STAI_NETWORK_IN_1_SIZE_BYTES
#define STAI_NETWORK_IN_1_SIZE_BYTES (3888)
#undef STAI_NETWORK_OUT_1_SIZE_BYTES
#define STAI_NETWORK_OUT_1_SIZE_BYTES (16)
"""
# What an application of ST's calls its own.
_APPLICATIONS = {
  'll_aton': '#include "ll_aton_runtime.h"\n'
  'LL_ATON_DECLARE_NAMED_NN_INSTANCE_AND_INTERFACE(network)\n'
  'void *application(void);\n'
  'void *application(void) { return &NN_Instance_network; }\n',
  'stai': '#include "stai_network.h"\n'
  'STAI_NETWORK_CONTEXT_DECLARE(network_context, STAI_NETWORK_CONTEXT_SIZE)\n'
  'void *application(void);\n'
  'void *application(void) { return network_context; }\n',
}


class Headers(NamedTuple):
  """Include folders of one copy of ST's headers."""

  folders: list[pathlib.Path]
  version: str
  from_st_names: list[str]


# --- Finding them ------------------------------------------------------------


def _copies() -> list[pathlib.Path]:
  """Folders of LL_ATON below $ST_HEADERS."""
  root = os.environ.get('ST_HEADERS')
  if not root:
    return []
  found = pathlib.Path(root).resolve().rglob('ll_aton_runtime.h')
  copies = [path.parent for path in found]
  return sorted(
    copy for copy in copies if (copy / 'll_aton_NN_interface.h').exists()
  )


def _shared_parts(path: pathlib.Path, other: pathlib.Path) -> int:
  parts = zip(path.parts, other.parts, strict=False)
  return next(
    (index for index, (one, two) in enumerate(parts) if one != two),
    min(len(path.parts), len(other.parts)),
  )


def _nearest(name: str, copy: pathlib.Path) -> pathlib.Path | None:
  """The file of that name that belongs to a copy, STM32N6's where many do."""
  found = pathlib.Path(os.environ['ST_HEADERS']).resolve().rglob(name)
  return max(
    found,
    key=lambda path: (
      _shared_parts(path, copy),
      'n6' in str(path.parent).lower(),
      -len(path.parts),
    ),
    default=None,
  )


def _find(copy: pathlib.Path, folder: pathlib.Path) -> Headers:
  """Include folders of a copy; `folder` is filled with what it lacks."""
  found = {name: _nearest(name, copy) for name in _ELSEWHERE}
  missing = [name for name, path in found.items() if path is None]
  folders = [folder, copy, *(path.parent for path in found.values() if path)]
  if 'stm32n6xx.h' in missing:
    (folder / 'stm32n6xx.h').write_text(_DEVICE)
    (folder / 'stm32n6xx_hal.h').write_text('#include "stm32n6xx.h"\n')
    folders.append(folder / 'device')
    folders[-1].mkdir()
    shutil.copy(_NAMES / 'stm32n6xx.h', folders[-1])
  for name in {'mcu_cache.h', 'stai.h'} & set(missing):
    shutil.copy(_NAMES / name, folder)
  generated = _nearest('stai_network.h', copy)
  if generated and (copy / 'll_aton_stai_internal.h').exists():
    (folder / 'stai_network.h').write_text(_OTHER_NETWORK)
    folders.append(generated.parent)
  else:
    missing.append('stai_network.h')
    shutil.copy(_NAMES / 'stai_network.h', folder)
  version = copy / 'll_aton_version.h'
  name = re.search(r'_NAME\s+"(.*)"', version.read_text())[1]
  return Headers(folders, name, missing)


def _identify(copy: object) -> str:
  return copy if isinstance(copy, str) else str(copy)[-40:]


@pytest.fixture(
  scope='module', params=['st_names', *(_copies() or [None])], ids=_identify
)
def headers(request, tmp_path_factory) -> Headers:
  """Ours, then each copy below $ST_HEADERS."""
  if request.param is None:
    pytest.skip(
      'ST_HEADERS is not set to a folder with ll_aton_runtime.h, such as '
      'Middlewares/ST/AI of ST Edge AI Core'
    )
  if request.param == 'st_names':
    return Headers([_NAMES], 'st_names', [])
  found = _find(request.param, tmp_path_factory.mktemp('st'))
  print(f'{found.version}: ours: {", ".join(found.from_st_names) or "nothing"}')
  return found


# --- Compiling ---------------------------------------------------------------


@pytest.fixture(scope='module')
def variables() -> dict[str, list[str]]:
  """Of firmware/Makefile."""
  made = stream.make(
    'generated/rppg_contract.h', *(f'print-{name}' for name in _VARIABLES)
  )
  stream.check_made(made)
  return {
    name: re.search(rf'^{name} = (.*)$', made.stdout, re.M)[1].split()
    for name in _VARIABLES
  }


@pytest.fixture
def compiler(headers, variables, tmp_path):
  """Compiles C for the Cortex-M55 and returns the finished process."""
  words = [f'{variables["CROSS"][0]}gcc', *variables['M55'], '-O2']
  words += variables['WARNINGS']
  own = [f'-I{_FIRMWARE / name}' for name in ('include', 'generated')]
  system = [word for path in headers.folders for word in ('-isystem', path)]

  def run(*arguments: object, defines=variables['ST_DEFINES']):
    return subprocess.run(
      [*words, *own, *system, *defines, *map(str, arguments)],
      cwd=tmp_path,
      capture_output=True,
      text=True,
      check=False,
    )

  return run


def _port(name: str) -> pathlib.Path:
  return _FIRMWARE / f'port/stm32n6/rppg_cnn_{name}.c'


def _compile(compiler, source, target: str) -> None:
  done = compiler('-c', source, '-o', target)
  assert done.returncode == 0, done.stderr[:2000]
  assert done.stderr == ''


def _undefined(path: pathlib.Path, variables) -> set[str]:
  nm = f'{variables["CROSS"][0]}nm'
  output = subprocess.check_output([nm, '-u', path], text=True)
  return {line.split()[-1] for line in output.splitlines()}


def _write_stubs(path: pathlib.Path, names: set[str]) -> None:
  """C that defines what ST's runtime and generated network would."""
  lines = [f'void {name}(void);\nvoid {name}(void) {{}}' for name in names]
  lines.append(
    '#include "rppg_cnn.h"\nvoid *application(void);\n'
    'static int8_t input[RPPG_CNN_INPUT_BYTES];\n'
    'static int8_t output[RPPG_CNN_OUTPUT_BYTES];\n'
    'int main(void) {\n'
    '  int status = rppg_cnn_init() + rppg_cnn_run(input, output);\n'
    '  rppg_cnn_deinit();\n'
    '  return status + (application() == 0);\n}\n'
  )
  path.write_text('\n'.join(lines))


@pytest.mark.parametrize('port', _PORTS)
def test_it_compiles_and_links_beside_an_application_of_st(
  compiler, variables, tmp_path, port
):
  _compile(compiler, _port(port), 'port.o')
  (tmp_path / 'application.c').write_text(_APPLICATIONS[port])
  _compile(compiler, 'application.c', 'application.o')
  wanted = _undefined(tmp_path / 'port.o', variables)
  wanted |= _undefined(tmp_path / 'application.o', variables)
  wanted -= {'memcpy'}
  assert [name for name in wanted if not _ST_DEFINES.fullmatch(name)] == []
  _write_stubs(tmp_path / 'stubs.c', wanted)
  objects = ['port.o', 'application.o', 'stubs.c']
  done = compiler(*objects, '--specs=nosys.specs', '-o', 'program.elf')
  assert 'error' not in done.stderr, done.stderr
  assert done.returncode == 0, done.stderr
  assert _undefined(tmp_path / 'program.elf', variables) == set()


def test_the_network_may_have_another_name(compiler, variables, tmp_path):
  done = compiler('-DRPPG_NETWORK=Default', '-c', _port('ll_aton'), '-o', 'a.o')
  assert done.returncode == 0, done.stderr
  names = _undefined(tmp_path / 'a.o', variables)
  assert 'LL_ATON_Input_Buffers_Info_Default' in names
  assert [name for name in names if name.endswith('_network')] == []


@pytest.mark.parametrize('port', _PORTS)
@pytest.mark.parametrize('name', ['LL_ATON_PLATFORM', 'LL_ATON_OSAL'])
def test_it_stops_without_a_platform_or_an_osal(
  compiler, variables, port, name
):
  defines = [
    word for word in variables['ST_DEFINES'] if f'-D{name}=' not in word
  ]
  assert len(defines) == len(variables['ST_DEFINES']) - 1
  done = compiler('-c', _port(port), '-o', 'a.o', defines=defines)
  assert done.returncode != 0
  assert re.search(rf'#error.*{name}', done.stderr)


# --- What the headers must notice --------------------------------------------


def test_a_name_that_is_a_macro_is_not_expanded(compiler, tmp_path):
  text = _port('ll_aton').read_text()
  call = '\nRPPG_DECLARE_NETWORK(RPPG_NETWORK)\n'
  assert call in text
  macro = 'LL_ATON_DECLARE_NAMED_NN_INSTANCE_AND_INTERFACE'
  spoilt = tmp_path / 'spoilt.c'
  spoilt.write_text(text.replace(call, f'\n{macro}(RPPG_NETWORK)\n'))
  done = compiler('-c', spoilt, '-o', 'a.o')
  assert done.returncode != 0
  assert "'NN_Interface_RPPG_NETWORK' undeclared" in done.stderr


def test_the_context_is_external(compiler, tmp_path):
  text = _port('stai').read_text()
  spoilt = tmp_path / 'spoilt.c'
  spoilt.write_text(text.replace('rppg_cnn_context', 'network_context'))
  (tmp_path / 'application.c').write_text(_APPLICATIONS['stai'])
  done = compiler('-r', '-nostdlib', spoilt, 'application.c', '-o', 'a.o')
  assert done.returncode != 0
  assert "multiple definition of `network_context'" in done.stderr
