#include "feature_timeline.h"

#include <string.h>

void rppg_timeline_init(rppg_timeline_t *timeline) {
  memset(timeline, 0, sizeof *timeline);
}

/* The first frame is its own older one. */
static int32_t older_index(const rppg_timeline_t *timeline) {
  return (timeline->num_frames < 2u) ? timeline->newest : 1 - timeline->newest;
}

void rppg_timeline_push(rppg_timeline_t *timeline,
                        const rppg_features_t *features, double elapsed_s) {
  timeline->newest = 1 - timeline->newest;
  timeline->frames[timeline->newest] = *features;
  timeline->elapsed_s[timeline->newest] = elapsed_s;
  if (timeline->num_frames < 2u) {
    ++timeline->num_frames;
  }
}

int32_t rppg_timeline_next(rppg_timeline_t *timeline, float *fraction) {
  const double sample_s =
      (double)timeline->num_samples / (double)RPPG_GRID_RATE_HZ;
  const double newer_s = timeline->elapsed_s[timeline->newest];
  const double older_s = timeline->elapsed_s[older_index(timeline)];
  const double span_s = newer_s - older_s;
  if (sample_s > newer_s) {
    return 0;
  }
  *fraction = (span_s > 0.0) ? (float)((sample_s - older_s) / span_s) : 1.0f;
  ++timeline->num_samples;
  return 1;
}

const rppg_features_t *rppg_timeline_older(const rppg_timeline_t *timeline) {
  return &timeline->frames[older_index(timeline)];
}

const rppg_features_t *rppg_timeline_newer(const rppg_timeline_t *timeline) {
  return &timeline->frames[timeline->newest];
}
