#include <string.h>

#include "area.h"
#include "helium.h"

enum { CHANNELS = RPPG_NUM_CHANNELS };

#if RPPG_HAS_HELIUM
enum { LANES = 4 };

/* Four spans side by side. */
typedef struct {
  uint32x4_t first;
  uint32x4_t num;
  float32x4_t first_weight;
  float32x4_t middle_weight;
  float32x4_t last_weight;
} spans_t;

static inline spans_t read_spans(const rppg_span_t *spans) {
  const uint32x4_t apart = vmulq_n_u32(vidupq_n_u32(0u, 1), sizeof *spans);
  const spans_t read = {vldrhq_gather_offset_u32(&spans->first, apart),
                        vldrhq_gather_offset_u32(&spans->num, apart),
                        vldrwq_gather_offset_f32(&spans->first_weight, apart),
                        vldrwq_gather_offset_f32(&spans->middle_weight, apart),
                        vldrwq_gather_offset_f32(&spans->last_weight, apart)};
  return read;
}

/* Of pixel `index` of each span; beyond its end 0. */
static inline float32x4_t weights_at(const spans_t *spans, uint32_t index) {
  if (index == 0u) {
    return spans->first_weight;
  }
  const float32x4_t within =
      vpselq_f32(spans->last_weight, spans->middle_weight,
                 vcmpeqq_n_u32(spans->num, index + 1u));
  return vpselq_f32(within, vdupq_n_f32(0.0f),
                    vcmphiq_n_u32(spans->num, index));
}

static inline float32x4_t add_product(float32x4_t sum, uint32x4_t values,
                                      float32x4_t weights) {
  return vaddq_f32(sum, vmulq_f32(vcvtq_f32_u32(values), weights));
}

/* Whole vectors of spans; returns how many. A span that has ended adds its
 * last pixel times 0. `is_packed` is a constant wherever this is called. */
static inline int32_t sum_vectors(const uint8_t *row, const rppg_span_t *spans,
                                  int32_t num_spans, int32_t is_packed,
                                  float *outputs) {
  int32_t target = 0;
  for (; target + LANES <= num_spans; target += LANES) {
    const spans_t four = read_spans(&spans[target]);
    const uint32_t most = vmaxvq_u32(0u, four.num);
    float32x4_t sum0 = vdupq_n_f32(0.0f);
    float32x4_t sum1 = sum0;
    float32x4_t sum2 = sum0;
    for (uint32_t index = 0u; index < most; ++index) {
      const float32x4_t weights = weights_at(&four, index);
      const uint32x4_t last = vsubq_n_u32(vaddq_u32(four.first, four.num), 1u);
      const uint32x4_t place = vminq_u32(vaddq_n_u32(four.first, index), last);
      if (is_packed) {
        const uint32x4_t at = vshlq_n_u32(place, 1);
        const uint8x16_t low =
            vreinterpretq_u8_u32(vldrbq_gather_offset_u32(&row[0], at));
        const uint8x16_t high =
            vreinterpretq_u8_u32(vldrbq_gather_offset_u32(&row[1], at));
        const uint8x16_t green = vsriq_n_u8(vshlq_n_u8(high, 5), low, 3);
        const uint8x16_t blue = vshlq_n_u8(low, 3);
        /* The highest bits are repeated below the lowest. */
        sum0 = add_product(
            sum0, vreinterpretq_u32_u8(vsriq_n_u8(high, high, 5)), weights);
        sum1 = add_product(
            sum1, vreinterpretq_u32_u8(vsriq_n_u8(green, green, 6)), weights);
        sum2 = add_product(
            sum2, vreinterpretq_u32_u8(vsriq_n_u8(blue, blue, 5)), weights);
      } else {
        const uint32x4_t at = vmulq_n_u32(place, CHANNELS);
        sum0 =
            add_product(sum0, vldrbq_gather_offset_u32(&row[0], at), weights);
        sum1 =
            add_product(sum1, vldrbq_gather_offset_u32(&row[1], at), weights);
        sum2 =
            add_product(sum2, vldrbq_gather_offset_u32(&row[2], at), weights);
      }
    }
    vstrwq_f32(&outputs[target], sum0);
    vstrwq_f32(&outputs[num_spans + target], sum1);
    vstrwq_f32(&outputs[2 * num_spans + target], sum2);
  }
  return target;
}
#endif

/* sums += weight * pixel; of 3 bytes, or of 2. */
static inline void add_pixel(const uint8_t *pixel, int32_t is_packed,
                             float weight, float sums[CHANNELS]) {
  uint8_t rgb[CHANNELS];
  if (is_packed) {
    rppg_unpack_565(pixel, rgb);
  } else {
    memcpy(rgb, pixel, sizeof rgb);
  }
  sums[0] += (float)rgb[0] * weight;
  sums[1] += (float)rgb[1] * weight;
  sums[2] += (float)rgb[2] * weight;
}

/* Of pixels that are not repeated. `is_packed` is a constant wherever this is
 * called. */
static inline void sum_once(const uint8_t *row, const rppg_span_t *spans,
                            int32_t num_spans, int32_t is_packed,
                            float *outputs) {
  const int32_t bytes = is_packed ? 2 : 3;
  int32_t target = 0;
#if RPPG_HAS_HELIUM
  target = sum_vectors(row, spans, num_spans, is_packed, outputs);
#endif
  for (; target < num_spans; ++target) {
    const rppg_span_t *span = &spans[target];
    const uint8_t *pixel = &row[(int32_t)span->first * bytes];
    const float middle = span->middle_weight;
    float sums[CHANNELS] = {0.0f, 0.0f, 0.0f};
    add_pixel(pixel, is_packed, span->first_weight, sums);
    for (int32_t left = (int32_t)span->num - 2; left > 0; --left) {
      pixel += bytes;
      add_pixel(pixel, is_packed, middle, sums);
    }
    if (span->num > 1u) {
      pixel += bytes;
      add_pixel(pixel, is_packed, span->last_weight, sums);
    }
    outputs[target] = sums[0];
    outputs[num_spans + target] = sums[1];
    outputs[2 * num_spans + target] = sums[2];
  }
}

/* The same of fewer columns than spans. */
static void sum_repeated(const uint8_t *row, const rppg_span_t *spans,
                         int32_t num_spans, int32_t repeats, int32_t is_packed,
                         float *outputs) {
  const int32_t bytes = is_packed ? 2 : 3;
  for (int32_t target = 0; target < num_spans; ++target) {
    const rppg_span_t *span = &spans[target];
    float sums[CHANNELS] = {0.0f, 0.0f, 0.0f};
    for (int32_t index = 0; index < (int32_t)span->num; ++index) {
      const int32_t place = ((int32_t)span->first + index) / repeats;
      add_pixel(&row[place * bytes], is_packed, rppg_weight_at(span, index),
                sums);
    }
    outputs[target] = sums[0];
    outputs[num_spans + target] = sums[1];
    outputs[2 * num_spans + target] = sums[2];
  }
}

void rppg_sum_spans(const rppg_image_t *image, const rppg_side_t *columns,
                    int32_t y, const rppg_span_t *spans, int32_t num_spans,
                    float *sums) {
  const uint8_t *row = rppg_pixel_at(image, columns->start, y);
  const int32_t is_packed = (image->format == RPPG_RGB565);
  if (columns->repeats > 1) {
    sum_repeated(row, spans, num_spans, columns->repeats, is_packed, sums);
  } else if (is_packed) {
    sum_once(row, spans, num_spans, 1, sums);
  } else {
    sum_once(row, spans, num_spans, 0, sums);
  }
}
