"""Drives the firmware's face detector alone; firmware/test/looks.c.

On a Cortex-M55 in QEMU it counts instructions, too.
"""

import pathlib
import subprocess
import tempfile
from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

from rppg_tf.faces.stabiliser import Box
from rppg_tf.synthesis import head_renderer
from rppg_tf.synthesis import pulse as synthetic_pulse
from tools.firmware_runner import stream

# Programs of firmware/Makefile.
TARGETS = {
  'host': 'build/host/looks',
  'sanitized': 'build/sanitized/looks',
  'qemu': 'build/m55/looks.elf',
  'qemu_scalar': 'build/m55_scalar/looks.elf',
}

LOOK_OUT = np.dtype(
  [('detection', '<i4'), ('box', '<i4', 4), ('num_faces', '<u4')]
)
LOOK_COST = np.dtype(
  [
    ('num_hits', '<i4'),
    ('hits_sum', '<u4'),
    ('num_steps', '<i4'),
    ('instructions', '<u4'),
    ('worst_step', '<u4'),
    ('worst_phase', '<i4'),
  ]
)


class Look(NamedTuple):
  """One image to look at.

  Attributes:
    frame_bgr: uint8 (height, width, 3), 1280x720 at most.
    tracked: box of a face in view, or None.
    is_first: a detector begins anew.
  """

  frame_bgr: np.ndarray
  tracked: Box | None = None
  is_first: bool = False

  def encode(self) -> bytes:
    """Returns it as looks.c reads it."""
    detection = stream.NOT_FOUND if self.tracked is None else stream.FOUND
    box = self.tracked or (0, 0, 0, 0)
    frame = stream.Frame(
      np.ascontiguousarray(self.frame_bgr), 0, detection, box
    )
    head = np.frombuffer(frame.encode(), stream.FRAME_IN, 1).copy()
    head['age_us'] = self.is_first
    return head.tobytes() + frame.pixels.tobytes()


def run(
  target: str, looks: Iterable[Look], folder: pathlib.Path
) -> tuple[np.ndarray, np.ndarray]:
  """Runs looks through the firmware's detector.

  Args:
    target: a key of TARGETS, built.
    looks: any number, in order.
    folder: for the files in between.

  Returns:
    LOOK_OUT [num_looks] and LOOK_COST [num_looks].
  """
  with open(folder / 'looks.bin', 'wb') as file:
    for look in looks:
      file.write(look.encode())
  names = [folder / name for name in ('looks.bin', 'found.bin', 'costs.bin')]
  command = stream.command_line(target, *map(str, names), programs=TARGETS)
  if target.startswith('qemu'):
    # An instruction takes a nanosecond of the machine's time.
    command[1:1] = ['-icount', 'shift=0']
  subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
  return np.fromfile(names[1], LOOK_OUT), np.fromfile(names[2], LOOK_COST)


_SEED = 5
_SIZES_PX = ((320, 240), (640, 480), (1280, 720))


def rendered_frame() -> np.ndarray:
  """Returns uint8 (480, 640, 3) BGR: a rendered head in a room."""
  parameters = head_renderer.draw_parameters(_SEED, 'still')
  pulse = synthetic_pulse.synthesize_pulse(np.random.default_rng(_SEED), 1.0)
  exposure_s = np.array([0.0, 1 / 30])
  renderer = head_renderer.FaceRenderer(parameters, pulse, exposure_s)
  return next(renderer.frames())


def count_instructions(target: str) -> dict[str, int]:
  """Counts what looks at a rendered head take.

  Args:
    target: 'qemu' or 'qemu_scalar', built; so is 'host'.

  Returns:
    {'look_WHERE_WIDTHxHEIGHT': instructions}, the dearest step of all of them
    as 'look_worst_step'.
  """
  frame = rendered_frame()
  looks, names = [], []
  with tempfile.TemporaryDirectory() as folder:
    for size in _SIZES_PX:
      image = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
      first = Look(image, None, True)
      found, _ = run('host', [first], pathlib.Path(folder))
      looks += [first, Look(image, tuple(found['box'][0].tolist()))]
      label = f'{size[0]}x{size[1]}'
      names += [f'look_everywhere_{label}', f'look_near_{label}']
    _, costs = run(target, looks, pathlib.Path(folder))
  counts = dict(zip(names, costs['instructions'].tolist(), strict=True))
  return counts | {'look_worst_step': int(costs['worst_step'].max())}
