/* Compares what replay wrote with what Python expects.
 *
 *   check_golden frames|waves EXPECTED GOT
 *
 * Inputs and features of the CNN, boxes, mid-face colour and sample numbers
 * must be the same bytes; heart rates within 0.01 BPM, beats within 1 ms, their
 * qualities within 0.001, variability within 0.1 ms, and where there is one
 * there must be one. Exit status 0, or 1 and the first record that differs.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"

static union {
  frame_out_t frame;
  wave_out_t sample;
} expected, got;

/* What was compared beside the records. */
static int32_t num_estimates;
static int32_t num_beats;

static int differ(float wanted, float found, float most) {
  return !(fabsf(wanted - found) <= most);
}

/* --- Rates and variability -------------------------------------------------
 */

static const char *rate_difference(const rppg_beat_rate_t *wanted,
                                   const rppg_beat_rate_t *found) {
  if ((wanted->num_beats != found->num_beats) ||
      (wanted->num_believed != found->num_believed) ||
      (wanted->num_doubted != found->num_doubted)) {
    return "number of beats in the window";
  }
  if (differ(wanted->bpm, found->bpm, 0.01f) ||
      differ(wanted->newest_bpm, found->newest_bpm, 0.01f)) {
    return "rate of the beats";
  }
  if (differ(wanted->coverage, found->coverage, 1e-3f) ||
      differ(wanted->quality, found->quality, 1e-3f)) {
    return "quality of the window's beats";
  }
  return NULL;
}

static const char *variability_difference(const rppg_variability_t *wanted,
                                          const rppg_variability_t *found) {
  if ((wanted->num_intervals != found->num_intervals) ||
      differ(wanted->share_used, found->share_used, 1e-3f)) {
    return "intervals used";
  }
  if (differ(wanted->rmssd_ms, found->rmssd_ms, 0.1f) ||
      differ(wanted->sdnn_ms, found->sdnn_ms, 0.1f) ||
      differ(wanted->mean_rr_ms, found->mean_rr_ms, 0.1f)) {
    return "variability";
  }
  return NULL;
}

/* --- Frames ----------------------------------------------------------------
 */

static const char *estimate_difference(const rppg_estimate_t *wanted,
                                       const rppg_estimate_t *found) {
  if (wanted->num_samples != found->num_samples) {
    return "samples on the grid";
  }
  if (differ(wanted->heart_rate_bpm, found->heart_rate_bpm, 0.01f) ||
      differ(wanted->spectrum_bpm, found->spectrum_bpm, 0.01f)) {
    return "heart rate";
  }
  if (differ(wanted->confidence, found->confidence, 1e-3f) ||
      differ(wanted->spectrum_confidence, found->spectrum_confidence, 1e-3f)) {
    return "confidence";
  }
  const char *what = rate_difference(&wanted->beats, &found->beats);
  return (what != NULL) ? what
                        : variability_difference(&wanted->variability,
                                                 &found->variability);
}

static int beats_differ(const frame_out_t *wanted, const frame_out_t *found) {
  if (wanted->num_beats != found->num_beats) {
    return 1;
  }
  for (uint32_t index = 0u; index < found->num_beats; ++index) {
    const long long late_us =
        (long long)(wanted->beat_time_us[index] - found->beat_time_us[index]);
    if ((llabs(late_us) > 1000) || differ(wanted->beat_quality[index],
                                          found->beat_quality[index], 1e-3f)) {
      return 1;
    }
  }
  return 0;
}

static const char *frame_difference(void) {
  const frame_out_t *wanted = &expected.frame;
  const frame_out_t *found = &got.frame;
  num_estimates += (found->estimate.heart_rate_bpm > 0.0f);
  num_beats += (int32_t)found->num_beats;
  if (memcmp(wanted->codes, found->codes, sizeof found->codes) != 0) {
    return "int8 inputs";
  }
  if (memcmp(wanted->features, found->features, sizeof found->features) != 0) {
    return "features";
  }
  if (wanted->was_detection_due != found->was_detection_due) {
    return "detection due";
  }
  if ((wanted->has_box != found->has_box) ||
      (memcmp(wanted->box, found->box, sizeof found->box) != 0)) {
    return "face box";
  }
  if (memcmp(wanted->mid_face_rgb, found->mid_face_rgb,
             sizeof found->mid_face_rgb) != 0) {
    return "mid-face colour";
  }
  if (beats_differ(wanted, found)) {
    return "beats";
  }
  return estimate_difference(&wanted->estimate, &found->estimate);
}

/* --- Waves -----------------------------------------------------------------
 */

static double position_of(const rppg_found_beat_t *beat) {
  return (double)(int32_t)beat->sample + (double)beat->fraction;
}

static const char *sample_difference(void) {
  const wave_out_t *wanted = &expected.sample;
  const wave_out_t *found = &got.sample;
  const double late =
      position_of(&wanted->beat) - position_of(&found->beat); /* samples */
  num_estimates += (found->rate.bpm > 0.0f);
  num_beats += found->is_beat;
  if ((wanted->is_beat != found->is_beat) ||
      !(fabs(late) * 1000.0 / RPPG_GRID_RATE_HZ <= 1.0) ||
      differ(wanted->beat.quality, found->beat.quality, 1e-3f)) {
    return "beat";
  }
  const char *what = rate_difference(&wanted->rate, &found->rate);
  return (what != NULL) ? what
                        : variability_difference(&wanted->variability,
                                                 &found->variability);
}

/* Compares all records; returns the exit status. */
static int compare(FILE *wanted, FILE *written, size_t num_bytes,
                   const char *(*difference)(void)) {
  int32_t num_records = 0;
  while (fread(&expected, num_bytes, 1, wanted) == 1) {
    const char *what = (fread(&got, num_bytes, 1, written) == 1)
                           ? difference()
                           : "length of the file";
    if (what != NULL) {
      printf(
          "check_golden: record %ld: %s differs; expectations are made by "
          "`python -m tools.emit_golden_vectors`\n",
          (long)num_records, what);
      return 1;
    }
    ++num_records;
  }
  if ((num_estimates == 0) || (num_beats == 0) || (fgetc(written) != EOF)) {
    printf("check_golden: no estimate, no beat, or more than expected\n");
    return 1;
  }
  printf("check_golden: %ld records, %ld beats, %ld estimates: the same\n",
         (long)num_records, (long)num_beats, (long)num_estimates);
  return 0;
}

int main(int argc, char **argv) {
  FILE *wanted = (argc == 4) ? fopen(argv[2], "rb") : NULL;
  FILE *written = (argc == 4) ? fopen(argv[3], "rb") : NULL;
  if ((wanted == NULL) || (written == NULL)) {
    printf("check_golden: expected frames|waves and two files\n");
    return 1;
  }
  return (strcmp(argv[1], "frames") == 0)
             ? compare(wanted, written, sizeof(frame_out_t), frame_difference)
             : compare(wanted, written, sizeof(wave_out_t), sample_difference);
}
