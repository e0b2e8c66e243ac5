/* Sums of pixels over areas, as cv2.INTER_AREA reduces an image: every target
 * pixel is the mean over its area of source pixels, fractions of pixels
 * weighted, in float32 and in the order in which OpenCV adds.
 */
#ifndef RPPG_AREA_H
#define RPPG_AREA_H

#include "helium.h"
#include "pixels.h"

/* One side that is brought to a number of target pixels. A side shorter than
 * that is repeated `repeats` times first, which changes no mean. */
typedef struct {
  int32_t start; /* first pixel in the image */
  int32_t repeats;
  int32_t length; /* repeats included, >= the target's */
  int32_t whole;  /* scale, where it and the other side's are whole; else 0 */
  double scale;   /* source pixels a target pixel */
} rppg_side_t;

/* How sums over rows become bytes. */
typedef struct {
  float share; /* of a sum in its byte */
  float bias;
} rppg_rounding_t;

/* Both sides of an area, and how what is summed over it is rounded. */
typedef struct {
  rppg_side_t columns;
  rppg_side_t rows;
  rppg_rounding_t rounding;
} rppg_area_t;

/* The area of `bounds`, of which nothing is empty, on `width` x `height` target
 * pixels. */
rppg_area_t rppg_area_of(const rppg_bounds_t *bounds, int32_t width,
                         int32_t height);

/* Source pixels of a target pixel, counted from the side's start, repeats
 * included. */
rppg_span_t rppg_span_at(const rppg_side_t *side, int32_t target);

/* Weight of the pixel at `index`, 0 ... num - 1, of a span. */
static inline float rppg_weight_at(const rppg_span_t *span, int32_t index) {
  if (index == 0) {
    return span->first_weight;
  }
  return (index + 1 < (int32_t)span->num) ? span->middle_weight
                                          : span->last_weight;
}

/* Weighted sums over the spans of a row of the area; in turn of what the pixels
 * store first, second and third (of 16 bits: red, green, blue), `num_spans`
 * each. */
void rppg_sum_spans(const rppg_image_t *image, const rppg_side_t *columns,
                    int32_t y, const rppg_span_t *spans, int32_t num_spans,
                    float *sums);

/* sums += weight * row; `num` is a multiple of 4. Inline, so that compilers see
 * how many there are. */
static inline void rppg_add_row(const float *row, float weight, int32_t num,
                                float *sums) {
#if RPPG_HAS_HELIUM
  for (int32_t at = 0; at < num; at += 4) {
    vstrwq_f32(&sums[at], vaddq_f32(vldrwq_f32(&sums[at]),
                                    vmulq_n_f32(vldrwq_f32(&row[at]), weight)));
  }
#else
  for (int32_t at = 0; at < num; ++at) {
    sums[at] += row[at] * weight;
  }
#endif
}

#endif /* RPPG_AREA_H */
