#include "beat_rate.h"

#include <math.h>
#include <string.h>

#include "beats.h"

#define SAMPLES_A_MINUTE (60.0f * (float)RPPG_GRID_RATE_HZ)

/* Beats of a window and of what is looked at before it. */
#define MAX_BEATS                                             \
  ((RPPG_WINDOW_SAMPLES + (int32_t)RPPG_RATE_BEFORE_WINDOW) / \
       (int32_t)RPPG_BEAT_MIN_INTERVAL +                      \
   2)

/* Intervals from beat to beat, and how many beats each stands for; 0 where it
 * is doubted. */
typedef struct {
  int32_t num;
  float lengths[MAX_BEATS];
  float spanned[MAX_BEATS];
} rate_intervals_t;

/* --- How many beats an interval stands for ---------------------------------
 */

static int32_t is_single(float length, float median) {
  return fabsf(median / length - 1.0f) <= RPPG_RATE_MAX_MEDIAN_DEVIATION;
}

/* 1, 2, 3, ... where a ratio is near that, otherwise 0. */
static float multiple_of(float ratio) {
  const float whole = floorf(ratio + 0.5f);
  const float number = (whole > 1.0f) ? whole : 1.0f;
  const float deviation = fabsf(ratio / number - 1.0f);
  return (deviation <= RPPG_RATE_MAX_MULTIPLE_DEVIATION) ? number : 0.0f;
}

/* Adds a number to those that are sorted. */
static void insert(float *sorted, int32_t num, float value) {
  int32_t at = num;
  while ((at > 0) && (sorted[at - 1] > value)) {
    sorted[at] = sorted[at - 1];
    --at;
  }
  sorted[at] = value;
}

/* Median of all intervals; where `single_of` is not 0, of those that are
 * single beside that. 0 if there are none. */
static float median_length(const rate_intervals_t *intervals, float single_of) {
  float sorted[MAX_BEATS];
  int32_t num = 0;
  for (int32_t index = 0; index < intervals->num; ++index) {
    const float length = intervals->lengths[index];
    if ((single_of == 0.0f) || is_single(length, single_of)) {
      insert(sorted, num, length);
      ++num;
    }
  }
  if (num == 0) {
    return 0.0f;
  }
  return 0.5f * (sorted[(num - 1) / 2] + sorted[num / 2]);
}

/* One that is too short and the next stand for a whole number together. */
static void join_early(rate_intervals_t *intervals, float median) {
  int32_t index = 0;
  while (index + 1 < intervals->num) {
    const float length = intervals->lengths[index];
    const float pair = length + intervals->lengths[index + 1];
    const float number = multiple_of(pair / median);
    if ((length < median) && !is_single(length, median) && (number > 0.0f)) {
      intervals->spanned[index] = number * length / pair;
      intervals->spanned[index + 1] =
          number * intervals->lengths[index + 1] / pair;
      ++index;
    }
    ++index;
  }
}

static void count_spanned(rate_intervals_t *intervals) {
  const float first = median_length(intervals, 0.0f);
  const float single = median_length(intervals, first);
  const float median = (single > 0.0f) ? single : first;
  for (int32_t index = 0; index < intervals->num; ++index) {
    const float length = intervals->lengths[index];
    intervals->spanned[index] =
        is_single(length, median) ? 1.0f : multiple_of(length / median);
  }
  join_early(intervals, median);
}

/* --- Rate ------------------------------------------------------------------
 */

/* Beats over time. */
typedef struct {
  float beats;
  float time;
} share_t;

static float clipped(float place, float start, float end) {
  const float low = (place > start) ? place : start;
  return (low < end) ? low : end;
}

/* Adds the part of interval `index` that lies in the window. */
static void add_covered(const rate_intervals_t *intervals, int32_t index,
                        float covered, share_t *counted) {
  counted->beats +=
      covered / intervals->lengths[index] * intervals->spanned[index];
  counted->time += covered;
}

/* Adds what the intervals at one end, the first or the last, go on for. */
static void add_edge(const rate_intervals_t *intervals, int32_t is_last,
                     float room, share_t *counted) {
  float sum = 0.0f;
  int32_t num = 0;
  for (int32_t step = 0;
       (step < intervals->num) && (num < RPPG_RATE_EDGE_INTERVALS); ++step) {
    const int32_t index = is_last ? intervals->num - 1 - step : step;
    if (intervals->spanned[index] > 0.0f) {
      sum += intervals->lengths[index] / intervals->spanned[index];
      ++num;
    }
  }
  const float mean = sum / (float)num;
  const float used = clipped(room, 0.0f, mean + RPPG_RATE_MAX_BEYOND);
  counted->beats += used / mean;
  counted->time += used;
}

static float newest_bpm(const rate_intervals_t *intervals) {
  share_t newest = {0.0f, 0.0f};
  int32_t num = 0;
  for (int32_t index = intervals->num - 1;
       (index >= 0) && (num < RPPG_RATE_MIN_BEATS - 1); --index) {
    if (intervals->spanned[index] > 0.0f) {
      newest.beats += intervals->spanned[index];
      newest.time += intervals->lengths[index];
      ++num;
    }
  }
  return SAMPLES_A_MINUTE * newest.beats / newest.time;
}

/* Reads the rate of the beats at `places`, all of which are near, from `start`
 * to the newest sample, which is place 0. */
static void read_rate(const float *places, int32_t num, float start,
                      rppg_beat_rate_t *rate) {
  rate_intervals_t intervals;
  share_t counted = {0.0f, 0.0f};
  int32_t num_good = 0;
  intervals.num = num - 1;
  for (int32_t index = 0; index < intervals.num; ++index) {
    intervals.lengths[index] = places[index + 1] - places[index];
  }
  count_spanned(&intervals);
  for (int32_t index = 0; index < intervals.num; ++index) {
    const float covered = clipped(places[index + 1], start, 0.0f) -
                          clipped(places[index], start, 0.0f);
    const float spanned = intervals.spanned[index];
    rate->num_doubted += ((spanned != 1.0f) && (covered > 0.0f)) ? 1u : 0u;
    if (spanned > 0.0f) {
      ++num_good;
      add_covered(&intervals, index, covered, &counted);
    }
  }
  if ((rate->num_beats < (uint32_t)RPPG_RATE_MIN_BEATS) ||
      (num_good < RPPG_RATE_MIN_BEATS - 1)) {
    return;
  }
  rate->coverage = counted.time / -start;
  rate->newest_bpm = newest_bpm(&intervals);
  add_edge(&intervals, 0, places[0] - start, &counted);
  add_edge(&intervals, 1, -places[num - 1], &counted);
  rate->bpm = SAMPLES_A_MINUTE * counted.beats / counted.time;
}

void rppg_read_beat_rate(const rppg_beat_stream_t *stream,
                         rppg_beat_rate_t *rate) {
  rppg_chain_t chain;
  const float window = (float)(RPPG_WINDOW_SAMPLES - 1);
  const float since_first = (float)stream->num_samples - 1.0f;
  const float start = -clipped(since_first, 0.0f, window);
  int32_t first = 0;
  memset(rate, 0, sizeof *rate);
  rppg_beats_chain(stream, &chain);
  for (int32_t beat = 0; beat < chain.num; ++beat) {
    first += (chain.places[beat] <= start - RPPG_RATE_BEFORE_WINDOW) ? 1 : 0;
    if (chain.places[beat] >= start) {
      ++rate->num_beats;
      rate->quality += chain.scores[beat];
      rate->num_believed +=
          (chain.scores[beat] >= RPPG_RATE_MIN_QUALITY) ? 1u : 0u;
    }
  }
  if (rate->num_beats > 0u) {
    rate->quality /= (float)rate->num_beats;
  }
  first = (chain.num - first > MAX_BEATS) ? chain.num - MAX_BEATS : first;
  if (chain.num > first) {
    read_rate(&chain.places[first], chain.num - first, start, rate);
  }
}
