#include "beats.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define NEWEST_INPUT (RPPG_BEAT_NUM_TAPS - 1)

/* Samples whose filter needs what comes, rounded up to whole vectors. */
#define NUM_AHEAD ((RPPG_BEAT_FILTER_DELAY + 3) / 4 * 4)

/* Less of a resonator is nothing: its square, too, is a normal number, which
 * every processor computes alike. */
#define SILENCE 1.0e-18f

/* A link is an int8_t. */
typedef char rppg_chain_is_too_long[(RPPG_MAX_CHAIN <= INT8_MAX) ? 1 : -1];

static const float taps[RPPG_BEAT_FILTER_DELAY] = RPPG_BEAT_TAPS;
static const float turn_cosines[RPPG_BEAT_NUM_RESONATORS] =
    RPPG_BEAT_TURN_COSINES;
static const float turn_sines[RPPG_BEAT_NUM_RESONATORS] = RPPG_BEAT_TURN_SINES;
static const float heard_intervals[RPPG_BEAT_NUM_RESONATORS] =
    RPPG_BEAT_INTERVALS;
static const float quality_weights[4] = RPPG_BEAT_QUALITY_WEIGHTS;

/* --- Filter, scale, peaks --------------------------------------------------
 */

/* The wave, filtered around an input. Taken from that input, so that what
 * stands still is nothing: the taps' sum is 0. */
static float filtered(const float *centre) {
  float sum = 0.0f;
  for (int32_t tap = 0; tap < RPPG_BEAT_FILTER_DELAY; ++tap) {
    sum += taps[tap] *
           ((centre[-1 - tap] - centre[0]) + (centre[1 + tap] - centre[0]));
  }
  return sum;
}

/* The same around `NUM_AHEAD` inputs, the first of them `centre`. */
static void filter_ahead(const float *centre, float sums[NUM_AHEAD]) {
  for (int32_t ahead = 0; ahead < NUM_AHEAD; ++ahead) {
    sums[ahead] = 0.0f;
  }
  for (int32_t tap = 0; tap < RPPG_BEAT_FILTER_DELAY; ++tap) {
    const float *before = centre - 1 - tap;
    const float *after = centre + 1 + tap;
    for (int32_t ahead = 0; ahead < NUM_AHEAD; ++ahead) {
      sums[ahead] += taps[tap] * ((before[ahead] - centre[ahead]) +
                                  (after[ahead] - centre[ahead]));
    }
  }
}

static float scale_of(const rppg_beat_stream_t *stream) {
  return sqrtf(stream->mean_square) + RPPG_BEAT_SCALE_FLOOR;
}

static void update_scale(rppg_beat_stream_t *stream, float value) {
  const float settled = RPPG_BEAT_SCALE_WEIGHT;
  const float first = 1.0f / (float)stream->num_samples;
  const float weight = (first > settled) ? first : settled;
  stream->mean_square += weight * (value * value - stream->mean_square);
}

/* Vertex of the parabola through a maximum, in [-0.5, 0.5] beside it. */
static float vertex(float before, float centre, float after) {
  const float curvature = (before - centre) + (after - centre);
  return (curvature < 0.0f) ? 0.5f * (before - after) / curvature : 0.0f;
}

/* Takes a filtered value. Returns 1 if the value before it is a peak: how far
 * beside that, and how far above the trough before. */
static int32_t find_peak(rppg_peak_finder_t *finder, float value,
                         float *fraction, float *rise) {
  const float before = finder->before;
  const float centre = finder->centre;
  int32_t is_peak = 0;
  finder->before = centre;
  finder->centre = value;
  if (finder->num_values < 2) {
    ++finder->num_values;
    finder->trough = value;
  } else if ((before < centre) && (centre >= value)) {
    *fraction = vertex(before, centre, value);
    *rise = centre - finder->trough;
    finder->trough = centre;
    is_peak = 1;
  } else if (((before >= centre) && (centre < value)) ||
             (centre < finder->trough)) {
    finder->trough = centre;
  } else {
    /* Between trough and peak. */
  }
  return is_peak;
}

/* Takes the filtered value that is `ahead` of the newest. Returns 1 if the one
 * before is a candidate. */
static int32_t find_candidate(const rppg_beat_stream_t *stream,
                              rppg_peak_finder_t *finder, float value,
                              int32_t ahead, rppg_peak_t *peak) {
  float rise = 0.0f;
  if (!find_peak(finder, value, &peak->fraction, &rise)) {
    return 0;
  }
  peak->level = rise / (RPPG_BEAT_SINE_RISE * scale_of(stream));
  peak->sample = stream->num_samples + (uint32_t)ahead -
                 (uint32_t)(RPPG_BEAT_FILTER_DELAY + 2);
  peak->witness = stream->witness;
  return peak->level >= RPPG_BEAT_MIN_LEVEL;
}

/* --- Witness ---------------------------------------------------------------
 */

static void turn_resonators(rppg_beat_stream_t *stream, float value) {
  const float most = RPPG_BEAT_MAX_SAMPLE;
  const float capped = (value < most) ? value : most;
  const float input = (capped > -most) ? capped : -most;
  for (int32_t index = 0; index < RPPG_BEAT_NUM_RESONATORS; ++index) {
    const float real = stream->real[index];
    const float imaginary = stream->imaginary[index];
    stream->real[index] =
        (real * turn_cosines[index] - imaginary * turn_sines[index]) + input;
    stream->imaginary[index] =
        real * turn_sines[index] + imaginary * turn_cosines[index];
  }
}

static void measure_power(rppg_beat_stream_t *stream,
                          float power[RPPG_BEAT_NUM_RESONATORS]) {
  for (int32_t index = 0; index < RPPG_BEAT_NUM_RESONATORS; ++index) {
    float *real = &stream->real[index];
    float *imaginary = &stream->imaginary[index];
    *real = (fabsf(*real) < SILENCE) ? 0.0f : *real;
    *imaginary = (fabsf(*imaginary) < SILENCE) ? 0.0f : *imaginary;
    power[index] = *real * *real + *imaginary * *imaginary;
  }
}

/* With what is heard an octave above. */
static float strength_at(const float *power, int32_t index) {
  const int32_t above = index + RPPG_BEAT_OCTAVE;
  return (above < RPPG_BEAT_NUM_RESONATORS)
             ? power[index] + RPPG_BEAT_OCTAVE_WEIGHT * power[above]
             : power[index];
}

/* Power of a resonator and of those beside it; 0 where there is none. */
static float power_around(const float *power, int32_t index) {
  float sum = 0.0f;
  if (index < RPPG_BEAT_NUM_RESONATORS) {
    sum = power[index];
    sum += (index > 0) ? power[index - 1] : 0.0f;
    sum += (index + 1 < RPPG_BEAT_NUM_RESONATORS) ? power[index + 1] : 0.0f;
  }
  return sum;
}

static void ask_witness(rppg_beat_stream_t *stream) {
  float power[RPPG_BEAT_NUM_RESONATORS];
  float total = 0.0f;
  float strongest = -1.0f;
  float beside = 0.0f;
  int32_t peak = 0;
  measure_power(stream, power);
  for (int32_t index = 0; index < RPPG_BEAT_NUM_RESONATORS; ++index) {
    const float strength = strength_at(power, index);
    total += power[index];
    if (strength > strongest) {
      strongest = strength;
      peak = index;
    }
  }
  if ((peak > 0) && (peak + 1 < RPPG_BEAT_NUM_RESONATORS)) {
    beside = vertex(strength_at(power, peak - 1), strongest,
                    strength_at(power, peak + 1));
  }
  /* exp(-beside * log step): |x| <= 0.025, x^4 / 24 is less than rounding. */
  const float x = -RPPG_BEAT_LOG_STEP * beside;
  const float ratio = 1.0f + x * (1.0f + x * (0.5f + x * (1.0f / 6.0f)));
  stream->witness.expected = heard_intervals[peak] * ratio;
  stream->witness.purity = (power_around(power, peak) +
                            power_around(power, peak + RPPG_BEAT_OCTAVE)) /
                           (total + RPPG_BEAT_SCALE_FLOOR);
}

/* --- Chain -----------------------------------------------------------------
 */

static float square_of(float value) {
  return value * value;
}

static float capped_level(float level) {
  return (level < RPPG_BEAT_MAX_LEVEL) ? level : RPPG_BEAT_MAX_LEVEL;
}

/* Of an interval, by the one that is expected and by the last of the chain. */
static float cost_of(float length, float expected, float previous) {
  const float relative = length / expected;
  if (relative > RPPG_BEAT_FAR) {
    return RPPG_BEAT_MAX_COST; /* by the first term alone */
  }
  const float again = length / previous;
  const float cost =
      RPPG_BEAT_EXPECTED_COST * square_of(relative - 1.0f) / relative +
      RPPG_BEAT_PREVIOUS_COST * square_of(again - 1.0f) / again;
  return ((relative > 1.0f) && (cost > RPPG_BEAT_MAX_COST)) ? RPPG_BEAT_MAX_COST
                                                            : cost;
}

/* The best of the peaks before `index` for it to follow. */
static void link_peak(rppg_chain_t *chain, int32_t index, float level,
                      float expected) {
  const int32_t first = index - RPPG_BEAT_NUM_PREDECESSORS;
  float best = 0.0f;
  float interval = expected;
  int32_t link = -1;
  for (int32_t before = (first > 0) ? first : 0; before < index; ++before) {
    const float length = chain->places[index] - chain->places[before];
    if (length < RPPG_BEAT_MIN_INTERVAL) {
      break;
    }
    const float score = chain->scores[before] -
                        cost_of(length, expected, chain->intervals[before]);
    if (score > best) {
      best = score;
      interval = length;
      link = before;
    }
  }
  const float change = fabsf(interval - expected);
  chain->intervals[index] =
      (change > RPPG_BEAT_MAX_CHANGE * expected) ? expected : interval;
  chain->links[index] = (int8_t)link;
  chain->scores[index] = best + capped_level(level);
}

/* The newest peaks of a stream: candidates, and what is ahead of them. */
typedef struct {
  const rppg_beat_stream_t *stream;
  int32_t first; /* candidate */
  int32_t num;
  rppg_peak_t ahead[RPPG_MAX_PEAKS_AHEAD];
} peaks_t;

static const rppg_peak_t *peak_at(const peaks_t *peaks, int32_t index) {
  const int32_t candidate = peaks->first + index;
  const int32_t num_candidates = peaks->stream->num_candidates;
  return (candidate < num_candidates)
             ? &peaks->stream->candidates[candidate]
             : &peaks->ahead[candidate - num_candidates];
}

/* Takes the `most` newest peaks. The last half second is filtered as if the
 * wave stood still from now on. */
static void take_peaks(const rppg_beat_stream_t *stream, int32_t most,
                       peaks_t *peaks) {
  float inputs[RPPG_BEAT_NUM_TAPS + NUM_AHEAD];
  float values[NUM_AHEAD];
  rppg_peak_finder_t finder = stream->finder;
  int32_t num_ahead = 0;
  memcpy(inputs, stream->inputs, sizeof stream->inputs);
  for (int32_t index = 0; index < NUM_AHEAD; ++index) {
    inputs[RPPG_BEAT_NUM_TAPS + index] = inputs[NEWEST_INPUT];
  }
  filter_ahead(&inputs[RPPG_BEAT_FILTER_DELAY + 1], values);
  for (int32_t later = 1;
       (later <= RPPG_BEAT_FILTER_DELAY) && (num_ahead < RPPG_MAX_PEAKS_AHEAD);
       ++later) {
    num_ahead += find_candidate(stream, &finder, values[later - 1], later,
                                &peaks->ahead[num_ahead]);
  }
  const int32_t num = stream->num_candidates + num_ahead;
  peaks->stream = stream;
  peaks->num = (num < most) ? num : most;
  peaks->first = num - peaks->num;
}

/* Samples from the newest one to a peak. */
static float place_of(const rppg_beat_stream_t *stream,
                      const rppg_peak_t *peak) {
  return (float)(int32_t)(peak->sample + 1u - stream->num_samples) +
         peak->fraction;
}

/* The last peak of the best chain, within `reach` of the newest; -1 if there
 * are no peaks. */
static int32_t last_of_best(const rppg_chain_t *chain, float reach) {
  int32_t last = chain->num - 1;
  int32_t index = last - 1;
  while ((index >= 0) &&
         (chain->places[index] >= chain->places[chain->num - 1] - reach)) {
    last = (chain->scores[index] >= chain->scores[last]) ? index : last;
    --index;
  }
  return last;
}

/* Links the peaks; returns the last one of the best chain, -1 if there are
 * none. */
static int32_t link_peaks(const peaks_t *peaks, rppg_chain_t *chain) {
  int32_t heard = 0;
  float expected = 0.0f;
  chain->num = peaks->num;
  for (int32_t index = 0; index < chain->num; ++index) {
    chain->places[index] = place_of(peaks->stream, peak_at(peaks, index));
  }
  for (int32_t index = 0; index < chain->num; ++index) {
    const float until = chain->places[index] + RPPG_BEAT_WITNESS_LAG;
    while ((heard + 1 < chain->num) && (chain->places[heard + 1] <= until)) {
      ++heard;
    }
    chain->heard[index] = (uint8_t)heard;
    expected = peak_at(peaks, heard)->witness.expected;
    link_peak(chain, index, peak_at(peaks, index)->level, expected);
  }
  /* The newest peak hears itself. */
  return last_of_best(chain, RPPG_BEAT_CHAIN_END * expected);
}

static float quality_of(const peaks_t *peaks, const rppg_chain_t *chain,
                        int32_t index) {
  const rppg_witness_t *witness =
      &peak_at(peaks, (int32_t)chain->heard[index])->witness;
  const float level = peak_at(peaks, index)->level;
  const int32_t link = chain->links[index];
  float deviation = RPPG_BEAT_FIRST_DEVIATION;
  if (link >= 0) {
    const float length = chain->places[index] - chain->places[link];
    deviation = fabsf(length / witness->expected - 1.0f);
    deviation = (deviation < RPPG_BEAT_MAX_DEVIATION) ? deviation
                                                      : RPPG_BEAT_MAX_DEVIATION;
  }
  const float logit =
      quality_weights[0] + quality_weights[1] * witness->purity +
      quality_weights[2] * capped_level(level) + quality_weights[3] * deviation;
  return 1.0f / (1.0f + expf(-logit));
}

/* --- Stream ----------------------------------------------------------------
 */

void rppg_beats_init(rppg_beat_stream_t *stream) {
  memset(stream, 0, sizeof *stream);
  stream->witness.expected = heard_intervals[0];
}

static void add_candidate(rppg_beat_stream_t *stream, const rppg_peak_t *peak) {
  if (stream->num_candidates == RPPG_BEAT_MAX_CANDIDATES) {
    --stream->num_candidates;
    memmove(&stream->candidates[0], &stream->candidates[1],
            (size_t)stream->num_candidates * sizeof stream->candidates[0]);
  }
  stream->candidates[stream->num_candidates] = *peak;
  ++stream->num_candidates;
}

static void take_sample(rppg_beat_stream_t *stream, float pulse) {
  rppg_peak_t peak;
  if (stream->num_samples == 0u) {
    for (int32_t index = 0; index < RPPG_BEAT_NUM_TAPS; ++index) {
      stream->inputs[index] = pulse;
    }
  }
  memmove(&stream->inputs[0], &stream->inputs[1],
          (size_t)NEWEST_INPUT * sizeof stream->inputs[0]);
  stream->inputs[NEWEST_INPUT] = pulse;
  ++stream->num_samples;
  const float value = filtered(&stream->inputs[RPPG_BEAT_FILTER_DELAY]);
  update_scale(stream, value);
  turn_resonators(stream, value / scale_of(stream));
  if (stream->num_samples % (uint32_t)RPPG_BEAT_WITNESS_STRIDE == 0u) {
    ask_witness(stream);
  }
  if (find_candidate(stream, &stream->finder, value, 0, &peak)) {
    add_candidate(stream, &peak);
  }
}

static uint32_t age_of(const rppg_beat_stream_t *stream,
                       const rppg_peak_t *peak) {
  return stream->num_samples - 1u - peak->sample;
}

/* Whether a peak became as old as the lag with the newest sample. */
static int32_t is_due(const rppg_beat_stream_t *stream,
                      const rppg_peak_t *peak) {
  const uint32_t age = age_of(stream, peak);
  const uint32_t lag = RPPG_BEAT_LAG;
  return ((age == lag) && (peak->fraction <= 0.0f)) ||
         ((age == lag + 1u) && (peak->fraction > 0.0f));
}

static int32_t has_due(const rppg_beat_stream_t *stream) {
  const uint32_t oldest = RPPG_BEAT_LAG + 1;
  int32_t found = 0;
  for (int32_t index = stream->num_candidates - 1;
       (index >= 0) && (age_of(stream, &stream->candidates[index]) <= oldest);
       --index) {
    found = found || is_due(stream, &stream->candidates[index]);
  }
  return found;
}

/* Whether the last beat is so near that this can be none. */
static int32_t is_too_near(const rppg_beat_stream_t *stream,
                           const rppg_peak_t *peak) {
  const float distance = (float)(int32_t)(peak->sample - stream->last_sample) +
                         (peak->fraction - stream->last_fraction);
  return (stream->has_beat != 0u) && (distance < RPPG_BEAT_MIN_INTERVAL);
}

/* Whether the chain up to peak `last` has a beat that is due; the earlier one,
 * if there are two. */
static int32_t find_due(const peaks_t *peaks, const rppg_chain_t *chain,
                        int32_t last) {
  int32_t due = -1;
  for (int32_t index = last; index >= 0; index = chain->links[index]) {
    due = is_due(peaks->stream, peak_at(peaks, index)) ? index : due;
  }
  return due;
}

static int32_t decide(rppg_beat_stream_t *stream, rppg_found_beat_t *beat) {
  peaks_t peaks;
  rppg_chain_t chain;
  if (!has_due(stream)) {
    return 0;
  }
  take_peaks(stream, RPPG_BEAT_NUM_RECENT, &peaks);
  const int32_t last = link_peaks(&peaks, &chain);
  const int32_t due = find_due(&peaks, &chain, last);
  if ((due < 0) || is_too_near(stream, peak_at(&peaks, due))) {
    return 0;
  }
  const rppg_peak_t *peak = peak_at(&peaks, due);
  stream->has_beat = 1u;
  stream->last_sample = peak->sample;
  stream->last_fraction = peak->fraction;
  beat->sample = peak->sample;
  beat->fraction = peak->fraction;
  beat->quality = quality_of(&peaks, &chain, due);
  return 1;
}

int32_t rppg_beats_push(rppg_beat_stream_t *stream, float pulse,
                        rppg_found_beat_t *beat) {
  take_sample(stream, pulse);
  return decide(stream, beat);
}

void rppg_beats_chain(const rppg_beat_stream_t *stream, rppg_chain_t *chain) {
  peaks_t peaks;
  take_peaks(stream, RPPG_MAX_CHAIN, &peaks);
  int32_t index = link_peaks(&peaks, chain);
  int32_t first = chain->num;
  /* From the last beat back, beats take the places of peaks behind them. */
  while (index >= 0) {
    --first;
    chain->scores[first] = quality_of(&peaks, chain, index);
    chain->places[first] = chain->places[index];
    index = chain->links[index];
  }
  chain->num -= first;
  for (int32_t beat = 0; beat < chain->num; ++beat) {
    chain->places[beat] = chain->places[first + beat];
    chain->scores[beat] = chain->scores[first + beat];
  }
}
