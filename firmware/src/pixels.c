#include "pixels.h"

static int32_t at_percent(int32_t start, int32_t side, uint8_t percent,
                          int32_t low, int32_t high) {
  /* Nearest pixel, half up; below 2^31, as sides are RPPG_MAX_BOX_PX at
   * most. */
  const int32_t place = start + (side * percent + 50) / 100;
  if (place < low) {
    return low;
  }
  return (place > high) ? high : place;
}

rppg_bounds_t rppg_region_bounds(const rppg_box_t *box,
                                 const uint8_t percent[4],
                                 const rppg_image_t *image) {
  const int32_t width = (int32_t)image->width_px;
  const int32_t height = (int32_t)image->height_px;
  const rppg_bounds_t bounds = {
      at_percent(box->x, box->width, percent[0], 0, width),
      at_percent(box->x, box->width, percent[1], 0, width),
      at_percent(box->y, box->height, percent[2], 0, height),
      at_percent(box->y, box->height, percent[3], 0, height)};
  return bounds;
}
