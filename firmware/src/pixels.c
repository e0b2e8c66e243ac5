#include "pixels.h"

#include "checks.h"

int32_t rppg_is_image_usable(const rppg_image_t *image) {
  if ((image == NULL) || (image->pixels == NULL)) {
    return 0;
  }
  if ((image->format != RPPG_RGB888) && (image->format != RPPG_BGR888) &&
      (image->format != RPPG_RGB565)) {
    return 0;
  }
  const uint32_t bytes = (image->format == RPPG_RGB565) ? 2u : 3u;
  return (image->width_px >= 1u) && (image->width_px <= RPPG_MAX_SIDE_PX) &&
         (image->height_px >= 1u) && (image->height_px <= RPPG_MAX_SIDE_PX) &&
         (image->stride_bytes >= image->width_px * bytes);
}

/* Nearest pixel, half up; below 2^31, as sides are RPPG_MAX_BOX_PX at most. */
static int32_t at_percent(int32_t start, int32_t side, uint8_t percent) {
  return start + (int32_t)(((uint32_t)side * percent + 50u) / 100u);
}

static int32_t clipped(int32_t place, uint32_t length) {
  const int32_t high = (int32_t)length;
  const int32_t low = (place > 0) ? place : 0;
  return (low < high) ? low : high;
}

rppg_bounds_t rppg_region_px(const rppg_box_t *box, const uint8_t percent[4]) {
  const rppg_bounds_t bounds = {at_percent(box->x, box->width, percent[0]),
                                at_percent(box->x, box->width, percent[1]),
                                at_percent(box->y, box->height, percent[2]),
                                at_percent(box->y, box->height, percent[3])};
  return bounds;
}

rppg_bounds_t rppg_region_bounds(const rppg_box_t *box,
                                 const uint8_t percent[4],
                                 const rppg_image_t *image) {
  const rppg_bounds_t region = rppg_region_px(box, percent);
  const rppg_bounds_t bounds = {clipped(region.x0, image->width_px),
                                clipped(region.x1, image->width_px),
                                clipped(region.y0, image->height_px),
                                clipped(region.y1, image->height_px)};
  return bounds;
}
