/* The detector's boxes jitter; the box to cut with must stand still.
 *
 * The same integers as rppg_tf/faces/stabiliser.py, FaceBoxStabiliser: the
 * median of the last five detections, taken over only when it has moved by more
 * than a tenth or changed size by more than an eighth of the width.
 */
#ifndef RPPG_FACE_BOX_H
#define RPPG_FACE_BOX_H

#include "rppg.h"

void rppg_face_box_init(rppg_face_box_t *state);

/* Takes the detector's answer on the frame of this time; NULL: no face. The
 * box has sides > 0; times do not decrease. */
void rppg_face_box_update(rppg_face_box_t *state, const rppg_box_t *detection,
                          int64_t time_us);

/* The box to cut with, held for 1 s; NULL without one. */
const rppg_box_t *rppg_face_box_at(const rppg_face_box_t *state,
                                   int64_t time_us);

int32_t rppg_face_box_is_due(const rppg_face_box_t *state, int64_t time_us);

#endif /* RPPG_FACE_BOX_H */
