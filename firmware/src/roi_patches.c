#include "roi_patches.h"

#include <math.h>
#include <string.h>

#include "area.h"
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

/* --- Rows ------------------------------------------------------------------
 * 36 pixels as three rows of one channel each: what the four spans of a group
 * sum lies side by side.
 */

#if RPPG_HAS_HELIUM
/* What one column adds, step by step. A span that has ended adds its last
 * pixel times 0. */
static void fill_lane(const rppg_side_t *columns, const rppg_span_t *span,
                      int32_t bytes_per_pixel, int32_t num_taps,
                      rppg_tap_t *taps, int32_t lane) {
  const int32_t end = (int32_t)span->num - 1;
  for (int32_t index = 0; index < num_taps; ++index) {
    const int32_t place = (int32_t)span->first + ((index < end) ? index : end);
    taps[index].offsets[lane] =
        (uint16_t)(place / columns->repeats * bytes_per_pixel);
    taps[index].weights[lane] =
        (index <= end) ? rppg_weight_at(span, index) : 0.0f;
  }
}

/* Taps of `num_groups` groups from `first_group` on. */
static void fill_taps(const rppg_side_t *columns, const rppg_image_t *image,
                      int32_t first_group, int32_t num_groups,
                      rppg_cut_scratch_t *scratch) {
  rppg_tap_t *taps = scratch->columns.taps;
  for (int32_t group = 0; group < num_groups; ++group) {
    rppg_span_t spans[LANES];
    int32_t most = 0;
    for (int32_t lane = 0; lane < LANES; ++lane) {
      spans[lane] = rppg_span_at(columns, (first_group + group) * LANES + lane);
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
static int32_t do_taps_fit(const rppg_side_t *columns) {
  return GROUPS * (columns->length / SIZE + 2) <= RPPG_MAX_TAPS;
}

/* Works out what every row of the region needs. */
static void plan_rows(const rppg_side_t *columns, const rppg_image_t *image,
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
static void shrink_row(const rppg_image_t *image, const rppg_side_t *columns,
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
static void plan_rows(const rppg_side_t *columns, const rppg_image_t *image,
                      rppg_cut_scratch_t *scratch) {
  (void)image;
  for (int32_t target = 0; target < SIZE; ++target) {
    scratch->columns.spans[target] = rppg_span_at(columns, target);
  }
}

/* One source row brought to 36 pixels. */
static void shrink_row(const rppg_image_t *image, const rppg_side_t *columns,
                       int32_t y, rppg_cut_scratch_t *scratch) {
  rppg_sum_spans(image, columns, y, scratch->columns.spans, SIZE, scratch->row);
}
#endif

/* Interleaves the channels. */
static void round_row(const float *sums, const rppg_rounding_t *rounding,
                      int32_t first, uint8_t *pixels) {
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

static void shrink(const rppg_image_t *image, const rppg_area_t *area,
                   rppg_cut_scratch_t *scratch, uint8_t *patch) {
  const rppg_side_t *rows = &area->rows;
  int32_t shrunk_y = -1;
  plan_rows(&area->columns, image, scratch);
  for (int32_t target = 0; target < SIZE; ++target) {
    const rppg_span_t span = rppg_span_at(rows, target);
    memset(scratch->sums, 0, sizeof scratch->sums);
    for (int32_t index = 0; index < (int32_t)span.num; ++index) {
      const int32_t y =
          rows->start + ((int32_t)span.first + index) / rows->repeats;
      if (y != shrunk_y) {
        shrink_row(image, &area->columns, y, scratch);
        shrunk_y = y;
      }
      rppg_add_row(scratch->row, rppg_weight_at(&span, index), ROW,
                   scratch->sums);
    }
    round_row(scratch->sums, &area->rounding, rppg_first_channel(image),
              &patch[target * ROW]);
  }
}

void rppg_cut_roi(const rppg_image_t *image, const rppg_box_t *box, int32_t roi,
                  rppg_cut_scratch_t *scratch, uint8_t *patch) {
  const rppg_bounds_t bounds = rppg_region_bounds(box, roi_percent[roi], image);
  if ((bounds.x0 >= bounds.x1) || (bounds.y0 >= bounds.y1)) {
    memset(patch, 0, (size_t)(SIZE * ROW));
    return;
  }
  const rppg_area_t area = rppg_area_of(&bounds, SIZE, SIZE);
  shrink(image, &area, scratch, patch);
}
