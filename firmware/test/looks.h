/* What looks.c writes; tools/firmware_runner/looks.py is the other end.
 *
 * Little-endian, no padding. A look in is a frame_in_t of replay.h, of which
 * `detection` says whether the box is that of a face in view, and `age_us` 1
 * that a detector begins anew; then the image.
 */
#ifndef LOOKS_H
#define LOOKS_H

#include <stdint.h>

/* What came of it. */
typedef struct {
  int32_t detection; /* rppg_detection_t */
  int32_t x_px, y_px, width_px, height_px;
  uint32_t num_faces;
} look_out_t;

/* What it took. */
typedef struct {
  int32_t num_hits;  /* of the last search */
  uint32_t hits_sum; /* changes with every one of them */
  int32_t num_steps;
  /* On a Cortex-M55; else 0. */
  uint32_t instructions;
  uint32_t worst_step; /* instructions */
  int32_t worst_phase;
} look_cost_t;

typedef char look_out_is_packed[(sizeof(look_out_t) == 24u) ? 1 : -1];
typedef char look_cost_is_packed[(sizeof(look_cost_t) == 24u) ? 1 : -1];

#endif /* LOOKS_H */
