/* The INT8 CNN of spatial_cnn_params.c in C99, with a Helium path.
 *
 *   36x36x3 -conv 3x3, pool 2x2-> 18x18 -conv, pool-> 9x9 -conv, mean-> [16]
 *
 * Byte for byte TFLite's reference kernels and tflite-micro:
 * - inputs lie in a frame of their zero point, which is what "same" padding
 *   with a zero point means; its part of the sums is in the biases;
 * - a pool takes the largest of four sums *before* they are rescaled.
 *   Rescaling never falls where sums rise, so that the byte is the same, at a
 *   quarter of the work;
 * - the last convolution is added up as it is computed: only its mean counts.
 *
 * Memory: `work` below; no image is stored but each layer's framed input.
 */
#include "rppg_cnn.h"

#include <stddef.h>
#include <string.h>

#include "helium.h"
#include "spatial_cnn_params.h"
#include "temporal_head.h"

#if (SPATIAL_CNN_SIZE != RPPG_ROI_SIZE_PX) ||               \
    (SPATIAL_CNN_CHANNELS0 != RPPG_NUM_CHANNELS) ||         \
    (SPATIAL_CNN_CHANNELS3 != RPPG_NUM_SPATIAL_FEATURES) || \
    (SPATIAL_CNN_ZERO_POINT0 != RPPG_INPUT_ZERO_POINT)
#error "spatial_cnn_params.h does not fit rppg_contract.h: emit again"
#endif
#if (SPATIAL_CNN_OUTPUT_ZERO_POINT != TEMPORAL_HEAD_INPUT_ZERO_POINT) || \
    (SPATIAL_CNN_OUTPUT_SCALE_BITS != TEMPORAL_HEAD_INPUT_SCALE_BITS)
#error "spatial_cnn_params.h and temporal_head.h are of different runs"
#endif

enum {
  CHANNELS0 = SPATIAL_CNN_CHANNELS0,
  CHANNELS1 = SPATIAL_CNN_CHANNELS1,
  CHANNELS2 = SPATIAL_CNN_CHANNELS2,
  CHANNELS3 = SPATIAL_CNN_CHANNELS3,
  SIZE0 = SPATIAL_CNN_SIZE,
  SIZE1 = SIZE0 / 2,
  SIZE2 = SIZE1 / 2,
  /* Bytes of a framed row. */
  ROW0 = (SIZE0 + 2) * CHANNELS0,
  ROW1 = (SIZE1 + 2) * CHANNELS1,
  ROW2 = (SIZE2 + 2) * CHANNELS2,
  /* Bytes of one output's weights, padded to whole vectors. */
  TAPS1 = ((9 * CHANNELS0 + 15) / 16) * 16,
  TAPS2 = 9 * CHANNELS1,
  TAPS3 = 9 * CHANNELS2,
  SLACK = 16, /* a vector load may begin at the last pixel */
  POSITIONS = SIZE2 * SIZE2
};

static struct {
  int8_t input[(SIZE0 + 2) * ROW0 + SLACK];
  int8_t hidden1[(SIZE1 + 2) * ROW1];
  int8_t hidden2[(SIZE2 + 2) * ROW2];
  int32_t is_started;
} work;

/* --- Rescaling -------------------------------------------------------------
 */

/* value * multiplier / 2^31 / 2^shift, rounded to nearest twice: ties go up
 * the first time, away from zero the second.
 */
static int32_t rescale(int32_t value, int32_t multiplier, int32_t shift) {
  const int64_t product = (int64_t)value * multiplier;
  const int32_t high = (int32_t)((product + (INT64_C(1) << 30)) >> 31);
  const int32_t mask = (int32_t)((UINT32_C(1) << shift) - 1u);
  const int32_t rest = high & mask;
  const int32_t half = (mask >> 1) + ((high < 0) ? 1 : 0);
  return (high >> shift) + ((rest > half) ? 1 : 0);
}

static int8_t clamp(int32_t value, int32_t low) {
  if (value < low) {
    return (int8_t)low;
  }
  return (int8_t)((value > INT8_MAX) ? INT8_MAX : value);
}

#if RPPG_HAS_HELIUM
/* `rescale` of four sums. */
static int32x4_t rescale4(int32x4_t values, const int32_t *multiplier,
                          const int32_t *shift) {
  const int32x4_t down = vnegq_s32(vldrwq_s32(shift));
  const int32x4_t high = vqrdmulhq_s32(values, vldrwq_s32(multiplier));
  const int32x4_t fixup = vshrq_n_s32(vandq_s32(high, down), 31);
  return vrshlq_s32(vqaddq_s32(high, fixup), down);
}

/* Biased sums of four outputs → their rescaled values from low to 127. */
static int32x4_t finish4(const spatial_cnn_layer_t *layer, int32_t output,
                         int32x4_t sums, int32_t zero_point) {
  const int32x4_t biased = vaddq_s32(sums, vldrwq_s32(&layer->bias[output]));
  const int32x4_t values = vaddq_n_s32(
      rescale4(biased, &layer->multiplier[output], &layer->shift[output]),
      zero_point);
  /* Rectified: nothing below the zero point. */
  return vminq_s32(vmaxq_s32(values, vdupq_n_s32(zero_point)),
                   vdupq_n_s32(INT8_MAX));
}
#endif

/* --- Convolution with pool -------------------------------------------------
 */

static int32_t max_i32(int32_t one, int32_t other) {
  return (one > other) ? one : other;
}

#if RPPG_HAS_HELIUM

/* The sums of four outputs at the 2x2 positions of one pooled pixel, taps in
 * whole vectors: patches[position][taps]. */
static void pooled_patches(const spatial_cnn_layer_t *layer,
                           int8_t patches[4][TAPS1], int8_t *outputs) {
  int32_t sums[4][CHANNELS1];
  for (int32_t pair = 0; pair < 4; pair += 2) {
    const int8x16_t first0 = vldrbq_s8(&patches[pair][0]);
    const int8x16_t first1 = vldrbq_s8(&patches[pair][16]);
    const int8x16_t second0 = vldrbq_s8(&patches[pair + 1][0]);
    const int8x16_t second1 = vldrbq_s8(&patches[pair + 1][16]);
    const int8_t *weights = layer->weights;
    for (int32_t output = 0; output < CHANNELS1; ++output) {
      const int8x16_t weights0 = vldrbq_s8(weights);
      const int8x16_t weights1 = vldrbq_s8(weights + 16);
      sums[pair][output] =
          vmladavaq_s8(vmladavq_s8(first0, weights0), first1, weights1);
      sums[pair + 1][output] =
          vmladavaq_s8(vmladavq_s8(second0, weights0), second1, weights1);
      weights += TAPS1;
    }
  }
  for (int32_t output = 0; output < CHANNELS1; output += 4) {
    const int32x4_t most = vmaxq_s32(
        vmaxq_s32(vldrwq_s32(&sums[0][output]), vldrwq_s32(&sums[1][output])),
        vmaxq_s32(vldrwq_s32(&sums[2][output]), vldrwq_s32(&sums[3][output])));
    vstrbq_s32(&outputs[output],
               finish4(layer, output, most, SPATIAL_CNN_ZERO_POINT1));
  }
}

typedef char two_vectors_hold_the_taps[(TAPS1 == 32) ? 1 : -1];

/* 3 x 9 bytes of the image, one row after the other. The last 5 bytes are the
 * image's next ones, against weights of zero. */
static void gather(const int8_t *corner, int8_t *patch) {
  vstrbq_s8(patch, vldrbq_s8(corner));
  vstrbq_s8(patch + 9, vldrbq_s8(corner + ROW0));
  vstrbq_p_s8(patch + 18, vldrbq_s8(corner + 2 * ROW0), vctp8q(14u));
}

static void convolve1(void) {
  int8_t patches[4][TAPS1];
  for (int32_t y = 0; y < SIZE1; ++y) {
    for (int32_t x = 0; x < SIZE1; ++x) {
      const int8_t *corner = &work.input[2 * y * ROW0 + 2 * x * CHANNELS0];
      gather(corner, patches[0]);
      gather(corner + CHANNELS0, patches[1]);
      gather(corner + ROW0, patches[2]);
      gather(corner + ROW0 + CHANNELS0, patches[3]);
      pooled_patches(&spatial_cnn_conv1, patches,
                     &work.hidden1[(y + 1) * ROW1 + (x + 1) * CHANNELS1]);
    }
  }
}

/* The largest of one output's sums at the 2x2 positions from `corner` on. */
static int32_t largest_sum2(const int8_t *corner, const int8_t *weights) {
  int32_t sum0 = 0;
  int32_t sum1 = 0;
  int32_t sum2 = 0;
  int32_t sum3 = 0;
  for (int32_t row = 0; row < 3; ++row) {
    for (int32_t tap = 0; tap < 3 * CHANNELS1; tap += 16) {
      const int8x16_t weight = vldrbq_s8(weights + tap);
      sum0 = vmladavaq_s8(sum0, vldrbq_s8(corner + tap), weight);
      sum1 = vmladavaq_s8(sum1, vldrbq_s8(corner + tap + CHANNELS1), weight);
      sum2 = vmladavaq_s8(sum2, vldrbq_s8(corner + tap + ROW1), weight);
      sum3 = vmladavaq_s8(sum3, vldrbq_s8(corner + tap + ROW1 + CHANNELS1),
                          weight);
    }
    corner += ROW1;
    weights += 3 * CHANNELS1;
  }
  return max_i32(max_i32(sum0, sum1), max_i32(sum2, sum3));
}

static void convolve2(void) {
  int32_t sums[CHANNELS2];
  for (int32_t y = 0; y < SIZE2; ++y) {
    for (int32_t x = 0; x < SIZE2; ++x) {
      const int8_t *corner = &work.hidden1[2 * y * ROW1 + 2 * x * CHANNELS1];
      int8_t *outputs = &work.hidden2[(y + 1) * ROW2 + (x + 1) * CHANNELS2];
      for (int32_t output = 0; output < CHANNELS2; ++output) {
        sums[output] =
            largest_sum2(corner, &spatial_cnn_conv2.weights[output * TAPS2]);
      }
      for (int32_t output = 0; output < CHANNELS2; output += 4) {
        vstrbq_s32(&outputs[output],
                   finish4(&spatial_cnn_conv2, output,
                           vldrwq_s32(&sums[output]), SPATIAL_CNN_ZERO_POINT2));
      }
    }
  }
}

/* Adds the outputs at one position to the totals. */
static void convolve3_at(const int8_t *corner, int32_t *totals) {
  int32_t sums[4];
  for (int32_t output = 0; output < CHANNELS3; output += 4) {
    const int8_t *weights = &spatial_cnn_conv3.weights[output * TAPS3];
    const int8_t *inputs = corner;
    int32_t sum0 = 0;
    int32_t sum1 = 0;
    int32_t sum2 = 0;
    int32_t sum3 = 0;
    for (int32_t row = 0; row < 3; ++row) {
      for (int32_t tap = 0; tap < 3 * CHANNELS2; tap += 16) {
        const int8x16_t input = vldrbq_s8(inputs + tap);
        sum0 = vmladavaq_s8(sum0, input, vldrbq_s8(weights + tap));
        sum1 = vmladavaq_s8(sum1, input, vldrbq_s8(weights + tap + TAPS3));
        sum2 = vmladavaq_s8(sum2, input, vldrbq_s8(weights + tap + 2 * TAPS3));
        sum3 = vmladavaq_s8(sum3, input, vldrbq_s8(weights + tap + 3 * TAPS3));
      }
      inputs += ROW2;
      weights += 3 * CHANNELS2;
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
    vstrwq_s32(&totals[output],
               vaddq_s32(vldrwq_s32(&totals[output]),
                         finish4(&spatial_cnn_conv3, output, vldrwq_s32(sums),
                                 SPATIAL_CNN_ZERO_POINT3)));
  }
}

#else /* no Helium */

static int8_t finish(const spatial_cnn_layer_t *layer, int32_t output,
                     int32_t sum, int32_t zero_point) {
  const int32_t value =
      rescale(sum + layer->bias[output], layer->multiplier[output],
              layer->shift[output]);
  return clamp(value + zero_point, zero_point);
}

/* The largest sums of two outputs at the 2x2 positions from `corner` on:
 * eight sums at once, so that every byte loaded is used twice or four times.
 * The layer's numbers are constants wherever this is called.
 */
static inline void largest_sums(const int8_t *corner, int32_t channels,
                                int32_t row_bytes, const int8_t *weights,
                                int32_t num_taps, int32_t *largest) {
  int32_t sums[2][4] = {{0, 0, 0, 0}, {0, 0, 0, 0}};
  for (int32_t row = 0; row < 3; ++row) {
    const int8_t *weight = weights;
    for (const int8_t *input = corner; input < corner + 3 * channels; ++input) {
      const int32_t weight0 = weight[0];
      const int32_t weight1 = weight[num_taps];
      const int32_t value0 = input[0];
      const int32_t value1 = input[channels];
      const int32_t value2 = input[row_bytes];
      const int32_t value3 = input[row_bytes + channels];
      sums[0][0] += value0 * weight0;
      sums[1][0] += value0 * weight1;
      sums[0][1] += value1 * weight0;
      sums[1][1] += value1 * weight1;
      sums[0][2] += value2 * weight0;
      sums[1][2] += value2 * weight1;
      sums[0][3] += value3 * weight0;
      sums[1][3] += value3 * weight1;
      ++weight;
    }
    corner += row_bytes;
    weights += 3 * channels;
  }
  for (int32_t output = 0; output < 2; ++output) {
    largest[output] = max_i32(max_i32(sums[output][0], sums[output][1]),
                              max_i32(sums[output][2], sums[output][3]));
  }
}

static void convolve1(void) {
  int32_t sums[2];
  for (int32_t y = 0; y < SIZE1; ++y) {
    for (int32_t x = 0; x < SIZE1; ++x) {
      const int8_t *corner = &work.input[2 * y * ROW0 + 2 * x * CHANNELS0];
      int8_t *outputs = &work.hidden1[(y + 1) * ROW1 + (x + 1) * CHANNELS1];
      for (int32_t output = 0; output < CHANNELS1; output += 2) {
        largest_sums(corner, CHANNELS0, ROW0,
                     &spatial_cnn_conv1.weights[output * TAPS1], TAPS1, sums);
        outputs[output] = finish(&spatial_cnn_conv1, output, sums[0],
                                 SPATIAL_CNN_ZERO_POINT1);
        outputs[output + 1] = finish(&spatial_cnn_conv1, output + 1, sums[1],
                                     SPATIAL_CNN_ZERO_POINT1);
      }
    }
  }
}

static void convolve2(void) {
  int32_t sums[2];
  for (int32_t y = 0; y < SIZE2; ++y) {
    for (int32_t x = 0; x < SIZE2; ++x) {
      const int8_t *corner = &work.hidden1[2 * y * ROW1 + 2 * x * CHANNELS1];
      int8_t *outputs = &work.hidden2[(y + 1) * ROW2 + (x + 1) * CHANNELS2];
      for (int32_t output = 0; output < CHANNELS2; output += 2) {
        largest_sums(corner, CHANNELS1, ROW1,
                     &spatial_cnn_conv2.weights[output * TAPS2], TAPS2, sums);
        outputs[output] = finish(&spatial_cnn_conv2, output, sums[0],
                                 SPATIAL_CNN_ZERO_POINT2);
        outputs[output + 1] = finish(&spatial_cnn_conv2, output + 1, sums[1],
                                     SPATIAL_CNN_ZERO_POINT2);
      }
    }
  }
}

/* Adds the outputs at one position to the totals. */
static void convolve3_at(const int8_t *corner, int32_t *totals) {
  for (int32_t output = 0; output < CHANNELS3; output += 4) {
    const int8_t *weights = &spatial_cnn_conv3.weights[output * TAPS3];
    const int8_t *inputs = corner;
    int32_t sums[4] = {0, 0, 0, 0};
    for (int32_t row = 0; row < 3; ++row) {
      for (int32_t tap = 0; tap < 3 * CHANNELS2; ++tap) {
        const int32_t input = inputs[tap];
        sums[0] += input * weights[tap];
        sums[1] += input * weights[tap + TAPS3];
        sums[2] += input * weights[tap + 2 * TAPS3];
        sums[3] += input * weights[tap + 3 * TAPS3];
      }
      inputs += ROW2;
      weights += 3 * CHANNELS2;
    }
    for (int32_t index = 0; index < 4; ++index) {
      totals[output + index] += finish(&spatial_cnn_conv3, output + index,
                                       sums[index], SPATIAL_CNN_ZERO_POINT3);
    }
  }
}

#endif /* RPPG_HAS_HELIUM */

/* --- Network ---------------------------------------------------------------
 */

static void convolve3_and_average(int8_t *output) {
  int32_t totals[CHANNELS3] = {0};
  for (int32_t y = 0; y < SIZE2; ++y) {
    for (int32_t x = 0; x < SIZE2; ++x) {
      convolve3_at(&work.hidden2[y * ROW2 + x * CHANNELS2], totals);
    }
  }
  for (int32_t channel = 0; channel < CHANNELS3; ++channel) {
    const int32_t total = totals[channel] - POSITIONS * SPATIAL_CNN_ZERO_POINT3;
    const int32_t mean =
        rescale(total, SPATIAL_CNN_MEAN_MULTIPLIER, SPATIAL_CNN_MEAN_SHIFT);
    output[channel] = clamp(mean + SPATIAL_CNN_OUTPUT_ZERO_POINT, INT8_MIN);
  }
}

rppg_cnn_status_t rppg_cnn_init(void) {
  /* The frames; what is inside is written by every run. */
  memset(work.input, SPATIAL_CNN_ZERO_POINT0, sizeof work.input);
  memset(work.hidden1, SPATIAL_CNN_ZERO_POINT1, sizeof work.hidden1);
  memset(work.hidden2, SPATIAL_CNN_ZERO_POINT2, sizeof work.hidden2);
  work.is_started = 1;
  return RPPG_CNN_OK;
}

rppg_cnn_status_t rppg_cnn_run(const int8_t input[RPPG_CNN_INPUT_BYTES],
                               int8_t output[RPPG_CNN_OUTPUT_BYTES]) {
  if (!work.is_started) {
    return RPPG_CNN_NOT_STARTED;
  }
  for (int32_t y = 0; y < SIZE0; ++y) {
    memcpy(&work.input[(y + 1) * ROW0 + CHANNELS0],
           &input[y * SIZE0 * CHANNELS0], (size_t)(SIZE0 * CHANNELS0));
  }
  convolve1();
  convolve2();
  convolve3_and_average(output);
  return RPPG_CNN_OK;
}

void rppg_cnn_deinit(void) {
  work.is_started = 0;
}
