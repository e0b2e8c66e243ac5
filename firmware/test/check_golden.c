/* Compares what replay wrote with what Python expects.
 *
 *   check_golden EXPECTED GOT
 *
 * Inputs and features of the CNN, boxes, mid-face colour and sample numbers
 * must be the same bytes; heart rates within 0.01 BPM, and where there is one
 * there must be one. Exit status 0, or 1 and the first frame that differs.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "replay.h"

static frame_out_t expected;
static frame_out_t got;

static const char *difference(void) {
  if (memcmp(expected.codes, got.codes, sizeof got.codes) != 0) {
    return "int8 inputs";
  }
  if (memcmp(expected.features, got.features, sizeof got.features) != 0) {
    return "features";
  }
  if (expected.was_detection_due != got.was_detection_due) {
    return "detection due";
  }
  if ((expected.has_box != got.has_box) ||
      (memcmp(expected.box, got.box, sizeof got.box) != 0)) {
    return "face box";
  }
  if (memcmp(expected.mid_face_rgb, got.mid_face_rgb,
             sizeof got.mid_face_rgb) != 0) {
    return "mid-face colour";
  }
  if (expected.num_samples != got.num_samples) {
    return "samples on the grid";
  }
  if (!(fabsf(expected.heart_rate_bpm - got.heart_rate_bpm) <= 0.01f)) {
    return "heart rate";
  }
  if (!(fabsf(expected.confidence - got.confidence) <= 1e-3f)) {
    return "confidence";
  }
  return NULL;
}

int main(int argc, char **argv) {
  FILE *wanted = (argc == 3) ? fopen(argv[1], "rb") : NULL;
  FILE *written = (argc == 3) ? fopen(argv[2], "rb") : NULL;
  int32_t num_frames = 0;
  int32_t num_estimates = 0;
  if ((wanted == NULL) || (written == NULL)) {
    printf("check_golden: expected two files\n");
    return 1;
  }
  while (fread(&expected, sizeof expected, 1, wanted) == 1) {
    const char *what = (fread(&got, sizeof got, 1, written) == 1)
                           ? difference()
                           : "length of the file";
    if (what != NULL) {
      printf(
          "check_golden: frame %d: %s differs; expectations are made by "
          "`python -m tools.emit_golden_vectors`\n",
          num_frames, what);
      return 1;
    }
    ++num_frames;
    num_estimates += (got.heart_rate_bpm > 0.0f);
  }
  if ((num_estimates == 0) || (fgetc(written) != EOF)) {
    printf("check_golden: no estimate, or more frames than expected\n");
    return 1;
  }
  printf("check_golden: %d frames, %d estimates: the same\n", num_frames,
         num_estimates);
  return 0;
}
