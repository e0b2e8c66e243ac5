#include "background.h"

#include <math.h>

enum { NUM_VALUES = RPPG_ROI_SIZE_PX * RPPG_ROI_SIZE_PX * RPPG_NUM_CHANNELS };

void rppg_background_reset(rppg_background_t *state) {
  state->frames_seen = 0u;
}

float rppg_background_begin(rppg_background_t *state, double elapsed_s) {
  double since_s = 0.0;
  if (state->frames_seen > 0u) {
    since_s = elapsed_s - state->last_s;
  }
  if (state->frames_seen < UINT32_MAX) {
    ++state->frames_seen;
  }
  state->last_s = elapsed_s;
  const double share = 1.0 - exp(-since_s / RPPG_BACKGROUND_TIME_CONSTANT_S);
  const double least = 1.0 / (double)state->frames_seen;
  return (float)((share > least) ? share : least);
}

/* Rounds to the nearest code. |value| < 2^31: it fits. */
static int8_t to_code(float value) {
  int32_t code = (int32_t)rintf(value);
  code = (code > INT8_MIN) ? code : INT8_MIN;
  return (int8_t)((code < INT8_MAX) ? code : INT8_MAX);
}

void rppg_background_push(rppg_background_t *state, int32_t roi, float weight,
                          const uint8_t *patch, int8_t *codes) {
  float *background = state->background[roi];
  const int32_t is_first = (state->frames_seen == 1u);
  for (int32_t index = 0; index < NUM_VALUES; ++index) {
    const float pixel = (float)patch[index];
    const float before = is_first ? pixel : background[index];
    codes[index] =
        to_code((pixel / (before + 1.0f) - 1.0f) * RPPG_CODE_GAIN);
    background[index] = before + (pixel - before) * weight;
  }
}

void rppg_chrominance_push(rppg_background_t *state, float weight,
                           const float rgb[RPPG_NUM_CHANNELS],
                           int8_t *codes) {
  static const float projections[RPPG_NUM_CHROMINANCE][RPPG_NUM_CHANNELS] =
      RPPG_CHROMINANCE_PROJECTIONS;
  const int32_t is_first = (state->frames_seen == 1u);
  float change[RPPG_NUM_CHANNELS];
  for (int32_t channel = 0; channel < RPPG_NUM_CHANNELS; ++channel) {
    const float before = is_first ? rgb[channel] : state->colour[channel];
    const float difference = rgb[channel] - before;
    change[channel] = difference / (before + 1.0f);
    state->colour[channel] = before + difference * weight;
  }
  for (int32_t index = 0; index < RPPG_NUM_CHROMINANCE; ++index) {
    const float *by = projections[index];
    codes[index] = to_code(by[0] * change[0] + by[1] * change[1] +
                           by[2] * change[2]);
  }
}
