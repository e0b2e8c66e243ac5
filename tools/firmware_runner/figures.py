"""What tools/firmware_report prints: read from objects, call graph and QEMU."""

import functools
import pathlib
import re
import subprocess

from rppg_tf.errors import InputError
from tools.firmware_runner import looks, stream
from tools.firmware_runner.stream import FIRMWARE

_CROSS = 'arm-none-eabi-'
_PROGRAMS = ('looks', 'measure')
_CNN_OBJECTS = ('spatial_cnn.o', 'spatial_cnn_params.o')
_DETECTOR_OBJECTS = (
  'area_rows.o',
  'box_groups.o',
  'cascade.o',
  'face_cascade.o',
  'face_detector.o',
  'grey.o',
  'pyramid.o',
  'run.o',
)
# What the firmware calls of libm, with tables and helpers.
_LIBM = re.compile(
  r'(__(ieee754_)?)?(expf?|logf)(_finite)?$|__(exp|exp2f|logf)_data$'
  r'|__math_\w+$|(specialcase|rint|floor|ceil)\w*$|with_errnof?$'
)
_NODE = re.compile(r'node: { title: "([^"]+)" label: "[^"]*\\n(\d+) bytes \(')
_EDGE = re.compile(r'edge: { sourcename: "([^"]+)" targetname: "([^"]+)"')


def measure(run_dir: pathlib.Path) -> dict:
  """Builds the firmware and measures it.

  Returns:
    {'flash_bytes', 'ram_bytes', 'stack_bytes', 'instructions'}: names to
    numbers; 'instructions' by build, 'scalar' and 'helium'.

  Raises:
    InputError: it does not build, or QEMU does not run it.
  """
  stream.check_made(stream.make('report', run_dir=run_dir))
  helium, scalar = _run_measure('m55'), _run_measure('m55_scalar')
  helium |= looks.count_instructions('qemu')
  scalar |= looks.count_instructions('qemu_scalar')
  measured = helium.pop('stack_bytes_measured')
  scalar.pop('stack_bytes_measured')
  worst = worst_stacks()
  symbols = _symbols()
  return {
    'flash_bytes': _flash(symbols),
    'ram_bytes': {
      'state': symbols['state'],
      'detector': symbols['detector'],
      'detector_640x480': symbols['memory'],
      'portable_cnn': symbols['work'],
    },
    'stack_bytes': {
      'push_frame': worst['rppg_push_frame'],
      'estimate': worst['rppg_estimate'],
      'detector_step': worst['rppg_detector_step'],
      'measured': measured,
    },
    'instructions': {'scalar': scalar, 'helium': helium},
  }


def worst_stacks() -> dict[str, int]:
  """Returns {function: bytes of the deepest chain of calls below it}.

  By -fstack-usage and -fcallgraph-info of the objects; functions of libc and
  libm count as 0. Recursion would not end here: Python stops it.
  """
  own: dict[str, int] = {}
  calls: dict[str, set[str]] = {}
  for path in sorted((FIRMWARE / 'build/report').glob('*.ci')):
    text = path.read_text()
    own |= {name: int(size) for name, size in _NODE.findall(text)}
    for source, target in _EDGE.findall(text):
      calls.setdefault(source, set()).add(target)

  @functools.cache
  def worst(name: str) -> int:
    below = [worst(target) for target in calls.get(name, ())]
    return own.get(name, 0) + max(below, default=0)

  return {name: worst(name) for name in own}


def _flash(symbols: dict[str, int]) -> dict[str, int]:
  objects = sorted((FIRMWARE / 'build/report').glob('*.o'))
  sizes = {path.name: _text_bytes(path) for path in objects}
  cnn = sum(sizes.pop(name) for name in _CNN_OBJECTS)
  detector = sum(sizes.pop(name) for name in _DETECTOR_OBJECTS)
  rest = sum(sizes.values())
  return {
    'without_cnn': rest,
    'with_cnn': rest + cnn,
    'detector': detector,
    'libm': sum(size for name, size in symbols.items() if _LIBM.match(name)),
  }


def _text_bytes(path: pathlib.Path) -> int:
  """Returns code, constants and initial values of an object."""
  output = _run(f'{_CROSS}size', str(path))
  text, data = output.splitlines()[1].split()[:2]
  return int(text) + int(data)


def _symbols() -> dict[str, int]:
  """Returns {symbol: bytes} of the programs that were measured."""
  programs = [FIRMWARE / f'build/m55/{name}.elf' for name in _PROGRAMS]
  rows = _run(f'{_CROSS}nm', '-S', *map(str, programs)).splitlines()
  fields = [row.split() for row in rows]
  return {row[3]: int(row[1], 16) for row in fields if len(row) == 4}


def _run_measure(build: str) -> dict[str, int]:
  """Returns {stage: instructions} of one build."""
  elf = FIRMWARE / 'build' / build / 'measure.elf'
  options = '-M mps3-an547 -display none -serial none -monitor none'
  semihosting = 'enable=on,target=native,arg=measure'
  lines = _run(
    'qemu-system-arm',
    *options.split(),
    '-icount',
    'shift=0',
    '-semihosting-config',
    semihosting,
    '-kernel',
    str(elf),
  )
  counts = dict(line.split() for line in lines.splitlines())
  overhead = int(counts.pop('nothing'))
  return _with_sums(
    {
      name: int(count) - (0 if name.startswith('stack') else overhead)
      for name, count in counts.items()
    }
  )


def _with_sums(counts: dict[str, int]) -> dict[str, int]:
  """Adds, for every face, what a frame costs up to the CNN's input."""
  sums = {}
  for name, count in counts.items():
    if name.startswith('roi_cut_'):
      face = name.removeprefix('roi_cut_')
      sums[f'motion_cut_mean_background_{face}'] = (
        counts[f'face_motion_{face}']
        + count
        + counts[f'mid_face_{face}']
        + counts['background_3_rois']
      )
  return counts | sums


def _run(*command: str) -> str:
  try:
    done = subprocess.run(
      command,
      capture_output=True,
      text=True,
      check=True,
      timeout=600,
      stdin=subprocess.DEVNULL,
    )
  except FileNotFoundError:
    raise InputError(
      f'no {command[0]!r} on PATH; apt-packages.txt has what is needed'
    ) from None
  except subprocess.SubprocessError as error:
    raise InputError(f'{command[0]}: {error}') from None
  return done.stdout
