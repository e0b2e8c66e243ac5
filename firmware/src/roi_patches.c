#include "roi_patches.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "helium.h"

enum {
  SIZE = RPPG_ROI_SIZE_PX,
  CHANNELS = RPPG_NUM_CHANNELS,
  ROW = SIZE * CHANNELS
};

static const uint8_t roi_percent[RPPG_NUM_ROIS][4] = RPPG_ROI_PERCENT;
static const uint8_t mid_face_percent[4] = RPPG_MID_FACE_PERCENT;

/* One side of a region. A side shorter than 36 is repeated `repeats` times
 * first, which changes no mean. */
typedef struct {
  int32_t start; /* first pixel of the region in the image */
  int32_t repeats;
  int32_t length; /* repeats included, >= 36 */
  double scale;   /* source pixels a target pixel */
} side_t;

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

rppg_bounds_t rppg_roi_bounds(const rppg_box_t *box, const uint8_t percent[4],
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

/* --- Pixels ----------------------------------------------------------------
 */

static int32_t bytes_per_pixel(const rppg_image_t *image) {
  return (image->format == RPPG_RGB565) ? 2 : 3;
}

static const uint8_t *pixel_at(const rppg_image_t *image, int32_t x,
                               int32_t y) {
  return image->pixels + (size_t)y * image->stride_bytes +
         (size_t)x * (size_t)bytes_per_pixel(image);
}

static void unpack_565(const uint8_t *pixel, uint8_t *rgb) {
  const uint32_t packed = (uint32_t)pixel[0] | ((uint32_t)pixel[1] << 8);
  const uint32_t red = packed >> 11;
  const uint32_t green = (packed >> 5) & 0x3Fu;
  const uint32_t blue = packed & 0x1Fu;
  rgb[0] = (uint8_t)((red << 3) | (red >> 2));
  rgb[1] = (uint8_t)((green << 2) | (green >> 4));
  rgb[2] = (uint8_t)((blue << 3) | (blue >> 2));
}

/* Turns stored channels 0, 2 into R, B. */
static void order_channels(const rppg_image_t *image, uint8_t *patch) {
  if (image->format != RPPG_BGR888) {
    return;
  }
  for (int32_t index = 0; index < SIZE * ROW; index += CHANNELS) {
    const uint8_t blue = patch[index];
    patch[index] = patch[index + 2];
    patch[index + 2] = blue;
  }
}

/* --- Area mean -------------------------------------------------------------
 */

/* Of a mean of bytes: never negative. */
static uint8_t to_byte(float value) {
  const int32_t rounded = (int32_t)rintf(value); /* half to even */
  return (uint8_t)((rounded > 255) ? 255 : rounded);
}

static side_t side_of(int32_t start, int32_t num_pixels, int32_t repeats) {
  const int32_t length = num_pixels * repeats;
  /* In these two steps: the last bit counts. */
  const double inverse = (double)SIZE / (double)length;
  const side_t side = {start, repeats, length, 1.0 / inverse};
  return side;
}

/* The whole number of source pixels a target pixel, or 0. */
static int32_t whole_scale(const side_t *side) {
  const double nearest = rint(side->scale);
  return (fabs(side->scale - nearest) < DBL_EPSILON) ? (int32_t)nearest : 0;
}

/* Source [from, to) of target pixel `target`: a pixel that lies in it by less
 * than a thousandth is left out. */
static rppg_span_t span_at(const side_t *side, int32_t target) {
  const double slack = 1e-3;
  const double from = (double)target * side->scale;
  const double to = from + side->scale;
  const double rest = (double)side->length - from;
  const double width = (side->scale < rest) ? side->scale : rest;
  int32_t whole_to = (int32_t)floor(to);
  whole_to = (whole_to < side->length - 1) ? whole_to : side->length - 1;
  int32_t whole_from = (int32_t)ceil(from);
  whole_from = (whole_from < whole_to) ? whole_from : whole_to;
  const double before = (double)whole_from - from;
  const double after = to - (double)whole_to;
  const int32_t has_before = (before > slack);
  const int32_t has_after = (after > slack);
  const int32_t num = (whole_to - whole_from) + has_before + has_after;
  const float middle = (float)(1.0 / width);
  rppg_span_t span;
  span.first = (uint16_t)(has_before ? whole_from - 1 : whole_from);
  span.num = (uint16_t)num;
  span.middle_weight = middle;
  span.first_weight = has_before ? (float)(before / width) : middle;
  span.last_weight = middle;
  if (has_after) {
    const double capped = (after < 1.0) ? after : 1.0;
    span.last_weight = (float)(((capped < width) ? capped : width) / width);
  }
  if ((num == 1) && !has_before) {
    span.first_weight = span.last_weight;
  }
  return span;
}

static float weight_at(const rppg_span_t *span, int32_t index) {
  if (index == 0) {
    return span->first_weight;
  }
  return (index + 1 < (int32_t)span->num) ? span->middle_weight
                                          : span->last_weight;
}

/* sums += weight * pixel */
static void add_pixel(const uint8_t *pixel, float weight, float *sums) {
  sums[0] += (float)pixel[0] * weight;
  sums[1] += (float)pixel[1] * weight;
  sums[2] += (float)pixel[2] * weight;
}

/* Weighted sums of a span's pixels, from the left; 3 bytes a pixel. */
static void sum_span(const rppg_span_t *span, const uint8_t *pixel,
                     float *outputs) {
  const int32_t num_middle = (int32_t)span->num - 2;
#if RPPG_HAS_HELIUM
  /* Lane 3 stays empty: it would be the next pixel's, or beyond the image.
   * Not a constant: gcc 12 makes all lanes of one. */
  const mve_pred16_t lanes = vctp32q(CHANNELS);
  const float weight = span->middle_weight;
  float32x4_t sums = vmulq_n_f32(
      vcvtq_f32_u32(vldrbq_z_u32(pixel, lanes)), span->first_weight);
  for (int32_t index = 0; index < num_middle; ++index) {
    pixel += CHANNELS;
    sums = vaddq_f32(
        sums, vmulq_n_f32(vcvtq_f32_u32(vldrbq_z_u32(pixel, lanes)), weight));
  }
  if (num_middle >= 0) {
    pixel += CHANNELS;
    sums = vaddq_f32(
        sums, vmulq_n_f32(vcvtq_f32_u32(vldrbq_z_u32(pixel, lanes)),
                          span->last_weight));
  }
  vstrwq_p_f32(outputs, sums, lanes);
#else
  const float weight = span->middle_weight;
  float sum0 = (float)pixel[0] * span->first_weight;
  float sum1 = (float)pixel[1] * span->first_weight;
  float sum2 = (float)pixel[2] * span->first_weight;
  for (int32_t index = 0; index < num_middle; ++index) {
    pixel += CHANNELS;
    sum0 += (float)pixel[0] * weight;
    sum1 += (float)pixel[1] * weight;
    sum2 += (float)pixel[2] * weight;
  }
  outputs[0] = sum0;
  outputs[1] = sum1;
  outputs[2] = sum2;
  if (num_middle >= 0) {
    add_pixel(pixel + CHANNELS, span->last_weight, outputs);
  }
#endif
}

/* The same; 2 bytes a pixel. */
static void sum_packed_span(const rppg_span_t *span, const uint8_t *pixel,
                            float *outputs) {
  const int32_t num = (int32_t)span->num;
  float weight = span->first_weight;
  float sum0 = 0.0f;
  float sum1 = 0.0f;
  float sum2 = 0.0f;
  for (int32_t index = 1; index <= num; ++index) {
    uint8_t rgb[CHANNELS];
    unpack_565(pixel, rgb);
    sum0 += (float)rgb[0] * weight;
    sum1 += (float)rgb[1] * weight;
    sum2 += (float)rgb[2] * weight;
    pixel += 2;
    weight =
        (index + 1 < num) ? span->middle_weight : span->last_weight;
  }
  outputs[0] = sum0;
  outputs[1] = sum1;
  outputs[2] = sum2;
}

/* The same of pixels that are repeated, from pixel first / repeats of the row
 * on. */
static void sum_span_slowly(const rppg_span_t *span, int32_t is_packed,
                            int32_t repeats, const uint8_t *row,
                            float *outputs) {
  const int32_t bytes = is_packed ? 2 : CHANNELS;
  const int32_t num = (int32_t)span->num;
  const uint8_t *pixel = row + ((int32_t)span->first / repeats) * bytes;
  int32_t repeat = (int32_t)span->first % repeats;
  float sums[CHANNELS] = {0.0f, 0.0f, 0.0f};
  for (int32_t index = 0; index < num; ++index) {
    if (is_packed) {
      uint8_t rgb[CHANNELS];
      unpack_565(pixel, rgb);
      add_pixel(rgb, weight_at(span, index), sums);
    } else {
      add_pixel(pixel, weight_at(span, index), sums);
    }
    ++repeat;
    if (repeat == repeats) {
      repeat = 0;
      pixel += bytes;
    }
  }
  memcpy(outputs, sums, sizeof sums);
}

/* One source row brought to 36 pixels. */
static void shrink_row(const rppg_image_t *image, const side_t *columns,
                       const rppg_span_t *spans, int32_t y, float *outputs) {
  const uint8_t *row = pixel_at(image, columns->start, y);
  const int32_t is_packed = (image->format == RPPG_RGB565);
  for (int32_t target = 0; target < SIZE; ++target) {
    const rppg_span_t *span = &spans[target];
    float *sums = &outputs[target * CHANNELS];
    if (columns->repeats > 1) {
      sum_span_slowly(span, is_packed, columns->repeats, row, sums);
    } else if (is_packed) {
      sum_packed_span(span, row + (int32_t)span->first * 2, sums);
    } else {
      sum_span(span, row + (int32_t)span->first * CHANNELS, sums);
    }
  }
}

/* sums += weight * row, or = for the first row. */
static void add_row(const float *row, float weight, int32_t is_first,
                    float *sums) {
#if RPPG_HAS_HELIUM
  for (int32_t at = 0; at < ROW; at += 4) {
    const float32x4_t share = vmulq_n_f32(vldrwq_f32(&row[at]), weight);
    vstrwq_f32(&sums[at],
               is_first ? share : vaddq_f32(vldrwq_f32(&sums[at]), share));
  }
#else
  for (int32_t at = 0; at < ROW; ++at) {
    const float share = row[at] * weight;
    sums[at] = is_first ? share : sums[at] + share;
  }
#endif
}

static void round_row(const float *sums, uint8_t *bytes) {
#if RPPG_HAS_HELIUM
  for (int32_t at = 0; at < ROW; at += 4) {
    const uint32x4_t rounded =
        vcvtq_u32_f32(vrndnq_f32(vldrwq_f32(&sums[at]))); /* half to even */
    vstrbq_u32(&bytes[at], vminq_u32(rounded, vdupq_n_u32(255u)));
  }
#else
  for (int32_t at = 0; at < ROW; ++at) {
    bytes[at] = to_byte(sums[at]);
  }
#endif
}

typedef char rows_are_whole_vectors[(ROW % 4 == 0) ? 1 : -1];

static void shrink(const rppg_image_t *image, const side_t *columns,
                   const side_t *rows, rppg_cut_scratch_t *scratch,
                   uint8_t *patch) {
  int32_t shrunk_y = -1;
  for (int32_t target = 0; target < SIZE; ++target) {
    scratch->columns[target] = span_at(columns, target);
  }
  for (int32_t target = 0; target < SIZE; ++target) {
    const rppg_span_t span = span_at(rows, target);
    for (int32_t index = 0; index < (int32_t)span.num; ++index) {
      const int32_t y =
          rows->start + ((int32_t)span.first + index) / rows->repeats;
      if (y != shrunk_y) {
        shrink_row(image, columns, scratch->columns, y, scratch->row);
        shrunk_y = y;
      }
      add_row(scratch->row, weight_at(&span, index), index == 0,
              scratch->sums);
    }
    round_row(scratch->sums, &patch[target * ROW]);
  }
}

/* Sums of a block of source pixels. */
static void sum_block(const rppg_image_t *image, const side_t *columns,
                      const side_t *rows, int32_t column, int32_t row,
                      int32_t width, int32_t height, int32_t *sums) {
  sums[0] = 0;
  sums[1] = 0;
  sums[2] = 0;
  for (int32_t down = 0; down < height; ++down) {
    const int32_t y = rows->start + (row + down) / rows->repeats;
    for (int32_t right = 0; right < width; ++right) {
      const int32_t x = columns->start + (column + right) / columns->repeats;
      const uint8_t *pixel = pixel_at(image, x, y);
      uint8_t rgb[CHANNELS];
      if (image->format == RPPG_RGB565) {
        unpack_565(pixel, rgb);
        pixel = rgb;
      }
      sums[0] += pixel[0];
      sums[1] += pixel[1];
      sums[2] += pixel[2];
    }
  }
}

/* Both scales whole: sums of whole pixels. */
static void shrink_whole(const rppg_image_t *image, const side_t *columns,
                         const side_t *rows, int32_t width, int32_t height,
                         uint8_t *patch) {
  const float share = (float)(1.0 / (double)(width * height));
  int32_t sums[CHANNELS];
  for (int32_t target = 0; target < SIZE * SIZE; ++target) {
    sum_block(image, columns, rows, (target % SIZE) * width,
              (target / SIZE) * height, width, height, sums);
    for (int32_t channel = 0; channel < CHANNELS; ++channel) {
      uint8_t *output = &patch[target * CHANNELS + channel];
      if ((width == 2) && (height == 2)) {
        *output = (uint8_t)((sums[channel] + 2) >> 2); /* half up */
      } else {
        *output = to_byte((float)sums[channel] * share);
      }
    }
  }
}

static int32_t repeats_of(int32_t num_pixels) {
  return (SIZE + num_pixels - 1) / num_pixels;
}

void rppg_cut_roi(const rppg_image_t *image, const rppg_box_t *box,
                  int32_t roi, rppg_cut_scratch_t *scratch, uint8_t *patch) {
  const rppg_bounds_t bounds = rppg_roi_bounds(box, roi_percent[roi], image);
  const int32_t width = bounds.x1 - bounds.x0;
  const int32_t height = bounds.y1 - bounds.y0;
  if ((width <= 0) || (height <= 0)) {
    memset(patch, 0, (size_t)(SIZE * ROW));
    return;
  }
  const side_t columns = side_of(bounds.x0, width, repeats_of(width));
  const side_t rows = side_of(bounds.y0, height, repeats_of(height));
  const int32_t whole_width = whole_scale(&columns);
  const int32_t whole_height = whole_scale(&rows);
  if ((whole_width > 0) && (whole_height > 0)) {
    shrink_whole(image, &columns, &rows, whole_width, whole_height, patch);
  } else {
    shrink(image, &columns, &rows, scratch, patch);
  }
  order_channels(image, patch);
}

/* --- Mid-face --------------------------------------------------------------
 */

/* Sums of packed pixels. */
static void sum_packed_row(const uint8_t *pixel, int32_t num_pixels,
                           uint32_t *sums) {
  int32_t index = 0;
#if RPPG_HAS_HELIUM
  for (; index + 8 <= num_pixels; index += 8) {
    /* By bytes: the image may lie at an odd address. */
    const uint16x8_t packed =
        vreinterpretq_u16_u8(vldrbq_u8(&pixel[2 * index]));
    const uint16x8_t red = vshrq_n_u16(packed, 11);
    const uint16x8_t green =
        vandq_u16(vshrq_n_u16(packed, 5), vdupq_n_u16(0x3Fu));
    const uint16x8_t blue = vandq_u16(packed, vdupq_n_u16(0x1Fu));
    sums[0] = vaddvaq_u16(
        sums[0], vorrq_u16(vshlq_n_u16(red, 3), vshrq_n_u16(red, 2)));
    sums[1] = vaddvaq_u16(
        sums[1], vorrq_u16(vshlq_n_u16(green, 2), vshrq_n_u16(green, 4)));
    sums[2] = vaddvaq_u16(
        sums[2], vorrq_u16(vshlq_n_u16(blue, 3), vshrq_n_u16(blue, 2)));
  }
#endif
  for (; index < num_pixels; ++index) {
    uint8_t rgb[CHANNELS];
    unpack_565(&pixel[2 * index], rgb);
    sums[0] += rgb[0];
    sums[1] += rgb[1];
    sums[2] += rgb[2];
  }
}

/* Sums of up to RPPG_MAX_SIDE_PX pixels of a row: below 2^32. */
static void sum_row(const rppg_image_t *image, const uint8_t *pixel,
                    int32_t num_pixels, uint32_t *sums) {
  sums[0] = 0u;
  sums[1] = 0u;
  sums[2] = 0u;
  if (image->format == RPPG_RGB565) {
    sum_packed_row(pixel, num_pixels, sums);
    return;
  }
  uint32_t sum0 = 0u;
  uint32_t sum1 = 0u;
  uint32_t sum2 = 0u;
  for (int32_t index = 0; index < num_pixels; ++index) {
    sum0 += pixel[0];
    sum1 += pixel[1];
    sum2 += pixel[2];
    pixel += CHANNELS;
  }
  sums[0] = sum0;
  sums[1] = sum1;
  sums[2] = sum2;
}

void rppg_mean_mid_face(const rppg_image_t *image, const rppg_box_t *box,
                        float rgb[RPPG_NUM_CHANNELS]) {
  const rppg_bounds_t bounds = rppg_roi_bounds(box, mid_face_percent, image);
  const int32_t width = bounds.x1 - bounds.x0;
  const int32_t height = bounds.y1 - bounds.y0;
  const int32_t first = (image->format == RPPG_BGR888) ? 2 : 0;
  uint64_t totals[CHANNELS] = {0u, 0u, 0u};
  rgb[0] = 0.0f;
  rgb[1] = 0.0f;
  rgb[2] = 0.0f;
  if ((width <= 0) || (height <= 0)) {
    return;
  }
  for (int32_t y = bounds.y0; y < bounds.y1; ++y) {
    uint32_t sums[CHANNELS];
    sum_row(image, pixel_at(image, bounds.x0, y), width, sums);
    totals[0] += sums[0];
    totals[1] += sums[1];
    totals[2] += sums[2];
  }
  const double share = 1.0 / ((double)width * (double)height);
  rgb[0] = (float)((double)totals[first] * share);
  rgb[1] = (float)((double)totals[1] * share);
  rgb[2] = (float)((double)totals[2 - first] * share);
}
