#include "rppg.h"

#include <stddef.h>
#include <string.h>

#include "background.h"
#include "beat_ring.h"
#include "beats.h"
#include "checks.h"
#include "face_box.h"
#include "face_motion.h"
#include "feature_timeline.h"
#include "mid_face.h"
#include "readout.h"
#include "roi_patches.h"
#include "rppg_cnn.h"

/* Generated files of another contract, or a state grown too large. */
#if (TEMPORAL_HEAD_NUM_FEATURES > RPPG_NUM_FRAME_FEATURES) || \
    (TEMPORAL_HEAD_NUM_ROI_FEATURES != RPPG_NUM_ROI_FEATURES)
#error "temporal_head.h is for another number of features: emit again"
#endif
#if TEMPORAL_HEAD_GRID_RATE_HZ != RPPG_GRID_RATE_HZ
#error "temporal_head.h is for another grid: emit again"
#endif
#if TEMPORAL_HEAD_IS_PULSE_HEAD && \
    (TEMPORAL_HEAD_WINDOW_SAMPLES != RPPG_WINDOW_SAMPLES)
#error "temporal_head.h is for another window: emit again"
#endif
#if TEMPORAL_HEAD_IS_PULSE_HEAD &&                   \
    ((TEMPORAL_HEAD_MIN_BPM != RPPG_MIN_RATE_BPM) || \
     (TEMPORAL_HEAD_MAX_BPM != RPPG_MAX_RATE_BPM))
#error "temporal_head.h is for other heart rates: emit again"
#endif
#if (RPPG_NUM_ROIS * RPPG_NUM_SPATIAL_FEATURES != RPPG_NUM_ROI_FEATURES) || \
    (RPPG_NUM_ROI_FEATURES + RPPG_NUM_CHROMINANCE != RPPG_NUM_FRAME_FEATURES)
#error "rppg_contract.h contradicts itself: emit again"
#endif
typedef char rppg_state_is_too_large[(sizeof(rppg_state_t) <= RPPG_STATE_BYTES)
                                         ? 1
                                         : -1];

/* Before any time. */
#define NEVER_S (-1.0e30)

/* --- Checks ----------------------------------------------------------------
 */

static int32_t is_within(int32_t value, int32_t low, int32_t high) {
  return (value >= low) && (value <= high);
}

static int32_t is_face_usable(const rppg_face_t *face) {
  if (face == NULL) {
    return 0;
  }
  if ((face->detection == RPPG_FACE_NOT_LOOKED_FOR) ||
      (face->detection == RPPG_FACE_NOT_FOUND)) {
    return 1;
  }
  return (face->detection == RPPG_FACE_FOUND) &&
         is_within(face->x_px, -RPPG_MAX_BOX_PX, RPPG_MAX_BOX_PX) &&
         is_within(face->y_px, -RPPG_MAX_BOX_PX, RPPG_MAX_BOX_PX) &&
         is_within(face->width_px, 1, RPPG_MAX_BOX_PX) &&
         is_within(face->height_px, 1, RPPG_MAX_BOX_PX);
}

rppg_status_t rppg_check_frame(const rppg_state_t *state,
                               const rppg_image_t *image, int64_t time_us) {
  if ((state == NULL) || !rppg_is_image_usable(image) || (time_us < 0) ||
      (time_us > RPPG_MAX_TIME_US)) {
    return RPPG_BAD_ARGUMENT;
  }
  return (state->has_frames && (time_us < state->last_us)) ? RPPG_TIME_BACKWARDS
                                                           : RPPG_OK;
}

/* --- Start -----------------------------------------------------------------
 */

/* Everything but the face box and the clock. */
static void start_anew(rppg_state_t *state, int64_t time_us) {
  state->origin_us = time_us;
  state->last_used_us = time_us;
  state->has_used = 0u;
  state->last_no_face_s = NEVER_S;
  state->last_gap_s = NEVER_S;
  rppg_background_reset(&state->background);
  rppg_timeline_init(&state->timeline);
  temporal_head_init(&state->head);
  rppg_beats_init(&state->beats);
  memset(&state->found, 0, sizeof state->found);
}

rppg_status_t rppg_init(rppg_state_t *state) {
  if (state == NULL) {
    return RPPG_BAD_ARGUMENT;
  }
  memset(state, 0, sizeof *state);
  rppg_face_box_init(&state->face_box);
  start_anew(state, 0);
  return (rppg_cnn_init() == RPPG_CNN_OK) ? RPPG_OK : RPPG_CNN_ERROR;
}

/* --- Frames ----------------------------------------------------------------
 */

int32_t rppg_is_detection_due(const rppg_state_t *state, int64_t time_us) {
  if (state == NULL) {
    return 1;
  }
  return rppg_face_box_is_due(&state->face_box, time_us);
}

/* Hands the detector's answer to the face box, at the time of the frame that
 * it saw: not before the last answer's. */
static void take_detection(rppg_state_t *state, const rppg_face_t *face,
                           int64_t time_us) {
  const int64_t age_us = (int64_t)face->age_us;
  const int64_t last_us = state->face_box.last_try_us;
  int64_t seen_us = (age_us < time_us) ? time_us - age_us : 0;
  seen_us = (seen_us > last_us) ? seen_us : last_us;
  if (face->detection == RPPG_FACE_NOT_FOUND) {
    rppg_face_box_update(&state->face_box, NULL, seen_us);
  }
  if (face->detection == RPPG_FACE_FOUND) {
    const rppg_box_t box = {face->x_px, face->y_px, face->width_px,
                            face->height_px};
    rppg_face_box_update(&state->face_box, &box, seen_us);
  }
}

/* One region's features, int8, widened. */
static rppg_cnn_status_t run_cnn(const int8_t *codes, int16_t *features) {
  int8_t narrow[RPPG_NUM_SPATIAL_FEATURES] = {0};
  const rppg_cnn_status_t status = rppg_cnn_run(codes, narrow);
  for (int32_t index = 0; index < RPPG_NUM_SPATIAL_FEATURES; ++index) {
    features[index] = narrow[index];
  }
  return status;
}

/* Regions → codes → features. Every region is taken even if the CNN fails on
 * one, so that the background stays of one piece. */
static rppg_cnn_status_t encode(rppg_state_t *state, const rppg_image_t *image,
                                const rppg_box_t *box, double elapsed_s,
                                rppg_features_t *features) {
  rppg_cnn_status_t worst = RPPG_CNN_OK;
  rppg_box_t moved = {0, 0, 0, 0};
  float weight = 0.0f;
  rppg_face_motion_push(&state->motion, image, box);
  memset(features, 0, sizeof *features);
  memset(state->mid_face_rgb, 0, sizeof state->mid_face_rgb);
  if (box == NULL) {
    rppg_background_reset(&state->background);
    memset(state->codes, 0, sizeof state->codes);
  } else {
    const rppg_shift_t *shift = &state->motion.shift;
    moved = rppg_moved_box(box, shift);
    rppg_mean_mid_face(image, box, shift, state->mid_face_rgb);
    weight = rppg_background_begin(&state->background, elapsed_s);
    rppg_chrominance_push(&state->background, weight, state->mid_face_rgb,
                          &features->codes[RPPG_NUM_ROI_FEATURES]);
  }
  for (int32_t roi = 0; roi < RPPG_NUM_ROIS; ++roi) {
    if (box != NULL) {
      /* In place: a code takes its pixel's byte. */
      uint8_t *patch = (uint8_t *)state->codes;
      rppg_cut_roi(image, &moved, roi, &state->scratch, patch);
      rppg_background_push(&state->background, roi, weight, patch,
                           state->codes);
    }
    const rppg_cnn_status_t status = run_cnn(
        state->codes, &features->codes[roi * RPPG_NUM_SPATIAL_FEATURES]);
    worst = (status == RPPG_CNN_OK) ? worst : status;
  }
  return worst;
}

/* The filter sees peaks before the wave begins. */
static int32_t is_after_start(const rppg_state_t *state,
                              const rppg_found_beat_t *beat) {
  const uint32_t newest = state->timeline.num_samples - 1u;
  const uint32_t age = newest - beat->sample;
  return (age < newest) || ((age == newest) && (beat->fraction >= 0.0f));
}

/* Appends to the head every column that the newest frame completes, and looks
 * for beats in the pulse that comes of it. */
static void advance_head(rppg_state_t *state) {
  rppg_found_beat_t beat;
  const rppg_features_t *older = rppg_timeline_older(&state->timeline);
  const rppg_features_t *newer = rppg_timeline_newer(&state->timeline);
  float fraction = 0.0f;
  while (rppg_timeline_next(&state->timeline, &fraction)) {
    (void)temporal_head_push(&state->head, older->codes, newer->codes,
                             fraction); /* the fraction is never bad */
    if (rppg_beats_push(&state->beats, temporal_head_pulse(&state->head),
                        &beat) &&
        is_after_start(state, &beat)) {
      rppg_beat_ring_put(&state->found, &beat);
    }
  }
}

/* What the time since the last frame used means. */
static rppg_status_t judge_interval(const rppg_state_t *state,
                                    int64_t time_us) {
  const int64_t interval_us = time_us - state->last_used_us;
  if (!state->has_used || (interval_us <= RPPG_DROPPED_AFTER_US)) {
    return RPPG_OK;
  }
  if (interval_us > RPPG_RESTART_AFTER_US) {
    return RPPG_RESTARTED;
  }
  return (interval_us > RPPG_GAP_AFTER_US) ? RPPG_GAP : RPPG_DROPPED;
}

rppg_status_t rppg_push_frame(rppg_state_t *state, const rppg_image_t *image,
                              const rppg_face_t *face, int64_t time_us) {
  rppg_features_t features;
  rppg_status_t status = is_face_usable(face)
                             ? rppg_check_frame(state, image, time_us)
                             : RPPG_BAD_ARGUMENT;
  if (status != RPPG_OK) {
    return status;
  }
  status = judge_interval(state, time_us);
  if (!state->has_used || (status == RPPG_RESTARTED)) {
    start_anew(state, time_us);
  }
  state->has_frames = 1u;
  state->last_us = time_us;
  take_detection(state, face, time_us);
  const rppg_box_t *box = rppg_face_box_at(&state->face_box, time_us);
  const double elapsed_s = (double)(time_us - state->origin_us) / 1.0e6;
  if (encode(state, image, box, elapsed_s, &features) != RPPG_CNN_OK) {
    return RPPG_CNN_ERROR;
  }
  if (status == RPPG_GAP) {
    state->last_gap_s = elapsed_s;
  }
  if (box == NULL) {
    state->last_no_face_s = elapsed_s;
    status = (status == RPPG_RESTARTED) ? status : RPPG_NO_FACE;
  }
  state->has_used = 1u;
  state->last_used_us = time_us;
  rppg_timeline_push(&state->timeline, &features, elapsed_s);
  advance_head(state);
  return status;
}

/* --- Answers ---------------------------------------------------------------
 */

rppg_status_t rppg_estimate(const rppg_state_t *state,
                            rppg_estimate_t *estimate) {
  temporal_head_estimate_t head;
  if ((state == NULL) || (estimate == NULL)) {
    return RPPG_BAD_ARGUMENT;
  }
  (void)temporal_head_estimate(&state->head, &head);
  const int32_t is_whole = (state->timeline.num_samples >= RPPG_WINDOW_SAMPLES);
  estimate->pulse = head.pulse;
  estimate->num_samples = state->timeline.num_samples;
  estimate->spectrum_bpm = is_whole ? head.heart_rate_bpm : 0.0f;
  estimate->spectrum_confidence = is_whole ? head.confidence : 0.0f;
  rppg_read_out(&state->beats, &state->found, estimate);
  if (estimate->heart_rate_bpm == 0.0f) {
    return RPPG_NOT_READY;
  }
  const double end_s =
      (double)state->timeline.num_samples / (double)RPPG_GRID_RATE_HZ;
  const double start_s = end_s - (double)RPPG_WINDOW_S;
  if (state->last_no_face_s >= start_s) {
    return RPPG_NO_FACE;
  }
  return (state->last_gap_s >= start_s) ? RPPG_GAP : RPPG_OK;
}

/* When a beat was, on the clock of the frames. */
static int64_t time_us_of(const rppg_state_t *state,
                          const rppg_found_beat_t *beat) {
  const uint32_t newest = state->timeline.num_samples - 1u;
  const int32_t age = (int32_t)(newest - beat->sample);
  const int64_t sample = (int64_t)newest - (int64_t)age;
  const float fraction_us = beat->fraction * 1.0e6f / (float)RPPG_GRID_RATE_HZ;
  return state->origin_us + sample * INT64_C(1000000) / RPPG_GRID_RATE_HZ +
         (int64_t)fraction_us;
}

uint32_t rppg_beats(rppg_state_t *state, rppg_beat_t *beats,
                    uint32_t capacity) {
  uint32_t num = 0u;
  if ((state == NULL) || (beats == NULL)) {
    return 0u;
  }
  while (num < capacity) {
    const rppg_found_beat_t *beat = rppg_beat_ring_take(&state->found);
    if (beat == NULL) {
      break;
    }
    beats[num].time_us = time_us_of(state, beat);
    beats[num].quality = beat->quality;
    ++num;
  }
  return num;
}

rppg_status_t rppg_face_box(const rppg_state_t *state, rppg_box_t *box) {
  if ((state == NULL) || (box == NULL)) {
    return RPPG_BAD_ARGUMENT;
  }
  const rppg_box_t *held = rppg_face_box_at(&state->face_box, state->last_us);
  if (held == NULL) {
    return RPPG_NO_FACE;
  }
  *box = rppg_moved_box(held, &state->motion.shift);
  return RPPG_OK;
}

rppg_status_t rppg_mid_face(const rppg_state_t *state,
                            float rgb[RPPG_NUM_CHANNELS]) {
  if ((state == NULL) || (rgb == NULL)) {
    return RPPG_BAD_ARGUMENT;
  }
  memcpy(rgb, state->mid_face_rgb, sizeof state->mid_face_rgb);
  return RPPG_OK;
}
