"""The firmware as a library: CMake, the example, and what its papers say."""

import pathlib
import re
import subprocess
import tomllib

import cv2
import numpy as np
import pytest

from rppg_tf.faces import detector
from tests.support import commands
from tools.firmware_runner import stream

pytestmark = pytest.mark.slow

_FIRMWARE = stream.FIRMWARE
_HEADER = (_FIRMWARE / 'include/rppg.h').read_text()
_DETECTOR_HEADER = (_FIRMWARE / 'include/rppg_detector.h').read_text()
_README = (_FIRMWARE / 'README.md').read_text()


def _run(*words: object) -> subprocess.CompletedProcess:
  return subprocess.run(
    list(map(str, words)), capture_output=True, text=True, check=False
  )


def _run_well(*words: object) -> str:
  done = _run(*words)
  assert done.returncode == 0, f'{done.stdout[-2000:]}\n{done.stderr[-2000:]}'
  return done.stdout


def _readme_block(language: str) -> str:
  """The first block of code of a language in firmware/README.md."""
  return re.search(rf'```{language}\n(.*?)```', _README, re.S)[1]


@pytest.fixture(scope='module')
def generated() -> pathlib.Path:
  """The folder of the C that is emitted from the shipped model."""
  names = ('rppg_contract.h', 'temporal_head.c', 'face_cascade.c')
  names += ('spatial_cnn_params.c',)
  made = stream.make(*(f'generated/{name}' for name in names))
  stream.check_made(made)
  return _FIRMWARE / 'generated'


@pytest.fixture(scope='module')
def example(generated, tmp_path_factory) -> pathlib.Path:
  """The example, built by CMake as firmware/README.md does."""
  build = tmp_path_factory.mktemp('cmake')
  _run_well('cmake', '-S', _FIRMWARE, '-B', build, '-DRPPG_BUILD_EXAMPLES=ON')
  output = _run_well('cmake', '--build', build)
  assert 'warning' not in output
  return build / 'rppg_host'


# --- Papers ------------------------------------------------------------------


def test_the_version_is_the_packages():
  project = tomllib.loads((stream.ROOT / 'pyproject.toml').read_text())
  parts = [
    re.search(rf'^#define RPPG_VERSION_{part} (\d+)$', _HEADER, re.M)[1]
    for part in ('MAJOR', 'MINOR', 'PATCH')
  ]
  assert '.'.join(parts) == project['project']['version']


def test_every_function_of_the_api_is_in_the_readme():
  headers = _HEADER + _DETECTOR_HEADER
  functions = re.findall(r'^[a-z]\w+ (rppg_\w+)\(', headers, re.M)
  assert len(functions) == 15
  assert [name for name in functions if name not in _README] == []


def test_the_headers_are_cpp_too(generated, tmp_path):
  program = tmp_path / 'program.cpp'
  program.write_text(
    '#include "rppg_detector.h"\n#include "rppg_cnn.h"\n'
    'static rppg_state_t state;\nstatic rppg_detector_t detector;\n'
    'static uint32_t memory[RPPG_DETECTOR_WORDS(640, 480)];\n'
    'int main() { return rppg_init(&state) + rppg_detector_init(&detector, '
    'memory, sizeof memory / sizeof memory[0]); }\n'
  )
  flags = ['-std=c++11', '-Wall', '-Wextra', '-Werror', '-fsyntax-only']
  folders = [f'-I{_FIRMWARE / "include"}', f'-I{generated}']
  _run_well('clang-14', *flags, *folders, program)


def _build_app(folder, lines: str, *variables: str) -> str:
  """Builds README's quick start with a project's CMake lines, strictly."""
  (folder / 'app.c').write_text(_readme_block('c'))
  (folder / 'CMakeLists.txt').write_text(
    'cmake_minimum_required(VERSION 3.21)\nproject(app LANGUAGES C)\n'
    'add_library(app OBJECT app.c)\n'
    f'target_compile_options(app PRIVATE -Wall -Wextra -Werror)\n{lines}'
  )
  build = folder / 'build'
  _run_well('cmake', '-S', folder, '-B', build, *variables)
  output = _run_well('cmake', '--build', build)
  assert 'warning' not in output
  return output


def test_the_readmes_quick_start_compiles_in_a_project(generated, tmp_path):
  assert len(_readme_block('c').splitlines()) <= 20
  lines = _readme_block('cmake').replace(
    'add_subdirectory(firmware)', f'add_subdirectory({_FIRMWARE} firmware)'
  )
  output = _build_app(tmp_path, lines)
  assert 'app.c' in output and 'spatial_cnn.c' in output


@pytest.mark.parametrize('port', ['ll_aton', 'stai'])
def test_the_lines_of_build_md_compile_the_npus_glue(generated, tmp_path, port):
  build_md = (stream.ROOT / 'BUILD.md').read_text()
  lines = re.search(r'```cmake\n(.*?)```', build_md, re.S)[1]
  assert 'stm32n6_ll_aton' in lines
  output = _build_app(
    tmp_path,
    lines.replace('stm32n6_ll_aton', f'stm32n6_{port}'),
    f'-DRPPG={_FIRMWARE}',
    # Headers that declare as ST's do.
    f'-DST_INCLUDES={_FIRMWARE / "test/st_names"}',
  )
  assert 'app.c' in output and f'rppg_cnn_{port}.c' in output
  assert 'spatial_cnn' not in output


@pytest.mark.parametrize(
  ('option', 'message'),
  [
    ('RPPG_PORT=npu', "RPPG_PORT: expected one of .*, got 'npu'"),
    ('RPPG_GENERATED_DIR=/nowhere', "no such file; run 'make -C firmware"),
  ],
)
def test_cmake_says_what_is_wrong(option, message, tmp_path):
  done = _run('cmake', '-S', _FIRMWARE, '-B', tmp_path, f'-D{option}')
  assert done.returncode != 0
  assert re.search(message, ' '.join(done.stderr.split()))


# --- The example -------------------------------------------------------------

_MARGIN_PX = 40


@pytest.fixture(scope='module')
def recording(tmp_path_factory) -> list[object]:
  """The example's arguments: a rendered face, 72 BPM, as raw frames."""
  folder = tmp_path_factory.mktemp('raw')
  commands.run_well(
    'tools.render_recordings',
    f'--output_dir={folder}',
    '--num_recordings=1',
    '--first_subject=7072',
    '--seed=72',
    '--heart_rate_bpm=72',
    '--duration_s=10.2',
    '--fps=15',
  )
  video = cv2.VideoCapture(str(folder / 'DATASET_2/subject7072/vid.avi'))
  frames = np.stack([video.read()[1] for _ in range(153)])
  video.release()
  x, y, side, _ = detector.FaceDetector().find(frames[0])
  end = side + _MARGIN_PX
  around = np.s_[:, y - _MARGIN_PX : y + end, x - _MARGIN_PX : x + end]
  path = folder / 'frames.bgr'
  frames[around].tofile(path)
  shape = [end + _MARGIN_PX] * 2
  return [path, *shape, 'bgr888', 15]


def test_the_example_reads_the_heart_rate(example, recording):
  lines = _run_well(example, *recording, 0.5).splitlines()
  said = [
    re.fullmatch(r'(\d+) s: (\d+\.\d) BPM, confidence (0\.\d\d)', line)
    for line in lines
  ]
  assert int(said[0][1]) <= 6 and int(said[-1][1]) == 10
  for line in said:
    assert float(line[2]) == pytest.approx(72, abs=2)
  # More is asked than there is.
  most = max(float(line[3]) for line in said)
  done = _run(example, *recording, most + 0.01)
  assert done.returncode == 1
  assert done.stdout == f'10 s: rejected, confidence {said[-1][3]}\n'
  assert done.stderr.endswith('after 153 frames: no heart rate\n')


@pytest.mark.parametrize(
  ('place', 'word', 'status', 'message'),
  [
    (0, '/nowhere', 1, '/nowhere: cannot be opened'),
    (0, '/', 1, '/: after 0 frames: cannot be read'),
    (1, '97', 1, 'after 9 frames: ends within a frame; are WIDTH, HEIGHT'),
    (1, '96.5', 2, "WIDTH: expected a whole number, got '96.5'"),
    (2, '5000', 2, "HEIGHT: expected a number from 1 to 4096, got '5000'"),
    (3, 'yuv', 2, "FORMAT: expected rgb888, bgr888 or rgb565, got 'yuv'"),
    (4, 'nan', 2, "FPS: expected a number from 1 to 1000, got 'nan'"),
    (5, 'high', 2, "MIN_CONFIDENCE: expected a number from 0 to 1, got 'high'"),
  ],
)
def test_the_example_says_what_is_wrong(
  example, tmp_path, place, word, status, message
):
  path = tmp_path / 'frames.rgb'
  np.zeros((10, 80, 96, 3), np.uint8).tofile(path)
  words = [path, 96, 80, 'rgb888', 30, 0]
  words[place] = word
  done = _run(example, *words)
  assert done.returncode == status
  assert message in done.stderr and done.stderr.count('\n') == 1


def test_the_example_needs_all_arguments(example):
  done = _run(example, '/nowhere')
  assert done.returncode == 2
  assert 'expected FILE WIDTH HEIGHT FORMAT FPS' in done.stderr
