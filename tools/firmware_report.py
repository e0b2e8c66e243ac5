"""Flash, RAM, stack and instructions of the firmware on a Cortex-M55.

  python -m tools.firmware_report --json=build/firmware.json

Builds firmware/ for the model of --run_dir, adds up what the compiler says
and counts instructions on QEMU. QEMU models no pipeline, cache or wait
states: milliseconds are instructions * --cycles_per_instruction / 800 MHz, an
estimate under that one assumption.
"""

import pathlib

from absl import flags

from rppg_tf import run_directory
from rppg_tf.entry_point import run
from tools import firmware_figures

_RUN_DIR = flags.DEFINE_string(
  'run_dir',
  str(run_directory.PRETRAINED),
  'Run directory after tools.export_tflite; default: the model that ships.',
)
_JSON = flags.DEFINE_string('json', None, 'Also write the figures here.')
_CYCLES = flags.DEFINE_float(
  'cycles_per_instruction', 1.5, 'Assumed for the milliseconds.', 0.5, 20.0
)
_CLOCK_MHZ = 800.0


def _size_lines(figures: dict) -> list[str]:
  flash, ram = figures['flash_bytes'], figures['ram_bytes']
  stack = figures['stack_bytes']
  rows = [
    ('flash, code and weights, without the CNN', flash['without_cnn']),
    ('flash, with the portable CNN', flash['with_cnn']),
    ('flash, of libm', flash['libm']),
    ('RAM, rppg_state_t', ram['state']),
    ('RAM, of the portable CNN', ram['portable_cnn']),
    ('stack, rppg_push_frame, compiled', stack['push_frame']),
    ('stack, rppg_estimate, compiled', stack['estimate']),
    ('stack, measured, libm included', stack['measured']),
  ]
  lines = ['| bytes | |', '|---|---|']
  return lines + [f'| {name} | {value:,} |' for name, value in rows]


def _instruction_lines(figures: dict) -> list[str]:
  to_ms = _CYCLES.value / (_CLOCK_MHZ * 1e3)
  lines = [
    f'| instructions | scalar | Helium | ms at 800 MHz, '
    f'{_CYCLES.value:g} cycles each |',
    '|---|---|---|---|',
  ]
  helium = figures['instructions']['helium']
  for name, scalar in figures['instructions']['scalar'].items():
    lines.append(
      f'| {name} | {scalar:,} | {helium[name]:,} | {helium[name] * to_ms:.3f} |'
    )
  return lines


def main() -> None:
  """Prints both tables."""
  figures = firmware_figures.measure(pathlib.Path(_RUN_DIR.value))
  figures['assumed_cycles_per_instruction'] = _CYCLES.value
  print('\n'.join([*_size_lines(figures), '', *_instruction_lines(figures)]))
  if _JSON.value:
    run_directory.write_json(pathlib.Path(_JSON.value), figures)


if __name__ == '__main__':
  run(main)
