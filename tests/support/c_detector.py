"""The firmware's face detector as a library of this machine."""

import ctypes
import pathlib
import subprocess

import numpy as np

from rppg_tf.faces.stabiliser import Box
from tools.firmware_runner import stream

_STAGES = ('area', 'area_rows', 'box_groups', 'face_box', 'face_detector')
_STAGES += ('grey', 'pixels', 'pyramid')

HIT = np.dtype([('x', '<i2'), ('y', '<i2'), ('side', '<i2'), ('group', '<u2')])

# Sizes of the structs, and what is private one stage at a time.
_PROBE = """\
#include <stddef.h>
#include <string.h>
#include "box_groups.h"
#include "cascade.c"
#include "grey.h"
#include "pyramid.h"

size_t state_bytes(void) { return sizeof(rppg_state_t); }
size_t detector_bytes(void) { return sizeof(rppg_detector_t); }
uint32_t words(uint32_t width, uint32_t height) {
  return RPPG_DETECTOR_WORDS(width, height);
}
const rppg_hit_t *hits(const rppg_detector_t *detector) {
  return detector->hits.hits;
}
int32_t num_hits(const rppg_detector_t *detector) {
  return detector->hits.num;
}

void make_grey(const rppg_image_t *image, const rppg_bounds_t *part,
               double reduction, int32_t size[2], uint8_t *pixels) {
  static rppg_reduction_t scratch;
  rppg_grey_t grey;
  rppg_grey_begin(&grey, part, reduction, &scratch);
  while (!rppg_grey_go_on(&grey, image, 1000, &scratch, pixels)) {
  }
  size[0] = grey.width;
  size[1] = grey.height;
}

/* All rows of sums and squares of the level of faces of min_px; returns its
 * step, 0 without one. size: width, height, columns and rows of windows. */
int32_t make_level(const uint8_t *pixels, int32_t width, int32_t height,
                   double step, int32_t min_px, int32_t num_words,
                   uint32_t *memory, int32_t size[4], uint32_t *sums,
                   uint32_t *squares) {
  static rppg_level_t level;
  const rppg_grey_t grey = {.width = width, .height = height};
  rppg_scan_t scan;
  rppg_scan_begin(&scan, &grey, step, min_px);
  scan.next_level = scan.first_level;
  if (!rppg_level_begin(&level, &scan, &grey, num_words)) {
    return 0;
  }
  size[0] = level.width;
  size[1] = level.height;
  size[2] = level.columns;
  size[3] = level.rows;
  const size_t row_bytes = (size_t)level.stride * sizeof *sums;
  do {
    while (rppg_level_make_row(&level, &grey, pixels, memory)) {
      const int32_t row = level.next_row - 1;
      const uint32_t *made = &memory[(row - level.first_row) * level.stride];
      memcpy(&sums[row * level.stride], made, row_bytes);
      memcpy(&squares[row * level.stride],
             &made[level.band_rows * level.stride], row_bytes);
    }
    while (rppg_level_has_windows(&level)) {
      level.next_y += level.step;
    }
  } while (rppg_level_move_on(&level, memory));
  return level.step;
}

/* Sums of a stage, 2^-38, and whether it is passed, of the windows at some
 * offsets, none alike; returns their number. */
int32_t sum_stage(const uint32_t *sums, const uint32_t *squares,
                  int32_t stride, int32_t stage, int32_t num,
                  uint16_t *offsets, int64_t *totals, uint8_t *passes) {
  static rppg_windows_t windows;
  const rppg_band_t band = {sums, squares, stride};
  windows.num = 0;
  for (int32_t at = 0; at < num; ++at) {
    rppg_windows_append(&windows, &band, offsets[at]);
  }
  rppg_cascade_sum(&band, stage, 0, windows.num, &windows);
  for (int32_t at = 0; at < windows.num; ++at) {
    offsets[at] = windows.offsets[at];
    totals[at] = exact_sum(&band, stage, &windows, at);
    passes[at] = (uint8_t)rppg_cascade_passes(&band, stage, &windows, at);
  }
  return windows.num;
}

/* Number of faces among squares, and the largest. */
int32_t group(const rppg_hit_t *squares, int32_t num, int32_t min_neighbours,
              int32_t width, int32_t height, rppg_box_t *largest) {
  static rppg_hits_t hits;
  static rppg_groups_t groups;
  hits.num = num;
  memcpy(hits.hits, squares, (size_t)num * sizeof *squares);
  rppg_groups_begin(&groups, &hits);
  while (rppg_groups_join(&hits)) {
  }
  rppg_groups_average(&groups, &hits, min_neighbours);
  while (rppg_groups_choose(&groups, width, height)) {
  }
  *largest = groups.largest;
  return groups.num_faces;
}
"""


class Image(ctypes.Structure):
  """rppg_image_t."""

  _fields_ = (
    ('pixels', ctypes.c_void_p),
    ('width_px', ctypes.c_uint32),
    ('height_px', ctypes.c_uint32),
    ('stride_bytes', ctypes.c_uint32),
    ('format', ctypes.c_int),
  )


class CBox(ctypes.Structure):
  """rppg_box_t, or rppg_bounds_t."""

  _fields_ = tuple((name, ctypes.c_int32) for name in 'xywh')


class Face(ctypes.Structure):
  """rppg_face_t."""

  _fields_ = (
    ('detection', ctypes.c_int),
    ('box', ctypes.c_int32 * 4),
    ('age_us', ctypes.c_uint32),
  )


def compile_library(folder: pathlib.Path) -> ctypes.CDLL:
  """Compiles the detector of firmware/src."""
  names = ('rppg_contract.h', 'temporal_head.h', 'face_cascade.c')
  stream.check_made(stream.make(*(f'generated/{name}' for name in names)))
  (folder / 'probe.c').write_text(_PROBE)
  library = folder / 'detector.so'
  firmware = stream.FIRMWARE
  command = 'cc -std=c99 -O2 -ffp-contract=off -shared -fPIC'.split()
  command += [f'-I{firmware / name}' for name in ('include', 'generated')]
  command += [f'-I{firmware / "src"}', str(folder / 'probe.c')]
  command += [str(firmware / 'src' / f'{stage}.c') for stage in _STAGES]
  command += [str(firmware / 'generated/face_cascade.c')]
  subprocess.run([*command, '-o', str(library), '-lm'], check=True)
  loaded = ctypes.CDLL(str(library))
  for name in ('state_bytes', 'detector_bytes'):
    getattr(loaded, name).restype = ctypes.c_size_t
  loaded.hits.restype = ctypes.c_void_p
  return loaded


def pointer(array: np.ndarray) -> ctypes.c_void_p:
  """Returns where its values are."""
  return array.ctypes.data_as(ctypes.c_void_p)


def view(frame: np.ndarray, pixel_format: int = stream.BGR888) -> Image:
  """A frame as C gets it; the last axis is of bytes, rows may be apart."""
  height, width, depth = frame.shape
  assert frame.strides[1:] == (depth, 1)
  image = Image(
    frame.ctypes.data, width, height, frame.strides[0], pixel_format
  )
  image.frame = frame  # lives as long
  return image


class CDetector:
  """Has what rppg_tf.faces.detector.FaceDetector has."""

  def __init__(self, library: ctypes.CDLL, width_px: int, height_px: int):
    self.library = library
    self._state = (ctypes.c_double * -(-library.state_bytes() // 8))()
    self.detector = (ctypes.c_double * -(-library.detector_bytes() // 8))()
    num_words = library.words(width_px, height_px)
    self._memory = np.full(num_words + 1, 0xDEADBEEF, np.uint32)
    status = library.rppg_detector_init(
      self.detector, pointer(self._memory), num_words
    )
    assert status == stream.OK

  @property
  def num_faces(self) -> int:
    """As FaceDetector counts them."""
    return self.library.rppg_detector_num_faces(self.detector)

  def hits(self) -> np.ndarray:
    """Squares that passed in the last search: HIT [num]."""
    num_bytes = HIT.itemsize * self.library.num_hits(self.detector)
    place = self.library.hits(self.detector)
    return np.frombuffer(ctypes.string_at(place, num_bytes), HIT)

  def begin(
    self, image: Image, tracked: Box | None = None, time_us: int = 0
  ) -> int:
    """Begins a look; returns the status."""
    now = ctypes.c_int64(time_us)
    self.library.rppg_face_box_init(self._state)
    if tracked is not None:
      box = ctypes.byref(CBox(*tracked))
      self.library.rppg_face_box_update(self._state, box, now)
    return self.library.rppg_detector_begin(
      self.detector, self._state, ctypes.byref(image), now
    )

  def step(self) -> int:
    """Takes a step; returns the status."""
    return self.library.rppg_detector_step(self.detector)

  def reads_image(self) -> bool:
    """Whether steps to come do."""
    return bool(self.library.rppg_detector_reads_image(self.detector))

  def take_face(self, time_us: int = 0) -> Face:
    """Takes the answer."""
    face = Face()
    self.library.rppg_detector_take_face(
      self.detector, ctypes.c_int64(time_us), ctypes.byref(face)
    )
    assert self._memory[-1] == 0xDEADBEEF, 'written beyond the memory'
    return face

  def find(
    self,
    frame: np.ndarray,
    tracked: Box | None = None,
    pixel_format: int = stream.BGR888,
  ) -> Box | None:
    """Looks for the largest face, as FaceDetector does."""
    assert self.begin(view(frame, pixel_format), tracked) == stream.OK
    while self.step() == stream.LOOKING:
      pass
    face = self.take_face()
    assert face.detection in (stream.NOT_FOUND, stream.FOUND)
    return tuple(face.box) if face.detection == stream.FOUND else None
