#include "roi_patches.h"

#include <math.h>
#include <string.h>

#include "helium.h"
#include "pixels.h"

enum {
  SIZE = RPPG_ROI_SIZE_PX,
  CHANNELS = RPPG_NUM_CHANNELS,
  ROW = SIZE * CHANNELS,
  LANES = 4, /* columns that are summed at once: a group */
  GROUPS = SIZE / LANES
};

static const uint8_t roi_percent[RPPG_NUM_ROIS][4] = RPPG_ROI_PERCENT;

/* One side of a region. A side shorter than 36 is repeated `repeats` times
 * first, which changes no mean. */
typedef struct {
  int32_t start; /* first pixel of the region in the image */
  int32_t repeats;
  int32_t length; /* repeats included, >= 36 */
  int32_t whole;  /* scale, where it and the other side's are whole; else 0 */
  double scale;   /* source pixels a target pixel */
} side_t;

/* How a patch's sums become bytes. */
typedef struct {
  float share; /* of a sum in its byte */
  float bias;
  int32_t first; /* where the channel goes that is stored first */
} rounding_t;

/* --- Spans -----------------------------------------------------------------
 */

static side_t side_of(int32_t start, int32_t num_pixels) {
  const int32_t repeats = (SIZE + num_pixels - 1) / num_pixels;
  const int32_t length = num_pixels * repeats;
  /* In these two steps: the last bit counts. */
  const double inverse = (double)SIZE / (double)length;
  const double scale = 1.0 / inverse;
  const int32_t whole = length / SIZE;
  const side_t side = {start, repeats, length,
                       ((double)whole == scale) ? whole : 0, scale};
  return side;
}

/* Source [from, to) of target pixel `target`: a pixel that lies in it by less
 * than a thousandth is left out. Of a whole scale all weights are 1: whole
 * numbers below 2^24 are summed, which is exact. */
static rppg_span_t span_at(const side_t *side, int32_t target) {
  const double slack = 1e-3;
  const double from = (double)target * side->scale;
  const double to = from + side->scale;
  const double rest = (double)side->length - from;
  const double part = (side->scale < rest) ? side->scale : rest;
  const double width = (side->whole > 0) ? 1.0 : part;
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

/* --- Rows ------------------------------------------------------------------
 * 36 pixels as three rows of one channel each: what the four spans of a group
 * sum lies side by side.
 */

#if RPPG_HAS_HELIUM
/* What one column adds, step by step. A span that has ended adds its last
 * pixel times 0. */
static void fill_lane(const side_t *columns, const rppg_span_t *span,
                      int32_t bytes_per_pixel, int32_t num_taps,
                      rppg_tap_t *taps, int32_t lane) {
  const int32_t end = (int32_t)span->num - 1;
  for (int32_t index = 0; index < num_taps; ++index) {
    const int32_t place = (int32_t)span->first + ((index < end) ? index : end);
    taps[index].offsets[lane] =
        (uint16_t)(place / columns->repeats * bytes_per_pixel);
    taps[index].weights[lane] = (index <= end) ? weight_at(span, index) : 0.0f;
  }
}

/* Taps of `num_groups` groups from `first_group` on. */
static void fill_taps(const side_t *columns, const rppg_image_t *image,
                      int32_t first_group, int32_t num_groups,
                      rppg_cut_scratch_t *scratch) {
  rppg_tap_t *taps = scratch->columns.taps;
  for (int32_t group = 0; group < num_groups; ++group) {
    rppg_span_t spans[LANES];
    int32_t most = 0;
    for (int32_t lane = 0; lane < LANES; ++lane) {
      spans[lane] = span_at(columns, (first_group + group) * LANES + lane);
      const int32_t num = (int32_t)spans[lane].num;
      most = (most > num) ? most : num;
    }
    for (int32_t lane = 0; lane < LANES; ++lane) {
      fill_lane(columns, &spans[lane], rppg_bytes_per_pixel(image), most, taps,
                lane);
    }
    scratch->num_taps[group] = (uint16_t)most;
    taps += most;
  }
}

/* Whether the taps of all groups fit: a span takes 2 more than its whole
 * pixels at most. */
static int32_t do_taps_fit(const side_t *columns) {
  return GROUPS * (columns->length / SIZE + 2) <= RPPG_MAX_TAPS;
}

/* Works out what every row of the region needs. */
static void plan_rows(const side_t *columns, const rppg_image_t *image,
                      rppg_cut_scratch_t *scratch) {
  if (do_taps_fit(columns)) {
    fill_taps(columns, image, 0, GROUPS, scratch);
  }
}

/* Weighted sums of the pixels of some groups, from the left; 3 bytes a
 * pixel. */
static void sum_taps(const uint8_t *row, const rppg_tap_t *taps,
                     const uint16_t *num_taps, int32_t num_groups,
                     float *outputs) {
  for (int32_t group = 0; group < num_groups; ++group) {
    float *output = &outputs[group * LANES];
    float32x4_t sum0 = vdupq_n_f32(0.0f);
    float32x4_t sum1 = sum0;
    float32x4_t sum2 = sum0;
    for (int32_t left = (int32_t)num_taps[group]; left > 0; --left) {
      const uint32x4_t at = vldrhq_u32(taps->offsets);
      const float32x4_t weight = vldrwq_f32(taps->weights);
      const uint32x4_t value0 = vldrbq_gather_offset_u32(&row[0], at);
      sum0 = vaddq_f32(sum0, vmulq_f32(vcvtq_f32_u32(value0), weight));
      const uint32x4_t value1 = vldrbq_gather_offset_u32(&row[1], at);
      sum1 = vaddq_f32(sum1, vmulq_f32(vcvtq_f32_u32(value1), weight));
      const uint32x4_t value2 = vldrbq_gather_offset_u32(&row[2], at);
      sum2 = vaddq_f32(sum2, vmulq_f32(vcvtq_f32_u32(value2), weight));
      ++taps;
    }
    vstrwq_f32(&output[0], sum0);
    vstrwq_f32(&output[SIZE], sum1);
    vstrwq_f32(&output[2 * SIZE], sum2);
  }
}

/* The same; 2 bytes a pixel. */
static void sum_packed_taps(const uint8_t *row, const rppg_tap_t *taps,
                            const uint16_t *num_taps, int32_t num_groups,
                            float *outputs) {
  for (int32_t group = 0; group < num_groups; ++group) {
    float *output = &outputs[group * LANES];
    float32x4_t sum0 = vdupq_n_f32(0.0f);
    float32x4_t sum1 = sum0;
    float32x4_t sum2 = sum0;
    for (int32_t left = (int32_t)num_taps[group]; left > 0; --left) {
      const uint32x4_t at = vldrhq_u32(taps->offsets);
      const float32x4_t weight = vldrwq_f32(taps->weights);
      const uint8x16_t low =
          vreinterpretq_u8_u32(vldrbq_gather_offset_u32(&row[0], at));
      const uint8x16_t high =
          vreinterpretq_u8_u32(vldrbq_gather_offset_u32(&row[1], at));
      const uint8x16_t green = vsriq_n_u8(vshlq_n_u8(high, 5), low, 3);
      const uint8x16_t blue = vshlq_n_u8(low, 3);
      /* The highest bits are repeated below the lowest. */
      const uint32x4_t value0 = vreinterpretq_u32_u8(vsriq_n_u8(high, high, 5));
      sum0 = vaddq_f32(sum0, vmulq_f32(vcvtq_f32_u32(value0), weight));
      const uint32x4_t value1 =
          vreinterpretq_u32_u8(vsriq_n_u8(green, green, 6));
      sum1 = vaddq_f32(sum1, vmulq_f32(vcvtq_f32_u32(value1), weight));
      const uint32x4_t value2 = vreinterpretq_u32_u8(vsriq_n_u8(blue, blue, 5));
      sum2 = vaddq_f32(sum2, vmulq_f32(vcvtq_f32_u32(value2), weight));
      ++taps;
    }
    vstrwq_f32(&output[0], sum0);
    vstrwq_f32(&output[SIZE], sum1);
    vstrwq_f32(&output[2 * SIZE], sum2);
  }
}

/* One source row brought to 36 pixels. */
static void shrink_row(const rppg_image_t *image, const side_t *columns,
                       int32_t y, rppg_cut_scratch_t *scratch) {
  const uint8_t *row = rppg_pixel_at(image, columns->start, y);
  const int32_t at_once = do_taps_fit(columns) ? GROUPS : 1;
  for (int32_t group = 0; group < GROUPS; group += at_once) {
    if (at_once == 1) {
      fill_taps(columns, image, group, 1, scratch);
    }
    if (image->format == RPPG_RGB565) {
      sum_packed_taps(row, scratch->columns.taps, scratch->num_taps, at_once,
                      &scratch->row[group * LANES]);
    } else {
      sum_taps(row, scratch->columns.taps, scratch->num_taps, at_once,
               &scratch->row[group * LANES]);
    }
  }
}

#else
/* Works out what every row of the region needs. */
static void plan_rows(const side_t *columns, const rppg_image_t *image,
                      rppg_cut_scratch_t *scratch) {
  (void)image;
  for (int32_t target = 0; target < SIZE; ++target) {
    scratch->columns.spans[target] = span_at(columns, target);
  }
}

/* sums += weight * pixel; of 3 bytes, or of 2. */
static inline void add_pixel(const uint8_t *pixel, int32_t is_packed,
                             float weight, float sums[CHANNELS]) {
  uint8_t rgb[CHANNELS];
  if (is_packed) {
    rppg_unpack_565(pixel, rgb);
  } else {
    memcpy(rgb, pixel, sizeof rgb);
  }
  sums[0] += (float)rgb[0] * weight;
  sums[1] += (float)rgb[1] * weight;
  sums[2] += (float)rgb[2] * weight;
}

/* Weighted sums of the pixels of one span after the other, from the left, of
 * pixels that are not repeated. `is_packed` is a constant wherever this is
 * called. */
static inline void sum_spans(const uint8_t *row, const rppg_span_t *spans,
                             int32_t is_packed, float *outputs) {
  const int32_t bytes = is_packed ? 2 : 3;
  for (int32_t target = 0; target < SIZE; ++target) {
    const rppg_span_t *span = &spans[target];
    const uint8_t *pixel = &row[(int32_t)span->first * bytes];
    const float middle = span->middle_weight;
    float sums[CHANNELS] = {0.0f, 0.0f, 0.0f};
    add_pixel(pixel, is_packed, span->first_weight, sums);
    for (int32_t left = (int32_t)span->num - 2; left > 0; --left) {
      pixel += bytes;
      add_pixel(pixel, is_packed, middle, sums);
    }
    if (span->num > 1u) {
      pixel += bytes;
      add_pixel(pixel, is_packed, span->last_weight, sums);
    }
    outputs[target] = sums[0];
    outputs[SIZE + target] = sums[1];
    outputs[2 * SIZE + target] = sums[2];
  }
}

/* The same of a region of fewer than 36 columns. */
static void sum_repeated_spans(const uint8_t *row, const rppg_span_t *spans,
                               int32_t repeats, int32_t is_packed,
                               float *outputs) {
  const int32_t bytes = is_packed ? 2 : 3;
  for (int32_t target = 0; target < SIZE; ++target) {
    const rppg_span_t *span = &spans[target];
    float sums[CHANNELS] = {0.0f, 0.0f, 0.0f};
    for (int32_t index = 0; index < (int32_t)span->num; ++index) {
      const int32_t place = ((int32_t)span->first + index) / repeats;
      add_pixel(&row[place * bytes], is_packed, weight_at(span, index), sums);
    }
    outputs[target] = sums[0];
    outputs[SIZE + target] = sums[1];
    outputs[2 * SIZE + target] = sums[2];
  }
}

/* One source row brought to 36 pixels. */
static void shrink_row(const rppg_image_t *image, const side_t *columns,
                       int32_t y, rppg_cut_scratch_t *scratch) {
  const uint8_t *row = rppg_pixel_at(image, columns->start, y);
  const rppg_span_t *spans = scratch->columns.spans;
  const int32_t is_packed = (image->format == RPPG_RGB565);
  if (columns->repeats > 1) {
    sum_repeated_spans(row, spans, columns->repeats, is_packed, scratch->row);
  } else if (is_packed) {
    sum_spans(row, spans, 1, scratch->row);
  } else {
    sum_spans(row, spans, 0, scratch->row);
  }
}
#endif

/* sums += weight * row */
static void add_row(const float *row, float weight, float *sums) {
#if RPPG_HAS_HELIUM
  for (int32_t at = 0; at < ROW; at += 4) {
    vstrwq_f32(&sums[at], vaddq_f32(vldrwq_f32(&sums[at]),
                                    vmulq_n_f32(vldrwq_f32(&row[at]), weight)));
  }
#else
  for (int32_t at = 0; at < ROW; ++at) {
    sums[at] += row[at] * weight;
  }
#endif
}

/* Interleaves the channels. */
static void round_row(const float *sums, const rounding_t *rounding,
                      uint8_t *pixels) {
  const int32_t first = rounding->first;
  for (int32_t channel = 0; channel < CHANNELS; ++channel) {
    const float *from = &sums[channel * SIZE];
    uint8_t *to = &pixels[(first == 0) ? channel : first - channel];
#if RPPG_HAS_HELIUM
    const uint32x4_t places = vmulq_n_u32(vidupq_n_u32(0u, 1), CHANNELS);
    for (int32_t at = 0; at < SIZE; at += 4) {
      const float32x4_t value = vaddq_n_f32(
          vmulq_n_f32(vldrwq_f32(&from[at]), rounding->share), rounding->bias);
      vstrbq_scatter_offset_u32(
          &to[at * CHANNELS], places,
          vminq_u32(vcvtnq_u32_f32(value), vdupq_n_u32(255u)));
    }
#else
    for (int32_t at = 0; at < SIZE; ++at) {
      const int32_t rounded = (int32_t)rintf(from[at] * rounding->share +
                                             rounding->bias); /* half to even */
      to[at * CHANNELS] = (uint8_t)((rounded > 255) ? 255 : rounded);
    }
#endif
  }
}

typedef char rows_are_whole_vectors[(SIZE % 4 == 0) ? 1 : -1];

static void shrink(const rppg_image_t *image, const side_t *columns,
                   const side_t *rows, const rounding_t *rounding,
                   rppg_cut_scratch_t *scratch, uint8_t *patch) {
  int32_t shrunk_y = -1;
  plan_rows(columns, image, scratch);
  for (int32_t target = 0; target < SIZE; ++target) {
    const rppg_span_t span = span_at(rows, target);
    memset(scratch->sums, 0, sizeof scratch->sums);
    for (int32_t index = 0; index < (int32_t)span.num; ++index) {
      const int32_t y =
          rows->start + ((int32_t)span.first + index) / rows->repeats;
      if (y != shrunk_y) {
        shrink_row(image, columns, y, scratch);
        shrunk_y = y;
      }
      add_row(scratch->row, weight_at(&span, index), scratch->sums);
    }
    round_row(scratch->sums, rounding, &patch[target * ROW]);
  }
}

void rppg_cut_roi(const rppg_image_t *image, const rppg_box_t *box, int32_t roi,
                  rppg_cut_scratch_t *scratch, uint8_t *patch) {
  const rppg_bounds_t bounds = rppg_region_bounds(box, roi_percent[roi], image);
  const int32_t width = bounds.x1 - bounds.x0;
  const int32_t height = bounds.y1 - bounds.y0;
  if ((width <= 0) || (height <= 0)) {
    memset(patch, 0, (size_t)(SIZE * ROW));
    return;
  }
  side_t columns = side_of(bounds.x0, width);
  side_t rows = side_of(bounds.y0, height);
  rounding_t rounding = {1.0f, 0.0f, rppg_first_channel(image)};
  const int32_t area = columns.whole * rows.whole;
  if (area > 0) {
    rounding.share = (float)(1.0 / (double)area);
    /* Halves of 2x2 pixels go up. */
    rounding.bias = ((columns.whole == 2) && (rows.whole == 2)) ? 0.125f : 0.0f;
  } else {
    columns.whole = 0;
    rows.whole = 0;
  }
  shrink(image, &columns, &rows, &rounding, scratch, patch);
}
