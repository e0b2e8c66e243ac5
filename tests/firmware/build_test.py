"""The firmware's own tests, its analysis, and what must not compile or pass."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from rppg_tf import run_directory
from tests.support import bad_models
from tools.codegen import spatial_cnn
from tools.firmware_runner import stream

_FIRMWARE = stream.FIRMWARE
_MODEL = run_directory.PRETRAINED / run_directory.INT8_MODEL
_CC = 'gcc -std=c99 -Wall -Wextra -Werror -Iinclude -Igenerated -Isrc'.split()


def _make(*targets: str) -> str:
  done = stream.make(*targets)
  assert done.returncode == 0, f'{done.stdout[-3000:]}\n{done.stderr[-3000:]}'
  return done.stdout


@pytest.mark.slow
def test_make_test_passes_on_the_host_and_on_the_m55():
  output = _make('test')
  assert 'api_test: passed' in output
  assert output.count('npu_test: passed') == 2
  assert 'estimates: the same' in output
  assert 'test-m55: the same bits as on the host' in output


@pytest.mark.slow
@pytest.mark.parametrize('checker', ['gcc', 'tidy', 'misra'])
def test_static_analysis_finds_nothing(checker):
  assert 'nothing' in _make(f'analyse-{checker}')


# --- What must be noticed ----------------------------------------------------


@pytest.fixture(scope='module')
def sources(tmp_path_factory):
  """A copy of firmware/ to spoil."""
  _make('generated')
  folder = tmp_path_factory.mktemp('spoilt') / 'firmware'
  shutil.copytree(_FIRMWARE, folder, ignore=shutil.ignore_patterns('build'))
  return folder


@pytest.fixture(scope='module')
def st_names() -> list[str]:
  """What the Makefile compiles port/stm32n6 with."""
  line = re.search(r'^ST_NAMES = (.*)$', _make('print-ST_NAMES'), re.M)
  return line[1].split()


def _spoil(folder, name: str, old: str, new: str):
  """Replaces text in a file; returns what puts it back."""
  path = folder / name
  text = path.read_text()
  assert old in text, f'{name} has no {old!r}'
  path.write_text(text.replace(old, new, 1))
  return lambda: path.write_text(text)


def _compile(folder, *words: str) -> subprocess.CompletedProcess:
  return subprocess.run(
    [*_CC, *words], cwd=folder, capture_output=True, text=True, check=False
  )


@pytest.mark.slow
@pytest.mark.parametrize(
  ('file', 'old', 'new', 'unit', 'message'),
  [
    (
      'generated/rppg_contract.h',
      'RPPG_GRID_RATE_HZ 30',
      'RPPG_GRID_RATE_HZ 25',
      'src/rppg.c',
      'for another grid',
    ),
    (
      'generated/temporal_head.h',
      'HEAD_NUM_ROI_FEATURES 48',
      'HEAD_NUM_ROI_FEATURES 32',
      'src/rppg.c',
      'another number of features',
    ),
    (
      'generated/temporal_head.h',
      'TEMPORAL_HEAD_MAX_BPM 180',
      'TEMPORAL_HEAD_MAX_BPM 158',
      'src/rppg.c',
      'other heart rates',
    ),
    (
      'include/rppg.h',
      'RPPG_STATE_BYTES 67000',
      'RPPG_STATE_BYTES 50000',
      'src/rppg.c',
      'rppg_state_is_too_large',
    ),
    (
      'generated/spatial_cnn_params.h',
      'OUTPUT_SCALE_BITS 0x',
      'OUTPUT_SCALE_BITS 0x1',
      'port/portable/spatial_cnn.c',
      'of different runs',
    ),
    (
      'generated/spatial_cnn_params.h',
      'WEIGHTS_ID 0x',
      'WEIGHTS_ID 0x1',
      'generated/spatial_cnn_params.c',
      'of different files',
    ),
    (
      'generated/face_cascade.h',
      'CASCADE_ID 0x',
      'CASCADE_ID 0x1',
      'generated/face_cascade.c',
      'of different files',
    ),
  ],
)
def test_files_of_another_contract_do_not_compile(
  sources, file, old, new, unit, message
):
  assert _compile(sources, '-c', unit, '-o', 'unit.o').returncode == 0
  restore = _spoil(sources, file, old, new)
  done = _compile(sources, '-c', unit, '-o', 'unit.o')
  restore()
  assert done.returncode != 0
  assert message in done.stderr


_LL_ATON_MUTATIONS = {
  'no refill': ('  memcpy(npu_input, input, RPPG_CNN_INPUT_BYTES);\n', ''),
  'refill after cleaning': (
    '  memcpy(npu_input, input, RPPG_CNN_INPUT_BYTES);\n'
    '  (void)mcu_cache_clean_invalidate_range(\n'
    '      address(npu_input, 0u), address(npu_input, RPPG_CNN_INPUT_BYTES));',
    '  (void)mcu_cache_clean_invalidate_range(\n'
    '      address(npu_input, 0u), address(npu_input, RPPG_CNN_INPUT_BYTES));\n'
    '  memcpy(npu_input, input, RPPG_CNN_INPUT_BYTES);',
  ),
  'not cleaned': (
    '(void)mcu_cache_clean_invalidate_range(\n'
    '      address(npu_input, 0u), address(npu_input, RPPG_CNN_INPUT_BYTES));',
    '',
  ),
  'cleaned in part': (
    'address(npu_input, RPPG_CNN_INPUT_BYTES));',
    'address(npu_input, RPPG_CNN_INPUT_BYTES / 2));',
  ),
  'not invalidated': (
    '(void)mcu_cache_invalidate_range(\n'
    '        address(npu_output, 0u), address(npu_output, '
    'RPPG_CNN_OUTPUT_BYTES));',
    '',
  ),
  'copied before invalidating': (
    '    (void)mcu_cache_invalidate_range(',
    '    memcpy(output, npu_output, RPPG_CNN_OUTPUT_BYTES);\n'
    '    output = (int8_t[16]){0};\n'
    '    (void)mcu_cache_invalidate_range(',
  ),
  'not initialised': ('  LL_ATON_RT_Init_Network(&RPPG_NN_INSTANCE);\n', ''),
  'initialised before cleaning': (
    '  memcpy(npu_input, input, RPPG_CNN_INPUT_BYTES);',
    '  LL_ATON_RT_Init_Network(&RPPG_NN_INSTANCE);\n'
    '  memcpy(npu_input, input, RPPG_CNN_INPUT_BYTES);',
  ),
  'not de-initialised': (
    '  LL_ATON_RT_DeInit_Network(&RPPG_NN_INSTANCE);\n',
    '',
  ),
  'not waited': ('      LL_ATON_OSAL_WFE();\n', ''),
  'NO_WFE taken for an error': (
    'else if (result != LL_ATON_RT_NO_WFE)',
    'else if (result == LL_ATON_RT_NO_WFE)',
  ),
  'one block only': ('step < RPPG_NPU_MAX_STEPS', 'step < 1'),
  'runtime not started': ('  LL_ATON_RT_RuntimeInit();\n', ''),
  'size not checked': (
    'LL_Buffer_len(&inputs[0]) != (uint32_t)RPPG_CNN_INPUT_BYTES',
    '0',
  ),
  'status dropped': ('  return status;\n}', '  return RPPG_CNN_OK;\n}'),
}
_STAI_MUTATIONS = {
  'no refill': ('  memcpy(npu_input, input, RPPG_CNN_INPUT_BYTES);\n', ''),
  'not cleaned': (
    '  SCB_CleanInvalidateDCache_by_Addr(npu_input, RPPG_CNN_INPUT_BYTES);\n',
    '',
  ),
  'refill after cleaning': (
    '  memcpy(npu_input, input, RPPG_CNN_INPUT_BYTES);\n'
    '  SCB_CleanInvalidateDCache_by_Addr(npu_input, '
    'RPPG_CNN_INPUT_BYTES);\n',
    '  SCB_CleanInvalidateDCache_by_Addr(npu_input, '
    'RPPG_CNN_INPUT_BYTES);\n'
    '  memcpy(npu_input, input, RPPG_CNN_INPUT_BYTES);\n',
  ),
  'not invalidated': (
    '  SCB_InvalidateDCache_by_Addr(npu_output, RPPG_CNN_OUTPUT_BYTES);\n',
    '',
  ),
  'invalidated before the run': (
    '  if (stai_network_run(',
    '  SCB_InvalidateDCache_by_Addr(npu_output, RPPG_CNN_OUTPUT_BYTES);\n'
    '  if (stai_network_run(',
  ),
  'status dropped': (
    'if (stai_network_run(rppg_cnn_context, STAI_MODE_SYNC) != STAI_SUCCESS)',
    'if (stai_network_run(rppg_cnn_context, STAI_MODE_SYNC) < 0)',
  ),
  'network not started': (
    ' ||\n      (stai_network_init(rppg_cnn_context) != STAI_SUCCESS)',
    '',
  ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
  ('port', 'name'),
  [('ll_aton', name) for name in _LL_ATON_MUTATIONS]
  + [('stai', name) for name in _STAI_MUTATIONS],
)
def test_the_npu_test_notices(sources, st_names, port, name):
  mutations = _LL_ATON_MUTATIONS if port == 'll_aton' else _STAI_MUTATIONS
  file = f'port/stm32n6/rppg_cnn_{port}.c'
  words = [*st_names, '-Wno-all', '-Wno-extra', 'test/npu_test.c']
  words += [file, '-o', 'npu_test', *(['-DUSE_STAI'] * (port == 'stai'))]
  restore = _spoil(sources, file, *mutations[name])
  compiled = _compile(sources, *words)
  restore()
  assert compiled.returncode == 0, compiled.stderr
  run = subprocess.run(
    ['./npu_test'], cwd=sources, capture_output=True, text=True, check=False
  )
  assert run.returncode == 1, f'{port}: {name}: not noticed'
  assert re.search(r'npu_test\.c:\d+: ', run.stdout)


# --- The CNN's parameters ----------------------------------------------------


def test_the_same_file_gives_the_same_parameters():
  files = spatial_cnn.render_spatial_cnn(_MODEL)
  assert files == spatial_cnn.render_spatial_cnn(_MODEL)
  assert set(files) == {'spatial_cnn_params.h', 'spatial_cnn_params.c'}


def test_factors_are_split_as_tflite_splits_them():
  rng = np.random.default_rng(1)
  for factor in [*rng.uniform(1e-4, 0.999, 200), 0.5, 0.25]:
    multiplier, shift = spatial_cnn.quantise_multiplier(float(factor))
    assert 2**30 <= multiplier < 2**31
    assert multiplier / 2**31 / 2**shift == pytest.approx(factor, rel=1e-9)
  for factor in (0.0, 1.0, 2.5):
    with pytest.raises(ValueError, match='rescaling factor: expected'):
      spatial_cnn.quantise_multiplier(factor)
  multiplier, shift = spatial_cnn.mean_multiplier(2.7, 81)
  assert multiplier / 2**31 / 2**shift == pytest.approx(2.7 / 81, rel=1e-8)


@pytest.mark.parametrize(
  ('name', 'words'),
  [
    ('softmax', 'expected the operators CONV_2D'),
    ('uint8', 'expected int8 of one scale'),
    ('asymmetric_weights', 'expected symmetric 3x3 weights'),
  ],
)
def test_another_network_is_refused(tmp_path, name, words):
  path = tmp_path / 'model.tflite'
  path.write_bytes(bad_models.content(name))
  with pytest.raises(ValueError, match=words):
    spatial_cnn.render_spatial_cnn(path)
