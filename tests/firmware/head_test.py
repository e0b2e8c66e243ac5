"""Emitted heads on a Cortex-M55: Helium gives the scalar bits, in time."""

import subprocess

import pytest

from rppg_tf.keras_compat import keras
from rppg_tf.model.pulse_head import build_pulse_head
from rppg_tf.model.window_head import build_window_head
from tools.codegen.temporal_head import render_temporal_head
from tools.firmware_runner import stream

pytestmark = pytest.mark.slow

_M55 = (
  'arm-none-eabi-gcc -mcpu=cortex-m55 -mthumb -mfloat-abi=hard -mfpu=auto '
  '-std=c99 -O2 -ffp-contract=off -nostartfiles --specs=rdimon.specs'
).split()
_SAMPLES = 330

# Bits of every estimate, then instructions (SysTick: 31.25 a tick).
_PROGRAM = """\
#include <stdio.h>
#include <string.h>
#include "temporal_head.h"
#ifdef ON_M55
static volatile uint32_t *const systick = (volatile uint32_t *)0xE000E010u;
static void start(void) {
  systick[1] = 0xFFFFFF;
  systick[2] = 0;
  systick[0] = 5;
}
static unsigned stop(void) { return ((1u << 24) - systick[2]) & 0xFFFFFF; }
#else
static void start(void) {}
static unsigned stop(void) { return 0; }
#endif
static temporal_head_state_t state;
int main(void) {
  int16_t columns[2][TEMPORAL_HEAD_NUM_FEATURES];
  unsigned push = 0, estimate = 0;
  uint32_t noise = 1;
  temporal_head_init(&state);
  for (int sample = 0; sample < SAMPLES; ++sample) {
    temporal_head_estimate_t result;
    uint32_t bits[3];
    for (int index = 0; index < TEMPORAL_HEAD_NUM_FEATURES; ++index) {
      for (int frame = 0; frame < 2; ++frame) {
        noise = noise * 1664525u + 1013904223u;
        columns[frame][index] = (int16_t)((int)(noise >> 26) - 120);
      }
    }
    start();
    temporal_head_push(&state, columns[0], columns[1],
                       (noise >> 8) / 16777216.0f);
    push = stop();
    start();
    temporal_head_estimate(&state, &result);
    estimate = stop();
    memcpy(bits, &result, sizeof bits);
    printf("%08lx %08lx %08lx\\n", (unsigned long)bits[0],
           (unsigned long)bits[1], (unsigned long)bits[2]);
  }
  printf("%u %u\\n", push * 125 / 4, estimate * 125 / 4);
  return 0;
}
"""


def _run(folder, target: str) -> tuple[list[str], int, int]:
  """Returns the bits of every sample, instructions of push and estimate."""
  sources = [folder / 'program.c', folder / 'temporal_head.c']
  program = folder / target
  if target == 'host':
    command = ['cc', '-std=c99', '-O2', '-ffp-contract=off']
    started = [program]
  else:
    port = stream.FIRMWARE / 'port/qemu_m55'
    command = [*_M55, '-DON_M55', '-T', port / 'mps3_an547.ld']
    sources.append(port / 'startup.c')
    if target == 'scalar':
      command.append('-DTEMPORAL_HEAD_NO_HELIUM')
    started = stream.command_line('qemu')[:-1]
    started += [program, '-icount', 'shift=0']
  command += [f'-DSAMPLES={_SAMPLES}', *sources, '-o', program, '-lm']
  subprocess.run(list(map(str, command)), check=True)
  done = subprocess.run(
    list(map(str, started)),
    capture_output=True,
    text=True,
    check=True,
    timeout=300,
    stdin=subprocess.DEVNULL,
  )
  *bits, counts = done.stdout.strip().splitlines()
  push, estimate = map(int, counts.split())
  return bits, push, estimate


@pytest.mark.parametrize(
  ('build', 'max_push', 'max_estimate', 'max_scalar_estimate'),
  [
    (build_pulse_head, 12_000, 400_000, 400_000),
    (build_window_head, 12_000, 65_000, 140_000),
  ],
)
def test_helium_gives_the_scalar_bits(
  tmp_path, build, max_push, max_estimate, max_scalar_estimate
):
  keras.utils.set_random_seed(1)
  for name, text in render_temporal_head(build(), 0.007, -128).items():
    (tmp_path / name).write_text(text)
  (tmp_path / 'program.c').write_text(_PROGRAM)
  host, _, _ = _run(tmp_path, 'host')
  scalar, _, scalar_estimate = _run(tmp_path, 'scalar')
  helium, push, estimate = _run(tmp_path, 'helium')
  print(build.__name__, 'push', push, 'estimate', estimate, 'instructions')
  print('scalar estimate', scalar_estimate)
  assert len(set(host)) > 5
  assert host == scalar == helium
  assert push <= max_push
  assert estimate <= max_estimate
  assert scalar_estimate <= max_scalar_estimate
