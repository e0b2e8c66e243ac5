#include "rppg_web.h"

#include <string.h>

#include "pixels.h"
#include "rppg_detector.h"

#ifndef RPPG_WEB_MIN_CONFIDENCE
#error "RPPG_WEB_MIN_CONFIDENCE: the threshold of the run's confidence.json"
#endif

enum {
  MAX_SIDE = RPPG_WEB_MAX_SIDE_PX,
  RGBA_BYTES = 4,
  RGB_BYTES = 3,
  RESULT_WORDS = 13 + 4 + RPPG_NUM_ROIS * 4
};

typedef char result_is_of_words
    [(sizeof(rppg_web_result_t) == RESULT_WORDS * sizeof(uint32_t)) ? 1 : -1];

static const uint8_t roi_percent[RPPG_NUM_ROIS][4] = RPPG_ROI_PERCENT;

static rppg_state_t state;
static rppg_detector_t detector;
/* Of images that are not reduced; wider ones need no more. */
static uint32_t memory[RPPG_DETECTOR_WORDS(RPPG_DETECTION_WIDTH_PX, MAX_SIDE)];
static uint8_t pixels[MAX_SIDE * MAX_SIDE * RGBA_BYTES];
static rppg_web_result_t result;
static rppg_web_beat_t beats[RPPG_WEB_MAX_BEATS];

int32_t rppg_web_start(void) {
  memset(&result, 0, sizeof result);
  const rppg_status_t status = rppg_init(&state);
  return (int32_t)((status == RPPG_OK)
                       ? rppg_detector_init(&detector, memory,
                                            sizeof memory / sizeof memory[0])
                       : status);
}

uint8_t *rppg_web_pixels(void) {
  return pixels;
}

/* R G B A → R G B, in place. */
static void drop_alpha(int32_t num_pixels) {
  for (int32_t at = 0; at < num_pixels; ++at) {
    pixels[RGB_BYTES * at] = pixels[RGBA_BYTES * at];
    pixels[RGB_BYTES * at + 1] = pixels[RGBA_BYTES * at + 1];
    pixels[RGB_BYTES * at + 2] = pixels[RGBA_BYTES * at + 2];
  }
}

/* The box and the regions that lie in it. */
static void note_box(void) {
  rppg_box_t box;
  result.has_box = (rppg_face_box(&state, &box) == RPPG_OK) ? 1 : 0;
  memset(result.box, 0, sizeof result.box);
  memset(result.regions, 0, sizeof result.regions);
  if (result.has_box == 0) {
    return;
  }
  result.box[0] = box.x;
  result.box[1] = box.y;
  result.box[2] = box.width;
  result.box[3] = box.height;
  for (int32_t roi = 0; roi < RPPG_NUM_ROIS; ++roi) {
    const rppg_bounds_t region = rppg_region_px(&box, roi_percent[roi]);
    result.regions[roi][0] = region.x0;
    result.regions[roi][1] = region.y0;
    result.regions[roi][2] = region.x1 - region.x0;
    result.regions[roi][3] = region.y1 - region.y0;
  }
}

static void note_beats(void) {
  rppg_beat_t fresh[RPPG_WEB_MAX_BEATS];
  result.num_beats = rppg_beats(&state, fresh, RPPG_WEB_MAX_BEATS);
  for (uint32_t beat = 0u; beat < result.num_beats; ++beat) {
    beats[beat].time_us = (double)fresh[beat].time_us;
    beats[beat].quality = (double)fresh[beat].quality;
  }
}

int32_t rppg_web_push(int32_t width_px, int32_t height_px, double time_us) {
  if ((width_px < 1) || (width_px > MAX_SIDE) || (height_px < 1) ||
      (height_px > MAX_SIDE) || !(time_us >= 0.0) ||
      (time_us > (double)RPPG_MAX_TIME_US)) {
    return (int32_t)RPPG_BAD_ARGUMENT;
  }
  const rppg_image_t image = {pixels, (uint32_t)width_px, (uint32_t)height_px,
                              (uint32_t)(width_px * RGB_BYTES), RPPG_RGB888};
  rppg_estimate_t estimate;
  drop_alpha(width_px * height_px);
  result.push_status =
      (int32_t)rppg_run(&state, &detector, &image, (int64_t)time_us);
  result.estimate_status = (int32_t)rppg_estimate(&state, &estimate);
  result.num_samples = estimate.num_samples;
  result.heart_rate_bpm = estimate.heart_rate_bpm;
  result.newest_bpm = estimate.beats.newest_bpm;
  result.confidence = estimate.confidence;
  result.pulse = estimate.pulse;
  (void)rppg_mid_face(&state, result.mid_face_rgb);
  result.num_faces = rppg_detector_num_faces(&detector);
  note_beats();
  note_box();
  return result.push_status;
}

const rppg_web_result_t *rppg_web_result(void) {
  return &result;
}

const rppg_web_beat_t *rppg_web_beats(void) {
  return beats;
}

float rppg_web_min_confidence(void) {
  return RPPG_WEB_MIN_CONFIDENCE;
}
