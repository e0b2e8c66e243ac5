/* libFuzzer: any bytes as frames with hostile boxes, strides, times and
 * images. The image lies at the end of a buffer of exactly its bytes, so that
 * one byte beyond is found.
 */
#include <stdlib.h>
#include <string.h>

#include "fake_cnn.h"
#include "rppg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_FRAMES = 12, MAX_IMAGE_BYTES = 1 << 18 };

typedef struct {
  const uint8_t *data;
  size_t left;
} bytes_t;

/* The next number, of 0 to 8 bytes; 0 when there are no more. */
static uint64_t take(bytes_t *bytes, size_t num) {
  uint64_t value = 0u;
  for (size_t at = 0; (at < num) && (bytes->left > 0u); ++at) {
    value = (value << 8) | *bytes->data;
    ++bytes->data;
    --bytes->left;
  }
  return value;
}

static rppg_face_t take_face(bytes_t *bytes) {
  const uint64_t kind = take(bytes, 1);
  rppg_face_t face;
  face.detection = (rppg_detection_t)(kind % 4u);
  const size_t num = ((kind & 4u) != 0u) ? 4u : 1u;
  face.x_px = (int32_t)(uint32_t)take(bytes, num);
  face.y_px = (int32_t)(uint32_t)take(bytes, num);
  face.width_px = (int32_t)(uint32_t)take(bytes, num);
  face.height_px = (int32_t)(uint32_t)take(bytes, num);
  face.age_us = (uint32_t)take(bytes, num);
  return face;
}

/* What the push will read, or 0 if it should read nothing. */
static size_t image_bytes(const rppg_image_t *image) {
  const uint64_t depth = (image->format == RPPG_RGB565) ? 2u : 3u;
  if ((image->height_px == 0u) || (image->width_px == 0u)) {
    return 0u;
  }
  const uint64_t bytes =
      (uint64_t)image->stride_bytes * (image->height_px - 1u) +
      image->width_px * depth;
  return (bytes <= MAX_IMAGE_BYTES) ? (size_t)bytes : 0u;
}

static void push(rppg_state_t *state, bytes_t *bytes, int64_t *time_us) {
  rppg_image_t image;
  const rppg_face_t face = take_face(bytes);
  const uint64_t kind = take(bytes, 1);
  const size_t num = ((kind & 64u) != 0u) ? 4u : 1u;
  image.format = (rppg_pixel_format_t)(kind % 4u);
  image.width_px = (uint32_t)take(bytes, num);
  image.height_px = (uint32_t)take(bytes, num);
  image.stride_bytes = ((kind & 8u) != 0u)
                           ? (uint32_t)take(bytes, num)
                           : image.width_px * 3u + (uint32_t)(kind >> 4);
  if ((kind & 128u) != 0u) {
    *time_us = (int64_t)take(bytes, 8);
  } else {
    *time_us = (int64_t)((uint64_t)*time_us + take(bytes, 3));
  }
  const size_t num_bytes = image_bytes(&image);
  uint8_t *pixels = malloc(num_bytes + 1u);
  if (pixels == NULL) {
    return;
  }
  memset(pixels, (int)(kind * 37u), num_bytes);
  for (size_t at = 0; (at < num_bytes) && (bytes->left > 0u); at += 7u) {
    pixels[at] = (uint8_t)take(bytes, 1);
  }
  image.pixels = (num_bytes > 0u) ? pixels + 1 : NULL;
  (void)rppg_push_frame(state, &image, &face, *time_us);
  free(pixels);
}

static void check(int32_t condition) {
  if (!condition) {
    abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static rppg_state_t state;
  bytes_t bytes = {data, size};
  int64_t time_us = 0;
  rppg_estimate_t estimate;
  check(rppg_init(&state) == RPPG_OK);
  cnn_runs = 0;
  cnn_fails_at = (int32_t)take(&bytes, 1);
  for (int32_t frame = 0; (frame < MAX_FRAMES) && (bytes.left > 0u); ++frame) {
    push(&state, &bytes, &time_us);
    const rppg_status_t status = rppg_estimate(&state, &estimate);
    check((status >= RPPG_OK) && (status <= RPPG_GAP));
    check((estimate.heart_rate_bpm == 0.0f) ||
          ((estimate.heart_rate_bpm >= (float)RPPG_MIN_RATE_BPM) &&
           (estimate.heart_rate_bpm <= (float)RPPG_MAX_RATE_BPM)));
    check((estimate.confidence >= 0.0f) && (estimate.confidence < 1.001f));
  }
  return 0;
}
