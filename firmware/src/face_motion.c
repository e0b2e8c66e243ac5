#include "face_motion.h"

#include <math.h>
#include <string.h>

#include "helium.h"
#include "pixels.h"

static const uint8_t profile_percent[4] = RPPG_PROFILE_PERCENT;

/* Sums over the columns or over the rows of a region, by bins of equal width;
 * what is left over at the end is a bin that is not counted. */
typedef struct {
  uint32_t sums[RPPG_MAX_BINS]; /* of 64 * 4096 pixels at most: below 2^32 */
  int32_t bin_px;
  int32_t num_bins;
  double mean;
} profile_t;

/* Rows that a strip is summed over, and how many of them make a bin. */
typedef struct {
  size_t stride;
  int32_t num;
  int32_t bin_px;
  int32_t is_packed;
} rows_t;

/* --- Sums ------------------------------------------------------------------
 * A strip is as wide as can be summed at once. Its columns are bytes, or
 * pixels where these are packed. The last strip reaches back over `skip`
 * columns of the one before, which do not count in the rows. sums: of each
 * column; row_bins: added to.
 */

/* Sums of a strip's columns fit 16 bits. */
enum { MAX_ROWS = 65535 / 255, MAX_PACKED_ROWS = 65535 / (3 * 255) };

static int32_t min_i32(int32_t one, int32_t other) {
  return (one < other) ? one : other;
}

#if RPPG_HAS_HELIUM
enum { STRIP_BYTES = 32, STRIP_PIXELS = 16, MAX_COLUMNS = STRIP_BYTES };

/* 1 from column `skip` on. */
static inline uint8x16_t counted(uint8x16_t columns, int32_t skip) {
  return vpselq_u8(vdupq_n_u8(1u), vdupq_n_u8(0u),
                   vcmpcsq_n_u8(columns, (uint8_t)skip));
}

/* pairs: of every two columns both as one number, modulo 2^16; seconds: the
 * second. */
static inline void store_sums(uint16x8_t pairs, uint16x8_t seconds,
                              uint16_t *sums) {
  const uint16x8x2_t both = {
      {vsubq_u16(pairs, vshlq_n_u16(seconds, 8)), seconds}};
  vst2q_u16(sums, both);
}

static void sum_strip(const uint8_t *bytes, const rows_t *rows, int32_t skip,
                      uint16_t *sums, uint32_t *row_bins) {
  const uint8x16_t columns = vidupq_n_u8(0u, 1);
  const uint8x16_t counted0 = counted(columns, skip);
  const uint8x16_t counted1 = counted(vaddq_n_u8(columns, 16u), skip);
  uint16x8_t pairs0 = vdupq_n_u16(0u);
  uint16x8_t pairs1 = pairs0;
  uint16x8_t seconds0 = pairs0;
  uint16x8_t seconds1 = pairs0;
  for (int32_t row = 0; row < rows->num; row += rows->bin_px) {
    uint32_t sum = *row_bins;
    for (int32_t left = min_i32(rows->bin_px, rows->num - row); left > 0;
         --left) {
      uint8x16_t values = vldrbq_u8(&bytes[0]);
      uint16x8_t pair = vreinterpretq_u16_u8(values);
      sum = vmladavaq_u8(sum, values, counted0);
      pairs0 = vaddq_u16(pairs0, pair);
      seconds0 = vaddq_u16(seconds0, vshrq_n_u16(pair, 8));
      values = vldrbq_u8(&bytes[16]);
      pair = vreinterpretq_u16_u8(values);
      sum = vmladavaq_u8(sum, values, counted1);
      pairs1 = vaddq_u16(pairs1, pair);
      seconds1 = vaddq_u16(seconds1, vshrq_n_u16(pair, 8));
      bytes += rows->stride;
    }
    *row_bins = sum;
    ++row_bins;
  }
  store_sums(pairs0, seconds0, &sums[0]);
  store_sums(pairs1, seconds1, &sums[16]);
}

/* Sums of 8 pixels' blue + 256 * red, modulo 2^16, and green; of red. */
static inline void add_packed(const uint8_t *bytes, uint16x8_t *all,
                              uint16x8_t *reds) {
  /* Blue's bits are the lower ones of the first byte, red's the upper ones of
   * the second. */
  const uint8x16_t to_top = vreinterpretq_u8_u16(vdupq_n_u16(0x0108u));
  const uint8x16_t packed = vldrbq_u8(bytes);
  const uint8x16_t ends = vmulq_u8(packed, to_top);
  const uint8x16_t middle =
      vreinterpretq_u8_u16(vshrq_n_u16(vreinterpretq_u16_u8(packed), 3));
  /* The highest bits are repeated below the lowest. */
  const uint16x8_t blue_red = vreinterpretq_u16_u8(vsriq_n_u8(ends, ends, 5));
  *all = vaddq_u16(*all, blue_red);
  *all = vaddq_u16(*all, vmovlbq_u8(vsriq_n_u8(middle, middle, 6)));
  *reds = vaddq_u16(*reds, vshrq_n_u16(blue_red, 8));
}

static void sum_packed_strip(const uint8_t *bytes, const rows_t *rows,
                             int32_t skip, uint16_t *sums, uint32_t *row_bins) {
  const uint16x8_t columns = vidupq_n_u16(0u, 1);
  const mve_pred16_t counted0 = vcmpcsq_n_u16(columns, (uint16_t)skip);
  const mve_pred16_t counted1 =
      vcmpcsq_n_u16(vaddq_n_u16(columns, 8u), (uint16_t)skip);
  uint16x8_t total0 = vdupq_n_u16(0u);
  uint16x8_t total1 = total0;
  for (int32_t row = 0; row < rows->num; row += rows->bin_px) {
    uint16x8_t all0 = vdupq_n_u16(0u);
    uint16x8_t all1 = all0;
    uint16x8_t reds0 = all0;
    uint16x8_t reds1 = all0;
    for (int32_t left = min_i32(rows->bin_px, rows->num - row); left > 0;
         --left) {
      add_packed(&bytes[0], &all0, &reds0);
      add_packed(&bytes[16], &all1, &reds1);
      bytes += rows->stride;
    }
    all0 = vsubq_u16(all0, vmulq_n_u16(reds0, 255u));
    all1 = vsubq_u16(all1, vmulq_n_u16(reds1, 255u));
    total0 = vaddq_u16(total0, all0);
    total1 = vaddq_u16(total1, all1);
    *row_bins = vaddvaq_p_u16(*row_bins, all0, counted0);
    *row_bins = vaddvaq_p_u16(*row_bins, all1, counted1);
    ++row_bins;
  }
  vstrhq_u16(&sums[0], total0);
  vstrhq_u16(&sums[8], total1);
}

#else
/* Packed pixels are taken one by one. */
enum {
  STRIP_BYTES = 4,
  STRIP_PIXELS = RPPG_MAX_SIDE_PX + 1,
  MAX_COLUMNS = STRIP_BYTES
};

static void sum_strip(const uint8_t *bytes, const rows_t *rows, int32_t skip,
                      uint16_t *sums, uint32_t *row_bins) {
  const uint32_t halves = 0x00FF00FFu;
  uint32_t sums02 = 0u; /* of column 0 in the lower half, of 2 in the upper */
  uint32_t sums13 = 0u;
  uint32_t before = 0u;
  for (int32_t row = 0; row < rows->num; row += rows->bin_px) {
    for (int32_t left = min_i32(rows->bin_px, rows->num - row); left > 0;
         --left) {
      const uint32_t word = (uint32_t)bytes[0] | ((uint32_t)bytes[1] << 8) |
                            ((uint32_t)bytes[2] << 16) |
                            ((uint32_t)bytes[3] << 24);
      sums02 += word & halves;
      sums13 += (word >> 8) & halves;
      bytes += rows->stride;
    }
    uint32_t total = (sums13 >> 16);
    total += (skip < 3) ? (sums02 >> 16) : 0u;
    total += (skip < 2) ? (sums13 & 0xFFFFu) : 0u;
    total += (skip < 1) ? (sums02 & 0xFFFFu) : 0u;
    *row_bins += total - before;
    before = total;
    ++row_bins;
  }
  sums[0] = (uint16_t)(sums02 & 0xFFFFu);
  sums[1] = (uint16_t)(sums13 & 0xFFFFu);
  sums[2] = (uint16_t)(sums02 >> 16);
  sums[3] = (uint16_t)(sums13 >> 16);
}
#endif

/* --- Profiles --------------------------------------------------------------
 */

static void begin_profile(profile_t *profile, int32_t side_px) {
  memset(profile->sums, 0, sizeof profile->sums);
  profile->bin_px =
      (int32_t)(((uint32_t)side_px + RPPG_MAX_BINS - 1u) / RPPG_MAX_BINS);
  profile->num_bins = side_px / profile->bin_px;
}

/* Returns whether there is anything in both. */
static int32_t finish_profiles(profile_t *columns, profile_t *rows) {
  profile_t *profile = columns;
  int32_t is_something = 1;
  for (int32_t side = 0; side < 2; ++side) {
    double total = 0.0; /* of whole numbers below 2^53 */
    for (int32_t bin = 0; bin < profile->num_bins; ++bin) {
      total += (double)profile->sums[bin];
    }
    profile->mean = total / (double)profile->num_bins;
    is_something = is_something && (total > 0.0);
    profile = rows;
  }
  return is_something;
}

static double value_at(const profile_t *profile, int32_t bin) {
  return (double)profile->sums[bin] / profile->mean;
}

/* Adds rows pixel by pixel: of what is narrower than a strip. */
static void add_pixels(const uint8_t *corner, const rows_t *rows,
                       int32_t width_px, profile_t *columns,
                       uint32_t *row_bins) {
  for (int32_t row = 0; row < rows->num; ++row) {
    const uint8_t *pixel = &corner[rows->stride * (size_t)row];
    uint32_t sum = 0u;
    for (int32_t x = 0; x < width_px; ++x) {
      uint8_t rgb[RPPG_NUM_CHANNELS];
      if (rows->is_packed) {
        rppg_unpack_565(pixel, rgb);
        pixel += 2;
      } else {
        memcpy(rgb, pixel, sizeof rgb);
        pixel += RPPG_NUM_CHANNELS;
      }
      const uint32_t value = (uint32_t)rgb[0] + rgb[1] + rgb[2];
      columns->sums[x / columns->bin_px] += value;
      sum += value;
    }
    row_bins[row / rows->bin_px] += sum;
  }
}

/* Adds rows, the first of them the first of a bin, strip by strip. */
static void add_rows(const uint8_t *corner, const rows_t *rows,
                     int32_t width_px, profile_t *columns, uint32_t *row_bins) {
  const int32_t per_px = rows->is_packed ? 1 : RPPG_NUM_CHANNELS;
  const int32_t column_bytes = rows->is_packed ? 2 : 1;
  const int32_t strip = rows->is_packed ? STRIP_PIXELS : STRIP_BYTES;
  const int32_t num_columns = width_px * per_px;
  if (num_columns < strip) {
    add_pixels(corner, rows, width_px, columns, row_bins);
    return;
  }
  for (int32_t next = 0; next < num_columns; next += strip) {
    uint16_t sums[MAX_COLUMNS];
    const int32_t first = min_i32(next, num_columns - strip);
    const int32_t skip = next - first;
    const uint8_t *bytes = &corner[first * column_bytes];
#if RPPG_HAS_HELIUM
    if (rows->is_packed) {
      sum_packed_strip(bytes, rows, skip, sums, row_bins);
    } else {
      sum_strip(bytes, rows, skip, sums, row_bins);
    }
#else
    sum_strip(bytes, rows, skip, sums, row_bins);
#endif
    for (int32_t index = skip; index < strip; ++index) {
      columns->sums[(first + index) / (columns->bin_px * per_px)] +=
          sums[index];
    }
  }
}

/* Both profiles of what the box holds; 0 where it reaches out of the image, is
 * too small or black. */
static int32_t take_profiles(const rppg_image_t *image, const rppg_box_t *box,
                             profile_t *columns, profile_t *rows) {
  const rppg_bounds_t region = rppg_region_px(box, profile_percent);
  const int32_t width = region.x1 - region.x0;
  const int32_t height = region.y1 - region.y0;
  const int32_t is_packed = (image->format == RPPG_RGB565);
  if ((region.x0 < 0) || (region.y0 < 0) ||
      (region.x1 > (int32_t)image->width_px) ||
      (region.y1 > (int32_t)image->height_px) ||
      (min_i32(width, height) < RPPG_MIN_BINS)) {
    return 0;
  }
  begin_profile(columns, width);
  begin_profile(rows, height);
  const int32_t bins_at_once =
      (is_packed ? MAX_PACKED_ROWS : MAX_ROWS) / rows->bin_px;
  const int32_t rows_at_once = bins_at_once * rows->bin_px;
  uint32_t *row_bins = rows->sums;
  for (int32_t y = 0; y < height; y += rows_at_once) {
    const uint8_t *corner = rppg_pixel_at(image, region.x0, region.y0 + y);
    const rows_t some = {image->stride_bytes, min_i32(rows_at_once, height - y),
                         rows->bin_px, is_packed};
    add_rows(corner, &some, width, columns, row_bins);
    row_bins += bins_at_once;
  }
  return finish_profiles(columns, rows);
}

typedef char
    bins_fit_a_strip[((RPPG_MAX_SIDE_PX + RPPG_MAX_BINS - 1) / RPPG_MAX_BINS <=
                      MAX_PACKED_ROWS)
                         ? 1
                         : -1];

/* --- Motion ----------------------------------------------------------------
 */

static int32_t limited(int32_t value, int32_t limit) {
  const int32_t low = (value > -limit) ? value : -limit;
  return min_i32(low, limit);
}

/* How far a profile lies behind its template, in 1/RPPG_SUBPIXELS pixel: the
 * least squares of template - displacement * slope, free of a common offset.
 */
static int32_t displacement(const float *template, const profile_t *profile) {
  const double num = (double)(profile->num_bins - 2);
  const double scale = (double)(profile->bin_px * RPPG_SUBPIXELS);
  double slopes = 0.0;
  double changes = 0.0;
  double squares = 0.0;
  double products = 0.0;
  for (int32_t bin = 1; bin < profile->num_bins - 1; ++bin) {
    const double was_steep =
        (double)template[bin + 1] - (double)template[bin - 1];
    const double is_steep =
        value_at(profile, bin + 1) - value_at(profile, bin - 1);
    const double slope = (was_steep + is_steep) * 0.25;
    const double change = value_at(profile, bin) - (double)template[bin];
    slopes += slope;
    changes += change;
    squares += slope * slope;
    products += slope * change;
  }
  const double square = squares - slopes * slopes / num;
  const double product = products - slopes * changes / num;
  if (square < RPPG_MIN_SLOPE * num) {
    return 0;
  }
  const double bins = fmax(-1.5, fmin(1.5, -product / square));
  return (int32_t)floor(bins * scale + 0.5);
}

rppg_box_t rppg_moved_box(const rppg_box_t *box, const rppg_shift_t *shift) {
  rppg_box_t moved = *box;
  moved.x += rppg_whole_px(shift->x);
  moved.y += rppg_whole_px(shift->y);
  return moved;
}

/* Looks where the head was last, and again where it is farther away than a
 * bin. */
static void follow(rppg_face_motion_t *state, const rppg_image_t *image) {
  const rppg_box_t *box = &state->box;
  const int32_t reach = box->width * RPPG_SUBPIXELS / RPPG_REACH_DIVISOR;
  int32_t is_near = 0;
  for (int32_t look = 0; (look <= RPPG_NUM_MORE_LOOKS) && !is_near; ++look) {
    profile_t columns;
    profile_t rows;
    const rppg_box_t place = rppg_moved_box(box, &state->shift);
    if (!take_profiles(image, &place, &columns, &rows)) {
      return;
    }
    const int32_t by_x = displacement(state->template_x, &columns);
    const int32_t by_y = displacement(state->template_y, &rows);
    state->shift.x = limited(RPPG_SUBPIXELS * (place.x - box->x) + by_x, reach);
    state->shift.y = limited(RPPG_SUBPIXELS * (place.y - box->y) + by_y, reach);
    const int32_t bin_x = columns.bin_px * RPPG_SUBPIXELS;
    const int32_t bin_y = rows.bin_px * RPPG_SUBPIXELS;
    is_near = (limited(by_x, bin_x) == by_x) && (limited(by_y, bin_y) == by_y);
  }
}

static void take_template(rppg_face_motion_t *state,
                          const rppg_image_t *image) {
  profile_t columns;
  profile_t rows;
  if (!take_profiles(image, &state->box, &columns, &rows)) {
    return;
  }
  /* Bins beyond a profile's are not read. */
  for (int32_t bin = 0; bin < RPPG_MAX_BINS; ++bin) {
    state->template_x[bin] = (float)value_at(&columns, bin);
    state->template_y[bin] = (float)value_at(&rows, bin);
  }
  state->has_template = 1u;
}

void rppg_face_motion_push(rppg_face_motion_t *state, const rppg_image_t *image,
                           const rppg_box_t *box) {
  if ((box == NULL) || (state->box.x != box->x) || (state->box.y != box->y) ||
      (state->box.width != box->width) || (state->box.height != box->height)) {
    memset(state, 0, sizeof *state); /* no box has a width of 0 */
  }
  if (box == NULL) {
    return;
  }
  state->box = *box;
  if (state->has_template) {
    follow(state, image);
  } else {
    take_template(state, image);
  }
}
