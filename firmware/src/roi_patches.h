/* Image and face box → one 36x36 RGB region, or the mid-face's mean colour.
 *
 * The same bytes as rppg_tf/face_rois.py, cut_rois, which is cv2.INTER_AREA:
 * every target pixel is the mean over its area of source pixels, in float32
 * and in the order in which OpenCV adds.
 */
#ifndef RPPG_ROI_PATCHES_H
#define RPPG_ROI_PATCHES_H

#include "rppg.h"

/* Pixels [x0, x1) x [y0, y1) of an image; none where x1 <= x0 or y1 <= y0. */
typedef struct {
  int32_t x0, x1, y0, y1;
} rppg_bounds_t;

/* Bounds of a region of a face box, clipped to the image. */
rppg_bounds_t rppg_roi_bounds(const rppg_box_t *box, const uint8_t percent[4],
                              const rppg_image_t *image);

/* Cuts region `roi` (0 ... RPPG_NUM_ROIS - 1) out of an image that has been
 * checked. patch: [36][36][3], R G B; zero where nothing is in the image. */
void rppg_cut_roi(const rppg_image_t *image, const rppg_box_t *box,
                  int32_t roi, rppg_cut_scratch_t *scratch, uint8_t *patch);

/* Mean R, G, B of the mid-face; zero where nothing is in the image. */
void rppg_mean_mid_face(const rppg_image_t *image, const rppg_box_t *box,
                        float rgb[RPPG_NUM_CHANNELS]);

#endif /* RPPG_ROI_PATCHES_H */
