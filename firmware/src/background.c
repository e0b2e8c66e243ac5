#include "background.h"

#include <math.h>

#include "helium.h"

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
  const double minimum = 1.0 / (double)state->frames_seen;
  return (float)((share > minimum) ? share : minimum);
}

/* Rounds to the nearest code. The limits are whole: to cut before rounding is
 * to cut after it. */
static float to_code(float value, float low, float high) {
  return rintf(fminf(fmaxf(value, low), high));
}

#if RPPG_HAS_HELIUM
/* Helium does not divide. */
static inline float32x4_t divide(float32x4_t numerator,
                                 float32x4_t denominator) {
  float numerators[4];
  float denominators[4];
  vstrwq_f32(numerators, numerator);
  vstrwq_f32(denominators, denominator);
  numerators[0] /= denominators[0];
  numerators[1] /= denominators[1];
  numerators[2] /= denominators[2];
  numerators[3] /= denominators[3];
  return vldrwq_f32(numerators);
}

typedef char values_are_whole_vectors[(NUM_VALUES % 4 == 0) ? 1 : -1];
#endif

void rppg_background_push(rppg_background_t *state, int32_t roi, float weight,
                          const uint8_t *patch, int8_t *codes) {
  float *background = state->background[roi];
  if (state->frames_seen == 1u) {
    for (int32_t index = 0; index < NUM_VALUES; ++index) {
      background[index] = (float)patch[index];
    }
  }
#if RPPG_HAS_HELIUM
  /* A background below 1e-37 may be flushed to 0: 1 is added before use. */
  for (int32_t at = 0; at < NUM_VALUES; at += 4) {
    const float32x4_t pixel = vcvtq_f32_u32(vldrbq_u32(&patch[at]));
    const float32x4_t before = vldrwq_f32(&background[at]);
    const float32x4_t ratio = divide(pixel, vaddq_n_f32(before, 1.0f));
    const int32x4_t code =
        vcvtnq_s32_f32(vmulq_n_f32(vsubq_n_f32(ratio, 1.0f), RPPG_CODE_GAIN));
    vstrbq_s32(&codes[at], vminq_s32(vmaxq_s32(code, vdupq_n_s32(INT8_MIN)),
                                     vdupq_n_s32(INT8_MAX)));
    vstrwq_f32(
        &background[at],
        vaddq_f32(before, vmulq_n_f32(vsubq_f32(pixel, before), weight)));
  }
#else
  for (int32_t index = 0; index < NUM_VALUES; ++index) {
    const float pixel = (float)patch[index];
    const float before = background[index];
    const float value = (pixel / (before + 1.0f) - 1.0f) * RPPG_CODE_GAIN;
    codes[index] = (int8_t)to_code(value, (float)INT8_MIN, (float)INT8_MAX);
    background[index] = before + (pixel - before) * weight;
  }
#endif
}

void rppg_chrominance_push(rppg_background_t *state, float weight,
                           const float rgb[RPPG_NUM_CHANNELS], int16_t *codes) {
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
    const float value =
        by[0] * change[0] + by[1] * change[1] + by[2] * change[2];
    codes[index] = (int16_t)to_code(value, (float)INT16_MIN, (float)INT16_MAX);
  }
}
