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

void rppg_background_push(rppg_background_t *state, int32_t roi, float weight,
                          const uint8_t *patch, int8_t *codes) {
  float *background = state->background[roi];
  const int32_t is_first = (state->frames_seen == 1u);
  for (int32_t index = 0; index < NUM_VALUES; ++index) {
    const float pixel = (float)patch[index];
    const float before = is_first ? pixel : background[index];
    const float change = (pixel / (before + 1.0f) - 1.0f) * RPPG_CODE_GAIN;
    /* At most 255 * RPPG_CODE_GAIN: it fits. */
    int32_t code = (int32_t)rintf(change);
    code = (code > INT8_MIN) ? code : INT8_MIN;
    code = (code < INT8_MAX) ? code : INT8_MAX;
    codes[index] = (int8_t)code;
    background[index] = before + (pixel - before) * weight;
  }
}
