/* Features at the times of frames → columns of the uniform 30 Hz grid.
 *
 * The same positions as rppg_tf/signals/resampling.py: sample k lies at k / 30
 * s after the first frame, between the last frame before it and the first one
 * at or after it.
 *
 *   rppg_timeline_push(&timeline, &features, elapsed_s);
 *   while (rppg_timeline_next(&timeline, &fraction)) {
 *     ... older + fraction * (newer - older) is the next column
 *   }
 */
#ifndef RPPG_FEATURE_TIMELINE_H
#define RPPG_FEATURE_TIMELINE_H

#include "rppg.h"

void rppg_timeline_init(rppg_timeline_t *timeline);

/* Takes the next frame. elapsed_s: since the first frame pushed, which has
 * 0; it does not decrease. All samples of the last frame must have been
 * taken. */
void rppg_timeline_push(rppg_timeline_t *timeline,
                        const rppg_features_t *features, double elapsed_s);

/* Whether there is another sample up to the newest frame; its fraction in
 * (0, 1] is the newest frame's weight. Called until it returns 0. */
int32_t rppg_timeline_next(rppg_timeline_t *timeline, float *fraction);

const rppg_features_t *rppg_timeline_older(const rppg_timeline_t *timeline);
const rppg_features_t *rppg_timeline_newer(const rppg_timeline_t *timeline);

#endif /* RPPG_FEATURE_TIMELINE_H */
