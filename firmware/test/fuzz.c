/* libFuzzer: any bytes as frames with hostile boxes, strides, times and
 * images. The image lies at the end of a buffer of exactly its bytes, so that
 * one byte beyond is found.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "beat_rate.h"
#include "beats.h"
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

static void check_share(float share) {
  check((share >= 0.0f) && (share < 1.001f));
}

/* Unknown, or what a heart can do. */
static void check_bpm(float bpm) {
  check((bpm == 0.0f) || ((bpm > 10.0f) && (bpm < 300.0f)));
}

static void check_rate(const rppg_beat_rate_t *rate) {
  check_bpm(rate->bpm);
  check_bpm(rate->newest_bpm);
  check_share(rate->coverage);
  check_share(rate->quality);
  check((rate->num_believed <= rate->num_beats) && (rate->num_beats <= 40u));
}

static void check_estimate(const rppg_state_t *state) {
  rppg_estimate_t estimate;
  const rppg_status_t status = rppg_estimate(state, &estimate);
  check((status >= RPPG_OK) && (status <= RPPG_GAP));
  check_bpm(estimate.heart_rate_bpm);
  check((estimate.spectrum_bpm == 0.0f) ||
        ((estimate.spectrum_bpm >= (float)RPPG_MIN_RATE_BPM) &&
         (estimate.spectrum_bpm <= (float)RPPG_MAX_RATE_BPM)));
  check_share(estimate.confidence);
  check_share(estimate.spectrum_confidence);
  check_rate(&estimate.beats);
  check_share(estimate.variability.share_used);
  check((estimate.variability.rmssd_ms >= 0.0f) &&
        (estimate.variability.num_intervals < RPPG_NUM_BEATS));
}

/* Beats come in order, none twice. */
static void check_beats(rppg_state_t *state, uint32_t capacity,
                        int64_t *last_us) {
  rppg_beat_t beats[8];
  const uint32_t num = rppg_beats(state, beats, capacity);
  check(num <= capacity);
  for (uint32_t index = 0u; index < num; ++index) {
    check(beats[index].time_us > *last_us);
    check_share(beats[index].quality);
    *last_us = beats[index].time_us;
  }
}

/* A wave of its own, of samples that come as they like. */
static void push_wave(bytes_t *bytes) {
  static rppg_beat_stream_t stream;
  rppg_beat_rate_t rate;
  rppg_found_beat_t beat;
  const float scale = ldexpf(1.0f, (int)(take(bytes, 1) % 110u) - 60);
  const uint64_t stretch = 1u + take(bytes, 1) % 16u;
  rppg_beats_init(&stream);
  while (bytes->left > 0u) {
    const float pulse = scale * (float)(int8_t)take(bytes, 1);
    for (uint64_t times = 0u; times < stretch; ++times) {
      if (rppg_beats_push(&stream, pulse, &beat)) {
        check_share(beat.quality);
      }
    }
    rppg_read_beat_rate(&stream, &rate);
    check_rate(&rate);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static rppg_state_t state;
  bytes_t bytes = {data, size};
  int64_t time_us = 0;
  int64_t last_us = -RPPG_MAX_TIME_US;
  check(rppg_init(&state) == RPPG_OK);
  cnn_runs = 0;
  cnn_fails_at = (int32_t)take(&bytes, 1);
  if (cnn_fails_at == 255) {
    push_wave(&bytes);
  }
  for (int32_t frame = 0; (frame < MAX_FRAMES) && (bytes.left > 0u); ++frame) {
    push(&state, &bytes, &time_us);
    check_estimate(&state);
    check_beats(&state, (uint32_t)frame % 8u, &last_us);
  }
  return 0;
}
