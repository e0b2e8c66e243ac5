#include "readout.h"

#include <math.h>

#include "beat_rate.h"
#include "variability.h"

static const float weights[3] = RPPG_READOUT_QUALITY_WEIGHTS;
static const float early_weights[2] = RPPG_READOUT_EARLY_QUALITY_WEIGHTS;

/* Of a rate that is known. */
static float signal_quality(const rppg_estimate_t *estimate) {
  const float mean = estimate->beats.quality;
  const float logit = (estimate->spectrum_bpm > 0.0f)
                          ? weights[0] +
                                weights[1] * estimate->spectrum_confidence +
                                weights[2] * mean
                          : early_weights[0] + early_weights[1] * mean;
  return 1.0f / (1.0f + expf(-logit));
}

void rppg_read_out(const rppg_beat_stream_t *stream,
                   const rppg_beat_ring_t *ring, rppg_estimate_t *estimate) {
  const uint32_t least = RPPG_READOUT_MIN_WINDOW_S * RPPG_GRID_RATE_HZ;
  rppg_beat_rate_t *beats = &estimate->beats;
  rppg_read_beat_rate(stream, beats);
  rppg_measure_variability(ring, &estimate->variability);
  estimate->heart_rate_bpm = estimate->spectrum_bpm;
  if ((beats->num_believed < (uint32_t)RPPG_RATE_MIN_BEATS) ||
      (estimate->num_samples < least)) {
    beats->newest_bpm = 0.0f;
  } else if (beats->bpm > 0.0f) {
    estimate->heart_rate_bpm = beats->bpm;
  } else {
    /* The beats' intervals are doubted. */
  }
  estimate->confidence =
      (estimate->heart_rate_bpm > 0.0f) ? signal_quality(estimate) : 0.0f;
}
