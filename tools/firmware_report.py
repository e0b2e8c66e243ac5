"""Flash, RAM, stack and instructions of the firmware on a Cortex-M55.

  python -m tools.firmware_report --json=build/firmware.json

Builds firmware/ for the model of --run_dir, adds up what the compiler says
and counts instructions on QEMU. QEMU models no pipeline, cache or wait
states: milliseconds are instructions * --cycles_per_instruction / 800 MHz, an
estimate under that one assumption.
"""

import pathlib

from absl import flags

from rppg_tf import files, run_directory
from rppg_tf.entry_point import run
from tools import markdown
from tools.firmware_runner import figures as firmware_figures

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


def _sizes(figures: dict) -> str:
  flash, ram = figures['flash_bytes'], figures['ram_bytes']
  stack = figures['stack_bytes']
  rows = [
    ('flash, code and weights, without the CNN', flash['without_cnn']),
    ('flash, with the portable CNN', flash['with_cnn']),
    ('flash, of the face detector with its cascade', flash['detector']),
    ('flash, of libm', flash['libm']),
    ('RAM, rppg_state_t', ram['state']),
    ('RAM, rppg_detector_t', ram['detector']),
    ('RAM, memory of the detector for 640x480', ram['detector_640x480']),
    ('RAM, of the portable CNN', ram['portable_cnn']),
    ('stack, rppg_push_frame, compiled', stack['push_frame']),
    ('stack, rppg_estimate, compiled', stack['estimate']),
    ('stack, rppg_detector_step, compiled', stack['detector_step']),
    ('stack, measured, libm included', stack['measured']),
  ]
  return markdown.table(
    ['bytes', ''], [(name, f'{value:,}') for name, value in rows]
  )


def _estimated_ms(instructions: dict) -> dict:
  """Returns {build: {stage: milliseconds}} of {build: {stage: count}}."""
  to_ms = _CYCLES.value / (_CLOCK_MHZ * 1e3)
  return {
    build: {name: round(count * to_ms, 4) for name, count in counts.items()}
    for build, counts in instructions.items()
  }


def _instructions(figures: dict) -> str:
  counts, ms = figures['instructions'], figures['estimated_ms']
  builds = ('scalar', 'helium')
  return markdown.table(
    [
      'stage',
      'instructions, scalar',
      'Helium',
      'estimated ms, scalar',
      'Helium',
    ],
    [
      [
        name,
        *(f'{counts[build][name]:,}' for build in builds),
        *(f'{ms[build][name]:.3f}' for build in builds),
      ]
      for name in counts['scalar']
    ],
  )


def main() -> None:
  """Prints both tables."""
  figures = firmware_figures.measure(pathlib.Path(_RUN_DIR.value))
  figures['estimated_ms'] = _estimated_ms(figures['instructions'])
  figures['assumption'] = (
    f'{_CLOCK_MHZ:g} MHz, {_CYCLES.value:g} cycles an instruction, zero-wait '
    'memory; not measured on a board'
  )
  print(_sizes(figures), end='\n\n')
  print(_instructions(figures), end='\n\n')
  print(f'Estimated: {figures["assumption"]}.')
  if _JSON.value:
    path = pathlib.Path(_JSON.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(path, figures)


if __name__ == '__main__':
  run(main)
