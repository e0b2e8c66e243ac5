#include "pyramid.h"

#include <math.h>
#include <string.h>

#include "face_cascade.h"
#include "helium.h"

enum {
  LANES = 8,
  WINDOW = FACE_CASCADE_WINDOW_PX,
  WINDOW_ROWS = WINDOW + 1, /* of an integral image */
  STRIPE_PX = 32,
  ONE = 256, /* pixel */
  ONE_BITS = 8,
  HALF_SQUARE = ONE * ONE / 2,
  SQUARE_BITS = 2 * ONE_BITS
};

/* --- Scans -----------------------------------------------------------------
 */

static int32_t min_i32(int32_t one, int32_t other) {
  return (one < other) ? one : other;
}

static int32_t max_i32(int32_t one, int32_t other) {
  return (one > other) ? one : other;
}

/* Half to even. */
static int32_t round_f32(float value) {
  return (int32_t)rintf(value);
}

/* Of faces at a level, in grey pixels. */
static int32_t face_px(float scale) {
  return round_f32((float)WINDOW * scale);
}

static float scale_at(const rppg_scan_t *scan, int32_t level) {
  double scale = 1.0;
  for (int32_t index = 0; index < level; ++index) {
    scale *= scan->step;
  }
  return (float)scale;
}

void rppg_scan_begin(rppg_scan_t *scan, const rppg_grey_t *grey, double step,
                     int32_t min_px) {
  const int32_t side = min_i32(grey->width, grey->height);
  double scale = 1.0;
  int32_t nearest = 0;
  int32_t smallest_gap = INT32_MAX;
  scan->step = step;
  scan->first_level = 0;
  scan->end_level = 0;
  while ((int32_t)rint((double)WINDOW * scale) <= side) {
    const int32_t px = face_px((float)scale);
    const int32_t gap = (px > min_px) ? px - min_px : min_px - px;
    if (gap < smallest_gap) {
      nearest = scan->end_level;
      smallest_gap = gap;
    }
    scan->first_level += (px < min_px) ? 1 : 0;
    ++scan->end_level;
    scale *= step;
  }
  /* With none large enough OpenCV takes the nearest. */
  if (scan->first_level == scan->end_level) {
    scan->first_level = nearest;
    scan->end_level = min_i32(scan->end_level, nearest + 1);
  }
  scan->next_level = scan->end_level - 1;
}

int32_t rppg_scan_leave_out(rppg_scan_t *scan, const rppg_scan_t *done) {
  /* Below, a last row of windows depends on the first level. */
  if (scale_at(scan, done->first_level) < 2.0f) {
    return 0;
  }
  scan->next_level = done->first_level - 1;
  return 1;
}

/* --- Levels ----------------------------------------------------------------
 */

static int32_t length_at(int32_t side, float scale) {
  return round_f32((float)side / scale);
}

/* Where a level's pixel lies: between grey pixels `offset` and the next, by
 * `weight` / 256. */
typedef struct {
  uint16_t offset;
  uint16_t weight;
} place_t;

/* Of pixel `at` of `num` among `num_grey`. */
static place_t place_at(int32_t at, int32_t num, int32_t num_grey) {
  const double inverse = (double)num / (double)num_grey;
  const double scale = 1.0 / inverse; /* in these two steps */
  const double position = scale * ((double)at + 0.5) - 0.5;
  const double whole = floor(position);
  place_t place = {0u, 0u};
  if (whole >= (double)(num_grey - 1)) {
    place.offset = (uint16_t)(num_grey - 2);
    place.weight = ONE;
  } else if (whole >= 0.0) {
    place.offset = (uint16_t)whole;
    place.weight = (uint16_t)rint((position - whole) * (double)ONE);
  } else {
    /* The first, alone. */
  }
  return place;
}

/* OpenCV cuts the rows of windows into as many stripes as the first level is
 * wide; of an odd number of rows the last may be left over. */
static int32_t rows_of_windows(const rppg_level_t *level,
                               const rppg_scan_t *scan,
                               const rppg_grey_t *grey) {
  const int32_t rows = level->height - WINDOW + 1;
  const int32_t columns =
      length_at(grey->width, scale_at(scan, scan->first_level)) - WINDOW + 1;
  const int32_t stripes = max_i32(1, (columns + STRIPE_PX - 1) / STRIPE_PX);
  const int32_t in_stripe =
      max_i32(1, (rows / level->step + stripes - 1) / stripes);
  return min_i32(rows, stripes * in_stripe * level->step);
}

int32_t rppg_level_begin(rppg_level_t *level, rppg_scan_t *scan,
                         const rppg_grey_t *grey, int32_t num_words) {
  if (scan->next_level < scan->first_level) {
    return 0;
  }
  level->scale = scale_at(scan, scan->next_level);
  level->step = (level->scale >= 2.0f) ? 1 : 2;
  level->width = length_at(grey->width, level->scale);
  level->height = length_at(grey->height, level->scale);
  level->columns = level->width - WINDOW + 1;
  level->rows = rows_of_windows(level, scan, grey);
  level->stride = level->width + 1;
  level->band_rows = num_words / 2 / level->stride;
  level->first_row = 0;
  level->next_row = 0;
  level->next_y = 0;
  memset(level->offsets, 0, sizeof level->offsets);
  memset(level->weights, 0, sizeof level->weights);
  for (int32_t x = 0; x < level->width; ++x) {
    const place_t place = place_at(x, level->width, grey->width);
    level->offsets[x] = place.offset;
    level->weights[x] = place.weight;
  }
  --scan->next_level;
  return 1;
}

#if RPPG_HAS_HELIUM
/* Of two pixels by 256ths: modulo 2^16, which the result is below. */
static inline uint16x8_t between(uint16x8_t left, uint16x8_t right,
                                 uint16x8_t weight) {
  return vaddq_u16(vshlq_n_u16(left, ONE_BITS),
                   vmulq_u16(vsubq_u16(right, left), weight));
}
#endif

/* One row of reduced pixels. Beyond its end, to a whole vector, all are as the
 * first. */
static void resize_row(rppg_level_t *level, int32_t y, const rppg_grey_t *grey,
                       const uint8_t *pixels) {
  const place_t row = place_at(y, level->height, grey->height);
  const uint8_t *upper = &pixels[(int32_t)row.offset * grey->width];
  const uint8_t *lower = &upper[grey->width];
#if RPPG_HAS_HELIUM
  const uint16x8_t down = vdupq_n_u16(row.weight);
  const uint16x8_t up = vdupq_n_u16((uint16_t)(ONE - row.weight));
  for (int32_t x = 0; x < level->width; x += LANES) {
    const uint16x8_t left = vldrhq_u16(&level->offsets[x]);
    const uint16x8_t weight = vldrhq_u16(&level->weights[x]);
    const uint16x8_t above =
        between(vldrbq_gather_offset_u16(&upper[0], left),
                vldrbq_gather_offset_u16(&upper[1], left), weight);
    const uint16x8_t below =
        between(vldrbq_gather_offset_u16(&lower[0], left),
                vldrbq_gather_offset_u16(&lower[1], left), weight);
    const uint32x4_t even =
        vaddq_u32(vmullbq_int_u16(above, up), vmullbq_int_u16(below, down));
    const uint32x4_t odd =
        vaddq_u32(vmulltq_int_u16(above, up), vmulltq_int_u16(below, down));
    uint16x8_t rounded = vdupq_n_u16(0u);
    rounded = vrshrnbq_n_u32(rounded, even, SQUARE_BITS);
    rounded = vrshrntq_n_u32(rounded, odd, SQUARE_BITS);
    vstrbq_u16(&level->pixels[x], rounded);
  }
#else
  const uint32_t down = row.weight;
  for (int32_t x = 0; x < level->width; ++x) {
    const uint32_t left = level->offsets[x];
    const uint32_t right = level->weights[x];
    const uint32_t above =
        upper[left] * (ONE - right) + upper[left + 1u] * right;
    const uint32_t below =
        lower[left] * (ONE - right) + lower[left + 1u] * right;
    level->pixels[x] =
        (uint8_t)((above * (ONE - down) + below * down + HALF_SQUARE) >>
                  (SQUARE_BITS));
  }
#endif
}

/* A row of sums of the pixels above and to the left. */
static void integrate(const rppg_level_t *level, uint32_t *sums,
                      uint32_t *squares) {
  const uint32_t *sums_above = sums - level->stride;
  const uint32_t *squares_above = squares - level->stride;
  uint32_t sum = 0u;
  uint32_t square = 0u;
  sums[0] = 0u;
  squares[0] = 0u;
  for (int32_t x = 0; x < level->width; ++x) {
    const uint32_t pixel = level->pixels[x];
    sum += pixel;
    square += pixel * pixel;
    sums[x + 1] = sums_above[x + 1] + sum;
    squares[x + 1] = squares_above[x + 1] + square;
  }
}

typedef char
    levels_are_whole_vectors[(RPPG_DETECTION_WIDTH_PX % LANES == 0) ? 1 : -1];

int32_t rppg_level_make_row(rppg_level_t *level, const rppg_grey_t *grey,
                            const uint8_t *pixels, uint32_t *memory) {
  const int32_t at = level->next_row - level->first_row;
  if ((at >= level->band_rows) || (level->next_row > level->height)) {
    return 0;
  }
  uint32_t *sums = &memory[at * level->stride];
  uint32_t *squares = &sums[level->band_rows * level->stride];
  if (level->next_row == 0) {
    memset(sums, 0, (size_t)level->stride * sizeof *sums);
    memset(squares, 0, (size_t)level->stride * sizeof *squares);
  } else {
    resize_row(level, level->next_row - 1, grey, pixels);
    integrate(level, sums, squares);
  }
  ++level->next_row;
  return 1;
}

int32_t rppg_level_has_windows(const rppg_level_t *level) {
  return (level->next_y < level->rows) &&
         (level->next_y + WINDOW_ROWS <= level->next_row);
}

int32_t rppg_level_move_on(rppg_level_t *level, uint32_t *memory) {
  const int32_t by = level->next_y - level->first_row;
  const int32_t num_rows = level->next_row - level->next_y;
  if (level->next_y >= level->rows) {
    return 0;
  }
  const size_t num_bytes =
      (size_t)(num_rows * level->stride) * sizeof memory[0];
  uint32_t *squares = &memory[level->band_rows * level->stride];
  memmove(memory, &memory[by * level->stride], num_bytes);
  memmove(squares, &squares[by * level->stride], num_bytes);
  level->first_row = level->next_y;
  return 1;
}
