#include "cascade.h"

#include <math.h>
#include <string.h>

#include "face_cascade.h"
#include "helium.h"

enum { LANES = 4, FINE_BITS = 16 };

/* --- Deviation -------------------------------------------------------------
 * Over the window less a pixel on each side.
 */

enum { INNER = FACE_CASCADE_WINDOW_PX - 2 };

static uint32_t inner_sum(const uint32_t *sums, int32_t stride) {
  const uint32_t *upper = &sums[stride + 1];
  const uint32_t *lower = &upper[INNER * stride];
  return (lower[INNER] - lower[0]) - (upper[INNER] - upper[0]);
}

/* 1 / (area * deviation), or 0 where the deviation is 10 or less. */
static float norm_at(const rppg_band_t *band, int32_t offset) {
  const double area = INNER * INNER;
  const double sum = (double)inner_sum(&band->sums[offset], band->stride);
  const double square = (double)inner_sum(&band->squares[offset], band->stride);
  const double variance = area * square - sum * sum; /* a whole number */
  if (variance <= 0.0) {
    return 0.0f;
  }
  const float norm = (float)(1.0 / sqrt(variance));
  return (area * (double)norm < 0.1) ? norm : 0.0f;
}

void rppg_windows_append(rppg_windows_t *windows, const rppg_band_t *band,
                         int32_t offset) {
  const float norm = norm_at(band, offset);
  if (norm > 0.0f) {
    windows->offsets[windows->num] = (uint16_t)offset;
    windows->norms[windows->num] = norm;
    ++windows->num;
  }
}

/* --- Features --------------------------------------------------------------
 * The sum of a part is the difference of two edges, of which each is a
 * difference of sums. Modulo 2^32, which the result is far below.
 */

typedef struct {
  const uint16_t *offsets;
  const float *norms;
  int32_t *totals;
  int32_t num;
} lot_t;

/* One stump, ready for a band. */
typedef struct {
  const uint32_t *corner; /* of the feature in the window at offset 0 */
  int32_t along;          /* words from an edge to the next */
  int32_t across;         /* words from end to end of an edge */
  float threshold;
  int32_t step; /* of the total, below the threshold */
} stump_t;

#if RPPG_HAS_HELIUM
typedef uint32x4_t words_t;
enum { AT_ONCE = LANES };

static inline words_t words_at(const uint32_t *corner, words_t offsets) {
  return vldrwq_gather_shifted_offset_u32(corner, offsets);
}
static inline words_t minus(words_t one, words_t other) {
  return vsubq_u32(one, other);
}
static inline words_t plus(words_t one, words_t other) {
  return vaddq_u32(one, other);
}
static inline words_t read_offsets(const uint16_t *offsets) {
  return vldrhq_u32(offsets);
}
static inline void add_step(const float *norms, float threshold, int32_t step,
                            words_t feature, int32_t *totals) {
  const float32x4_t value = vmulq_f32(
      vcvtq_f32_s32(vreinterpretq_s32_u32(feature)), vldrwq_f32(norms));
  const int32x4_t total = vldrwq_s32(totals);
  vstrwq_s32(totals, vaddq_m_n_s32(total, total, step,
                                   vcmpltq_n_f32(value, threshold)));
}
#else
typedef uint32_t words_t;
enum { AT_ONCE = 1 };

static inline words_t words_at(const uint32_t *corner, words_t offsets) {
  return corner[offsets];
}
static inline words_t minus(words_t one, words_t other) {
  return one - other;
}
static inline words_t plus(words_t one, words_t other) {
  return one + other;
}
static inline words_t read_offsets(const uint16_t *offsets) {
  return *offsets;
}
static inline void add_step(const float *norms, float threshold, int32_t step,
                            words_t feature, int32_t *totals) {
  const float value = (float)(int32_t)feature * *norms;
  *totals += (value < threshold) ? step : 0;
}
#endif

static inline words_t edge(const uint32_t *corner, int32_t across,
                           words_t offsets) {
  return minus(words_at(&corner[across], offsets), words_at(corner, offsets));
}

/* 2 * one - before - after. */
static inline words_t twice_less(words_t one, words_t before, words_t after) {
  return minus(minus(one, before), minus(after, one));
}

/* Upper less lower parts to the left of an edge. */
static inline words_t crossed(const uint32_t *corner, int32_t across,
                              words_t offsets) {
  const uint32_t *middle = &corner[across];
  return twice_less(words_at(middle, offsets), words_at(corner, offsets),
                    words_at(&middle[across], offsets));
}

enum { HALVES, THIRDS, QUARTERS };

/* What a feature sums in one vector of windows. */
static inline words_t feature_at(const uint32_t *corner, int32_t along,
                                 int32_t across, words_t offsets,
                                 int32_t num_parts) {
  const uint32_t *second = &corner[along];
  const uint32_t *third = &second[along];
  if (num_parts == QUARTERS) {
    return twice_less(crossed(second, across, offsets),
                      crossed(corner, across, offsets),
                      crossed(third, across, offsets));
  }
  if (num_parts == HALVES) {
    return twice_less(edge(second, across, offsets),
                      edge(corner, across, offsets),
                      edge(third, across, offsets));
  }
  const words_t middle =
      minus(edge(third, across, offsets), edge(second, across, offsets));
  const words_t whole = minus(edge(&third[along], across, offsets),
                              edge(corner, across, offsets));
  return minus(plus(middle, plus(middle, middle)), whole);
}

/* Adds a stump to the totals of a lot; `num_parts` is a constant wherever this
 * is called. */
static inline void add_feature(const stump_t *stump, const lot_t *lot,
                               int32_t num_parts) {
  const uint32_t *corner = stump->corner;
  const int32_t along = stump->along;
  const int32_t across = stump->across;
  const float threshold = stump->threshold;
  const int32_t step = stump->step;
  const uint16_t *offsets = lot->offsets;
  const float *norms = lot->norms;
  int32_t *totals = lot->totals;
  for (int32_t left = lot->num; left > 0; left -= AT_ONCE) {
    add_step(
        norms, threshold, step,
        feature_at(corner, along, across, read_offsets(offsets), num_parts),
        totals);
    offsets += AT_ONCE;
    norms += AT_ONCE;
    totals += AT_ONCE;
  }
}

/* --- Stages ----------------------------------------------------------------
 */

typedef char steps_are_of_16_bits[(FINE_BITS == 16) ? 1 : -1];

static void add_stump(const rppg_band_t *band, int32_t kind, int32_t index,
                      int32_t is_fine, const lot_t *lot) {
  const face_cascade_shape_t *shape = &face_cascade_shapes[index];
  const int32_t down = (int32_t)shape->part_height * band->stride;
  const int32_t right = (int32_t)shape->part_width;
  const int32_t is_down =
      (kind == FACE_CASCADE_HALVES_Y) || (kind == FACE_CASCADE_THIRDS_Y);
  const stump_t stump = {
      &band->sums[(int32_t)shape->y * band->stride + (int32_t)shape->x],
      is_down ? down : right, is_down ? right : down,
      face_cascade_thresholds[index],
      is_fine ? (int32_t)face_cascade_fine[index] : face_cascade_coarse[index]};
  if (kind == FACE_CASCADE_QUARTERS) {
    add_feature(&stump, lot, QUARTERS);
  } else if ((kind == FACE_CASCADE_THIRDS_X) ||
             (kind == FACE_CASCADE_THIRDS_Y)) {
    add_feature(&stump, lot, THIRDS);
  } else {
    add_feature(&stump, lot, HALVES);
  }
}

static void add_stage(const rppg_band_t *band, int32_t stage, int32_t is_fine,
                      const lot_t *lot) {
  int32_t index = (int32_t)face_cascade_stages[stage].first;
  for (int32_t kind = 0; kind < FACE_CASCADE_NUM_KINDS; ++kind) {
    const int32_t end =
        index + (int32_t)face_cascade_stages[stage].num_stumps[kind];
    for (; index < end; ++index) {
      add_stump(band, kind, index, is_fine, lot);
    }
  }
}

void rppg_cascade_sum(const rppg_band_t *band, int32_t stage, int32_t first,
                      int32_t end, rppg_windows_t *windows) {
  const lot_t lot = {&windows->offsets[first], &windows->norms[first],
                     &windows->totals[first], end - first};
  for (int32_t at = windows->num; at < windows->num + LANES - 1; ++at) {
    windows->offsets[at] = 0u; /* makes whole vectors */
    windows->norms[at] = 0.0f;
  }
  memset(lot.totals, 0,
         (size_t)(lot.num + LANES - 1) / LANES * LANES * sizeof lot.totals[0]);
  add_stage(band, stage, 0, &lot);
}

/* The sum of a stage that is summed up, in 2^-38, with what its upper parts
 * leave open: wanted once in 100,000 times. */
static int64_t exact_sum(const rppg_band_t *band, int32_t stage,
                         const rppg_windows_t *windows, int32_t window) {
  const uint16_t offsets[LANES] = {windows->offsets[window], 0u, 0u, 0u};
  const float norms[LANES] = {windows->norms[window], 0.0f, 0.0f, 0.0f};
  int32_t totals[LANES] = {0, 0, 0, 0};
  const lot_t lot = {offsets, norms, totals, 1};
  add_stage(band, stage, 1, &lot);
  return (int64_t)windows->totals[window] * (INT64_C(1) << FINE_BITS) +
         (int64_t)totals[0];
}

int32_t rppg_cascade_passes(const rppg_band_t *band, int32_t stage,
                            const rppg_windows_t *windows, int32_t window) {
  const int32_t total = windows->totals[window];
  if (total >= face_cascade_stages[stage].passes_from) {
    return 1;
  }
  if (total < face_cascade_stages[stage].fails_below) {
    return 0;
  }
  return exact_sum(band, stage, windows, window) >=
         face_cascade_stages[stage].threshold;
}

int32_t rppg_cascade_num_stumps(int32_t stage) {
  int32_t num = 0;
  for (int32_t kind = 0; kind < FACE_CASCADE_NUM_KINDS; ++kind) {
    num += (int32_t)face_cascade_stages[stage].num_stumps[kind];
  }
  return num;
}
