/* Image and face box → one 36x36 RGB region.
 *
 * The same bytes as rppg_tf/faces/rois.py, cut_rois, which is cv2.INTER_AREA:
 * every target pixel is the mean over its area of source pixels, in float32
 * and in the order in which OpenCV adds.
 */
#ifndef RPPG_ROI_PATCHES_H
#define RPPG_ROI_PATCHES_H

#include "rppg.h"

/* Cuts region `roi` (0 ... RPPG_NUM_ROIS - 1) out of an image that has been
 * checked. patch: [36][36][3], R G B; zero where nothing is in the image. */
void rppg_cut_roi(const rppg_image_t *image, const rppg_box_t *box, int32_t roi,
                  rppg_cut_scratch_t *scratch, uint8_t *patch);

#endif /* RPPG_ROI_PATCHES_H */
