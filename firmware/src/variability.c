#include "variability.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "beat_ring.h"

#define MS_A_SAMPLE (1000.0f / (float)RPPG_GRID_RATE_HZ)
#define MAX_INTERVALS (RPPG_NUM_BEATS - 1)

typedef struct {
  int32_t num;
  float lengths[MAX_INTERVALS];    /* samples */
  float deviations[MAX_INTERVALS]; /* from the median around */
  uint8_t is_used[MAX_INTERVALS];
} hrv_intervals_t;

/* The values around an interval, sorted. */
typedef struct {
  int32_t num;
  float values[RPPG_HRV_SPREAD_INTERVALS];
} around_t;

/* --- Order statistics ------------------------------------------------------
 */

/* How many of the values are less than this one. */
static int32_t rank_of(const around_t *around, float value) {
  int32_t low = 0;
  int32_t high = around->num;
  while (low < high) {
    const int32_t middle = (low + high) / 2;
    if (around->values[middle] < value) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

static void put_in(around_t *around, float value) {
  int32_t rank = around->num;
  while ((rank > 0) && (around->values[rank - 1] > value)) {
    around->values[rank] = around->values[rank - 1];
    --rank;
  }
  around->values[rank] = value;
  ++around->num;
}

static void take_out(around_t *around, float value) {
  const int32_t rank = rank_of(around, value);
  --around->num;
  memmove(&around->values[rank], &around->values[rank + 1],
          (size_t)(around->num - rank) * sizeof around->values[0]);
}

/* Goes on to the values within `reach` of number `index`, of `num`; called for
 * each index from 0 on. */
static void go_on(around_t *around, const float *values, int32_t num,
                  int32_t index, int32_t reach) {
  if (index > reach) {
    take_out(around, values[index - reach - 1]);
  }
  if (index + reach < num) {
    put_in(around, values[index + reach]);
  }
}

/* Starts with those that come before go_on's first. */
static void begin(around_t *around, const float *values, int32_t num,
                  int32_t reach) {
  around->num = 0;
  for (int32_t index = 0; (index < reach) && (index < num); ++index) {
    put_in(around, values[index]);
  }
}

/* share: of the values that are less; between two values linearly. */
static float percentile(const around_t *around, float share) {
  const float rank = share * (float)(around->num - 1);
  const int32_t below = (int32_t)rank;
  const int32_t above = (below + 1 < around->num) ? below + 1 : below;
  const float low = around->values[below];
  return low + (around->values[above] - low) * (rank - (float)below);
}

/* --- Which intervals count -------------------------------------------------
 */

static void read_intervals(const rppg_beat_ring_t *ring,
                           hrv_intervals_t *intervals) {
  const uint32_t most = RPPG_NUM_BEATS;
  const uint32_t first = (ring->num > most) ? ring->num - most : 0u;
  intervals->num = 0;
  for (uint32_t number = first; number + 1u < ring->num; ++number) {
    const int32_t index = intervals->num;
    const rppg_found_beat_t *from = rppg_beat_ring_at(ring, number);
    const rppg_found_beat_t *to = rppg_beat_ring_at(ring, number + 1u);
    intervals->lengths[index] = (float)(int32_t)(to->sample - from->sample) +
                                (to->fraction - from->fraction);
    intervals->is_used[index] = (from->quality >= RPPG_RATE_MIN_QUALITY) &&
                                (to->quality >= RPPG_RATE_MIN_QUALITY);
    ++intervals->num;
  }
}

/* Of an interval whose median around is given. */
static int32_t is_artefact(float deviation, float median, float spread) {
  float limit = RPPG_HRV_QUARTILE_DEVIATIONS * spread;
  const float most = RPPG_RATE_MAX_MEDIAN_DEVIATION * median;
  limit = (limit > RPPG_HRV_NEVER) ? limit : RPPG_HRV_NEVER;
  limit = (limit < most) ? limit : most;
  return fabsf(deviation) > limit;
}

static void leave_artefacts_out(hrv_intervals_t *intervals) {
  const int32_t num = intervals->num;
  const int32_t median_reach = RPPG_HRV_MEDIAN_INTERVALS / 2;
  const int32_t spread_reach = RPPG_HRV_SPREAD_INTERVALS / 2;
  around_t around;
  begin(&around, intervals->lengths, num, median_reach);
  for (int32_t index = 0; index < num; ++index) {
    go_on(&around, intervals->lengths, num, index, median_reach);
    intervals->deviations[index] =
        intervals->lengths[index] - percentile(&around, 0.5f);
  }
  begin(&around, intervals->deviations, num, spread_reach);
  for (int32_t index = 0; index < num; ++index) {
    go_on(&around, intervals->deviations, num, index, spread_reach);
    const float deviation = intervals->deviations[index];
    const float median = intervals->lengths[index] - deviation;
    const float spread =
        0.5f * (percentile(&around, 0.75f) - percentile(&around, 0.25f));
    if (is_artefact(deviation, median, spread)) {
      intervals->is_used[index] = 0u;
    }
  }
}

/* --- Variability -----------------------------------------------------------
 */

static float square_of(float value) {
  return value * value;
}

/* Standard deviation of the used intervals, samples. */
static float deviation_of(const hrv_intervals_t *intervals, float mean,
                          uint32_t num) {
  float sum = 0.0f;
  for (int32_t index = 0; index < intervals->num; ++index) {
    if (intervals->is_used[index] != 0u) {
      sum += square_of(intervals->lengths[index] - mean);
    }
  }
  return sqrtf(sum / (float)(num - 1u));
}

void rppg_measure_variability(const rppg_beat_ring_t *ring,
                              rppg_variability_t *variability) {
  hrv_intervals_t intervals;
  float duration = 0.0f;
  float used = 0.0f;
  float changes = 0.0f;
  int32_t num_changes = 0;
  int32_t was_used = 0;
  memset(variability, 0, sizeof *variability);
  read_intervals(ring, &intervals);
  leave_artefacts_out(&intervals);
  for (int32_t index = 0; index < intervals.num; ++index) {
    const float length = intervals.lengths[index];
    const int32_t is_used = (intervals.is_used[index] != 0u);
    duration += length;
    if (is_used) {
      used += length;
      ++variability->num_intervals;
    }
    if (is_used && was_used) {
      changes += square_of(length - intervals.lengths[index - 1]);
      ++num_changes;
    }
    was_used = is_used;
  }
  variability->share_used = (duration > 0.0f) ? used / duration : 0.0f;
  if ((duration < RPPG_HRV_MIN_DURATION) ||
      (variability->share_used < RPPG_HRV_MIN_SHARE) || (num_changes < 2)) {
    return;
  }
  const float mean = used / (float)variability->num_intervals;
  variability->rmssd_ms = MS_A_SAMPLE * sqrtf(changes / (float)num_changes);
  variability->sdnn_ms =
      MS_A_SAMPLE * deviation_of(&intervals, mean, variability->num_intervals);
  variability->mean_rr_ms = MS_A_SAMPLE * mean;
}
