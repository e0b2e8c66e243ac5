/* Image and face box → mean colour of the mid-face, as
 * rppg_tf/faces/motion.py, mean_rgb: the sums are whole numbers, divided once.
 */
#ifndef RPPG_MID_FACE_H
#define RPPG_MID_FACE_H

#include "rppg.h"

/* Mean R, G, B of the mid-face of a box whose head has moved; zero where
 * nothing is in the image, which has been checked. */
void rppg_mean_mid_face(const rppg_image_t *image, const rppg_box_t *box,
                        const rppg_shift_t *shift,
                        float rgb[RPPG_NUM_CHANNELS]);

#endif /* RPPG_MID_FACE_H */
