/* Pixels of an image that has been checked, and which of them a region of the
 * face box takes. */
#ifndef RPPG_PIXELS_H
#define RPPG_PIXELS_H

#include <stddef.h>

#include "rppg.h"

/* Bounds of a region of a face box, in or outside of the image. */
rppg_bounds_t rppg_region_px(const rppg_box_t *box, const uint8_t percent[4]);

/* The same, clipped to the image. */
rppg_bounds_t rppg_region_bounds(const rppg_box_t *box,
                                 const uint8_t percent[4],
                                 const rppg_image_t *image);

static inline int32_t rppg_bytes_per_pixel(const rppg_image_t *image) {
  return (image->format == RPPG_RGB565) ? 2 : 3;
}

static inline const uint8_t *rppg_pixel_at(const rppg_image_t *image, int32_t x,
                                           int32_t y) {
  return image->pixels + (size_t)y * image->stride_bytes +
         (size_t)x * (size_t)rppg_bytes_per_pixel(image);
}

/* Where the channel that is stored first goes: 2 for B, G, R. */
static inline int32_t rppg_first_channel(const rppg_image_t *image) {
  return (image->format == RPPG_BGR888) ? 2 : 0;
}

/* Whole pixels, to the nearest, half up, of parts of one. */
static inline int32_t rppg_whole_px(int32_t parts) {
  /* C rounds towards 0: what it divides is made positive. */
  const int32_t lift =
      parts + RPPG_SUBPIXELS / 2 + RPPG_MAX_BOX_PX * RPPG_SUBPIXELS;
  return (int32_t)((uint32_t)lift / RPPG_SUBPIXELS) - RPPG_MAX_BOX_PX;
}

static inline void rppg_unpack_565(const uint8_t *pixel, uint8_t *rgb) {
  const uint32_t packed = (uint32_t)pixel[0] | ((uint32_t)pixel[1] << 8);
  const uint32_t red = packed >> 11;
  const uint32_t green = (packed >> 5) & 0x3Fu;
  const uint32_t blue = packed & 0x1Fu;
  rgb[0] = (uint8_t)((red << 3) | (red >> 2));
  rgb[1] = (uint8_t)((green << 2) | (green >> 4));
  rgb[2] = (uint8_t)((blue << 3) | (blue >> 2));
}

#endif /* RPPG_PIXELS_H */
