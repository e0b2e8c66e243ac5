/* How far the head has moved since its box was taken.
 *
 * The same sixteenths of a pixel as rppg_tf/faces/motion.py, FaceMotion: sums
 * over the columns and over the rows of the box are held against those of the
 * first frame with this very box.
 */
#ifndef RPPG_FACE_MOTION_H
#define RPPG_FACE_MOTION_H

#include "rppg.h"

/* Looks at the next frame, an image that has been checked; box: as
 * rppg_face_box_at returns it. state->shift is the answer. A state of zeros
 * has seen nothing. */
void rppg_face_motion_push(rppg_face_motion_t *state, const rppg_image_t *image,
                           const rppg_box_t *box);

/* The box where the head is, to the nearest pixel. */
rppg_box_t rppg_moved_box(const rppg_box_t *box, const rppg_shift_t *shift);

#endif /* RPPG_FACE_MOTION_H */
