#include "grey.h"

#include <math.h>
#include <string.h>

#include "area.h"
#include "helium.h"

enum { CHANNELS = RPPG_NUM_CHANNELS, LANES = 4 };

/* A channel's share in a grey value, in 2^-15. */
enum { RED = 9798, GREEN = 19235, BLUE = 3735, HALF = 16384, SHARE_BITS = 15 };

/* --- Colours ---------------------------------------------------------------
 */

static uint8_t mixed(const uint8_t rgb[CHANNELS]) {
  const uint32_t sum = (uint32_t)rgb[0] * RED + (uint32_t)rgb[1] * GREEN +
                       (uint32_t)rgb[2] * BLUE;
  return (uint8_t)((sum + HALF) >> SHARE_BITS);
}

#if RPPG_HAS_HELIUM
static inline void store_mixed(uint32x4_t red, uint32x4_t green,
                               uint32x4_t blue, uint8_t *pixels) {
  uint32x4_t sum = vmulq_n_u32(red, RED);
  sum = vmlaq_n_u32(sum, green, GREEN);
  sum = vmlaq_n_u32(sum, blue, BLUE);
  vstrbq_u32(pixels, vrshrq_n_u32(sum, SHARE_BITS));
}

/* Whole vectors of a row of 2 bytes a pixel; returns how many pixels. */
static int32_t mix_packed(const uint8_t *row, int32_t width, uint8_t *pixels) {
  const uint32x4_t places = vidupq_n_u32(0u, 2);
  int32_t x = 0;
  for (; x + LANES <= width; x += LANES) {
    const uint8x16_t low =
        vreinterpretq_u8_u32(vldrbq_gather_offset_u32(&row[2 * x], places));
    const uint8x16_t high =
        vreinterpretq_u8_u32(vldrbq_gather_offset_u32(&row[2 * x + 1], places));
    const uint8x16_t green = vsriq_n_u8(vshlq_n_u8(high, 5), low, 3);
    const uint8x16_t blue = vshlq_n_u8(low, 3);
    /* The highest bits are repeated below the lowest. */
    store_mixed(vreinterpretq_u32_u8(vsriq_n_u8(high, high, 5)),
                vreinterpretq_u32_u8(vsriq_n_u8(green, green, 6)),
                vreinterpretq_u32_u8(vsriq_n_u8(blue, blue, 5)), &pixels[x]);
  }
  return x;
}

/* The same of 3 bytes a pixel, red at `red`. */
static int32_t mix_bytes(const uint8_t *row, int32_t red, int32_t width,
                         uint8_t *pixels) {
  const uint32x4_t places = vmulq_n_u32(vidupq_n_u32(0u, 1), CHANNELS);
  int32_t x = 0;
  for (; x + LANES <= width; x += LANES) {
    const uint8_t *first = &row[CHANNELS * x];
    store_mixed(vldrbq_gather_offset_u32(&first[red], places),
                vldrbq_gather_offset_u32(&first[1], places),
                vldrbq_gather_offset_u32(&first[2 - red], places), &pixels[x]);
  }
  return x;
}
#endif

/* Pixels of one row of the part. */
static void mix_row(const rppg_image_t *image, const rppg_bounds_t *part,
                    int32_t y, uint8_t *pixels) {
  const uint8_t *row = rppg_pixel_at(image, part->x0, part->y0 + y);
  const int32_t width = part->x1 - part->x0;
  const int32_t bytes = rppg_bytes_per_pixel(image);
  const int32_t red = rppg_first_channel(image);
  int32_t x = 0;
#if RPPG_HAS_HELIUM
  x = (image->format == RPPG_RGB565) ? mix_packed(row, width, pixels)
                                     : mix_bytes(row, red, width, pixels);
#endif
  for (; x < width; ++x) {
    const uint8_t *pixel = &row[x * bytes];
    uint8_t rgb[CHANNELS];
    if (image->format == RPPG_RGB565) {
      rppg_unpack_565(pixel, rgb);
    } else {
      rgb[0] = pixel[red];
      rgb[1] = pixel[1];
      rgb[2] = pixel[2 - red];
    }
    pixels[x] = mixed(rgb);
  }
}

/* --- Reduction -------------------------------------------------------------
 */

static int32_t reduced(int32_t side, double reduction) {
  const int32_t nearest = (int32_t)rint((double)side / reduction);
  return (nearest > 1) ? nearest : 1;
}

static uint8_t rounded(float sum, const rppg_rounding_t *rounding) {
  const float value = rintf(sum * rounding->share + rounding->bias);
  return (uint8_t)((value < 255.0f) ? value : 255.0f);
}

#if RPPG_HAS_HELIUM
static inline uint32x4_t rounded_at(const float *sums,
                                    const rppg_rounding_t *rounding) {
  const float32x4_t value = vaddq_n_f32(
      vmulq_n_f32(vldrwq_f32(sums), rounding->share), rounding->bias);
  return vminq_u32(vcvtnq_u32_f32(value), vdupq_n_u32(255u));
}
#endif

/* Sums of the three channels → grey. */
static void finish_row(const rppg_image_t *image, const float *sums,
                       const rppg_rounding_t *rounding, int32_t width,
                       uint8_t *pixels) {
  const float *red = &sums[rppg_first_channel(image) * width];
  const float *green = &sums[width];
  const float *blue = &sums[(2 - rppg_first_channel(image)) * width];
  int32_t x = 0;
#if RPPG_HAS_HELIUM
  for (; x + LANES <= width; x += LANES) {
    store_mixed(rounded_at(&red[x], rounding), rounded_at(&green[x], rounding),
                rounded_at(&blue[x], rounding), &pixels[x]);
  }
#endif
  for (; x < width; ++x) {
    const uint8_t rgb[CHANNELS] = {rounded(red[x], rounding),
                                   rounded(green[x], rounding),
                                   rounded(blue[x], rounding)};
    pixels[x] = mixed(rgb);
  }
}

/* Adds the next row of the image to the row of grey pixels that it belongs
 * to. */
static void reduce_row(rppg_grey_t *grey, const rppg_image_t *image,
                       const rppg_area_t *area, rppg_reduction_t *scratch,
                       uint8_t *pixels) {
  const rppg_span_t span = rppg_span_at(&area->rows, grey->next_row);
  const int32_t y = area->rows.start + (int32_t)span.first + grey->next_source;
  if (y != grey->summed_y) {
    rppg_sum_spans(image, &area->columns, y, scratch->spans, grey->width,
                   scratch->row);
    grey->summed_y = y;
  }
  rppg_add_row(scratch->row, rppg_weight_at(&span, grey->next_source),
               (CHANNELS * grey->width + LANES - 1) / LANES * LANES,
               scratch->sums);
  ++grey->next_source;
  if (grey->next_source == (int32_t)span.num) {
    finish_row(image, scratch->sums, &area->rounding, grey->width,
               &pixels[grey->next_row * grey->width]);
    memset(scratch->sums, 0, sizeof scratch->sums);
    grey->next_source = 0;
    ++grey->next_row;
  }
}

/* --- Both ------------------------------------------------------------------
 */

void rppg_grey_begin(rppg_grey_t *grey, const rppg_bounds_t *part,
                     double reduction, rppg_reduction_t *scratch) {
  grey->part = *part;
  grey->width = reduced(part->x1 - part->x0, reduction);
  grey->height = reduced(part->y1 - part->y0, reduction);
  grey->is_reduced = (reduction > 1.0);
  grey->next_row = 0;
  grey->next_source = 0;
  grey->summed_y = -1;
  if (grey->is_reduced) {
    const rppg_area_t area = rppg_area_of(part, grey->width, grey->height);
    memset(scratch, 0, sizeof *scratch);
    for (int32_t x = 0; x < grey->width; ++x) {
      scratch->spans[x] = rppg_span_at(&area.columns, x);
    }
  }
}

/* A pixel that is reduced takes as long as some that are not. */
enum { REDUCTION_COST = 4 };

int32_t rppg_grey_go_on(rppg_grey_t *grey, const rppg_image_t *image,
                        int32_t num_pixels, rppg_reduction_t *scratch,
                        uint8_t *pixels) {
  const int32_t width = grey->part.x1 - grey->part.x0;
  int32_t left = num_pixels;
  if (grey->is_reduced) {
    const rppg_area_t area =
        rppg_area_of(&grey->part, grey->width, grey->height);
    while ((left > 0) && (grey->next_row < grey->height)) {
      reduce_row(grey, image, &area, scratch, pixels);
      left -= REDUCTION_COST * width;
    }
  } else {
    while ((left > 0) && (grey->next_row < grey->height)) {
      mix_row(image, &grey->part, grey->next_row,
              &pixels[grey->next_row * width]);
      ++grey->next_row;
      left -= width;
    }
  }
  return grey->next_row == grey->height;
}
