/* Stages of OpenCV's cascade over windows of an integral image.
 *
 * Which windows pass is exact: features are whole numbers, compared in float32
 * as OpenCV compares them; leaves are summed in whole numbers.
 */
#ifndef RPPG_CASCADE_H
#define RPPG_CASCADE_H

#include "rppg_detector.h"

/* Sums and sums of squares of a band, `stride` words from a row to the next. */
typedef struct {
  const uint32_t *sums;
  const uint32_t *squares;
  int32_t stride;
} rppg_band_t;

/* Appends the window at `offset`, unless its pixels are all but alike. */
void rppg_windows_append(rppg_windows_t *windows, const rppg_band_t *band,
                         int32_t offset);

/* Sums a stage up in windows [first, end): all that there are from `first` on,
 * or a multiple of 4. */
void rppg_cascade_sum(const rppg_band_t *band, int32_t stage, int32_t first,
                      int32_t end, rppg_windows_t *windows);

/* Whether a window passes a stage that is summed up. */
int32_t rppg_cascade_passes(const rppg_band_t *band, int32_t stage,
                            const rppg_windows_t *windows, int32_t window);

/* Stumps of a stage: what it costs. */
int32_t rppg_cascade_num_stumps(int32_t stage);

#endif /* RPPG_CASCADE_H */
