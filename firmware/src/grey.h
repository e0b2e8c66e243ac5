/* Image → grey pixels, reduced to the width that the cascade looks at.
 *
 * The same bytes as rppg_tf/faces/detector.py, _grey: cv2.INTER_AREA of each
 * channel, then cv2.COLOR_BGR2GRAY.
 */
#ifndef RPPG_GREY_H
#define RPPG_GREY_H

#include "pixels.h"
#include "rppg_detector.h"

/* Plans the grey pixels of `part`, of which nothing is empty. reduction: image
 * pixels a grey pixel, 1 or more. */
void rppg_grey_begin(rppg_grey_t *grey, const rppg_bounds_t *part,
                     double reduction, rppg_reduction_t *scratch);

/* Makes about `num_pixels` more pixels of the image grey, a row of them at
 * least; returns whether that was all. */
int32_t rppg_grey_go_on(rppg_grey_t *grey, const rppg_image_t *image,
                        int32_t num_pixels, rppg_reduction_t *scratch,
                        uint8_t *pixels);

#endif /* RPPG_GREY_H */
