/* Instructions of every stage, counted by QEMU: one line each on stdout.
 *
 *   NAME INSTRUCTIONS
 *
 * With -icount shift=0 an instruction takes one virtual nanosecond and SysTick
 * counts at 32 MHz: 31.25 instructions a tick. QEMU models no pipeline, no
 * cache and no wait state: these are instructions, never cycles.
 * The last line is the stack that everything here together used.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "background.h"
#include "beat_rate.h"
#include "beat_ring.h"
#include "beats.h"
#include "face_motion.h"
#include "mid_face.h"
#include "roi_patches.h"
#include "rppg.h"
#include "rppg_cnn.h"
#include "variability.h"

enum { WIDTH = 640, HEIGHT = 480, STACK_BYTES = 16384, PAINT = 0xA5 };

static rppg_state_t state;
static uint8_t pixels[WIDTH * HEIGHT * 3];
static uint8_t patch[RPPG_CNN_INPUT_BYTES];
static int8_t codes[RPPG_CNN_INPUT_BYTES];
static int8_t roi_features[RPPG_CNN_OUTPUT_BYTES];
static int16_t features[RPPG_NUM_FRAME_FEATURES];

static volatile uint32_t *const systick = (volatile uint32_t *)0xE000E010u;

static void start(void) {
  systick[1] = 0xFFFFFFu;
  systick[2] = 0u;
  systick[0] = 5u;
}

/* Nanoseconds, that is instructions, since start(). */
static uint64_t stop(void) {
  const uint32_t ticks = (0x1000000u - systick[2]) & 0xFFFFFFu;
  return ((uint64_t)ticks * 125u) / 4u;
}

static void report(const char *name, uint64_t instructions, uint32_t times) {
  printf("%s %lu\n", name, (unsigned long)(instructions / times));
}

static uint32_t noise = 1u;

static uint8_t next_byte(void) {
  noise = noise * 1664525u + 1013904223u;
  return (uint8_t)(noise >> 24);
}

static void measure_cut(const char *name, const rppg_image_t *image,
                        int32_t side) {
  const rppg_box_t box = {(WIDTH - side) / 2, (HEIGHT - side) / 2, side, side};
  char line[64];
  float rgb[RPPG_NUM_CHANNELS];
  rppg_face_motion_push(&state.motion, image, NULL);
  rppg_face_motion_push(&state.motion, image, &box);
  start();
  rppg_face_motion_push(&state.motion, image, &box);
  (void)snprintf(line, sizeof line, "face_motion_%s_face_%ld_px", name,
                 (long)side);
  report(line, stop(), 1u);
  start();
  for (int32_t roi = 0; roi < RPPG_NUM_ROIS; ++roi) {
    rppg_cut_roi(image, &box, roi, &state.scratch, patch);
  }
  (void)snprintf(line, sizeof line, "roi_cut_%s_face_%ld_px", name, (long)side);
  report(line, stop(), 1u);
  start();
  rppg_mean_mid_face(image, &box, &state.motion.shift, rgb);
  (void)snprintf(line, sizeof line, "mid_face_%s_face_%ld_px", name,
                 (long)side);
  report(line, stop(), 1u);
}

static void measure_background(void) {
  (void)rppg_background_begin(&state.background, 0.0); /* the first is dearer */
  start();
  const float weight = rppg_background_begin(&state.background, 0.033);
  for (int32_t roi = 0; roi < RPPG_NUM_ROIS; ++roi) {
    rppg_background_push(&state.background, roi, weight, patch, codes);
  }
  report("background_3_rois", stop(), 1u);
}

static void measure_cnn(void) {
  (void)rppg_cnn_run(codes, roi_features);
  start();
  (void)rppg_cnn_run(codes, roi_features);
  report("cnn_one_roi", stop(), 1u);
}

static void measure_head(void) {
  temporal_head_estimate_t estimate;
  for (uint32_t sample = 0u; sample < 299u; ++sample) {
    for (int32_t index = 0; index < RPPG_NUM_FRAME_FEATURES; ++index) {
      features[index] = (int8_t)next_byte();
    }
    (void)temporal_head_push(&state.head, features, features, 0.5f);
  }
  start();
  for (uint32_t sample = 0u; sample < 100u; ++sample) {
    (void)temporal_head_push(&state.head, features, features, 0.5f);
  }
  report("head_push", stop(), 100u);
  start();
  (void)temporal_head_estimate(&state.head, &estimate);
  report("head_estimate", stop(), 1u);
}

/* Noise has the most peaks: the dearest push is one that decides on a beat. */
static void measure_beats(void) {
  enum { NUM_SAMPLES = 3000 };
  rppg_beat_rate_t rate;
  rppg_variability_t variability;
  rppg_estimate_t estimate;
  rppg_found_beat_t beat;
  uint64_t total = 0u;
  uint64_t worst = 0u;
  rppg_beats_init(&state.beats);
  memset(&state.found, 0, sizeof state.found);
  for (uint32_t sample = 0u; sample < NUM_SAMPLES; ++sample) {
    const float pulse = (float)next_byte();
    start();
    const int32_t is_beat = rppg_beats_push(&state.beats, pulse, &beat);
    const uint64_t instructions = stop();
    total += instructions;
    worst = (instructions > worst) ? instructions : worst;
    if (is_beat) {
      rppg_beat_ring_put(&state.found, &beat);
    }
  }
  report("beats_push", total, NUM_SAMPLES);
  report("beats_worst_push", worst, 1u);
  start();
  rppg_read_beat_rate(&state.beats, &rate);
  report("beat_rate", stop(), 1u);
  start();
  rppg_measure_variability(&state.found, &variability);
  report("variability", stop(), 1u);
  start();
  (void)rppg_estimate(&state, &estimate);
  report("estimate", stop(), 1u);
}

static void measure_push_frame(const rppg_image_t *image, int32_t side) {
  const rppg_face_t face = {
      RPPG_FACE_FOUND, (WIDTH - side) / 2, (HEIGHT - side) / 2, side, side, 0u};
  char line[64];
  (void)rppg_init(&state);
  (void)rppg_push_frame(&state, image, &face, 0);
  (void)rppg_push_frame(&state, image, &face, 33000);
  start();
  (void)rppg_push_frame(&state, image, &face, 67000);
  (void)snprintf(line, sizeof line, "push_frame_888_face_%ld_px", (long)side);
  report(line, stop(), 1u);
}

static void __attribute__((noinline)) measure_all(void) {
  rppg_image_t image = {pixels, WIDTH, HEIGHT, WIDTH * 3, RPPG_BGR888};
  start();
  report("nothing", stop(), 1u);
  (void)rppg_init(&state);
  measure_cut("888", &image, 200);
  measure_cut("888", &image, 300);
  measure_cut("888", &image, 400);
  measure_cut("888", &image, 480);
  measure_background();
  measure_cnn();
  measure_head();
  measure_beats();
  measure_push_frame(&image, 200);
  measure_push_frame(&image, 400);
  image.format = RPPG_RGB565;
  image.stride_bytes = WIDTH * 2;
  measure_cut("565", &image, 200);
  measure_cut("565", &image, 480);
}

/* Fills the stack below with a pattern; finds how deep it was written. */
static uint8_t *stack_bottom(void) {
  uint8_t *here = (uint8_t *)__builtin_frame_address(0);
  return here - STACK_BYTES;
}

static void __attribute__((noinline)) paint(uint8_t *bottom) {
  for (int32_t at = 0; at < STACK_BYTES - 256; ++at) {
    ((volatile uint8_t *)bottom)[at] = PAINT;
  }
}

int main(void) {
  for (int32_t index = 0; index < (int32_t)sizeof pixels; ++index) {
    pixels[index] = next_byte();
  }
  (void)setvbuf(stdout, NULL, _IOFBF, 4096);
  measure_all();
  /* Now without stdio. */
  uint8_t *bottom = stack_bottom();
  const rppg_image_t image = {pixels, WIDTH, HEIGHT, WIDTH * 3, RPPG_RGB888};
  const rppg_face_t face = {RPPG_FACE_FOUND, 200, 100, 200, 200, 0u};
  rppg_estimate_t estimate;
  (void)rppg_init(&state);
  paint(bottom);
  for (int64_t frame = 0; frame < 13; ++frame) { /* 30 samples each */
    (void)rppg_push_frame(&state, &image, &face, frame * 1000000);
  }
  (void)rppg_estimate(&state, &estimate);
  int32_t untouched = 0;
  while (bottom[untouched] == PAINT) {
    ++untouched;
  }
  printf("stack_bytes_measured %ld\n", (long)(STACK_BYTES - untouched));
  return 0;
}
