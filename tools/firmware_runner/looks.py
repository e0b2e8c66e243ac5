"""Drives the firmware's face detector alone; firmware/test/looks.c.

On a Cortex-M55 in QEMU it counts instructions, too.
"""

import pathlib
import subprocess
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from rppg_tf.faces.stabiliser import Box
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
