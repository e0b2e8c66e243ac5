/* Hits of the cascade → faces.
 *
 * What cv2.groupRectangles does, with eps 0.2, of squares; and the clipping to
 * the image that follows.
 */
#ifndef RPPG_BOX_GROUPS_H
#define RPPG_BOX_GROUPS_H

#include "rppg_detector.h"

/* Forgets groups, not hits. */
void rppg_groups_begin(rppg_groups_t *groups, rppg_hits_t *hits);

/* Holds the next hit against those before it; returns 0 after the last. */
int32_t rppg_groups_join(rppg_hits_t *hits);

/* Takes the means of the groups of more than `min_neighbours` hits. */
void rppg_groups_average(rppg_groups_t *groups, const rppg_hits_t *hits,
                         int32_t min_neighbours);

/* Holds the next group against the others: counts it, and keeps it if it is
 * the largest, unless it lies inside a stronger one. Returns 0 after the last.
 * width, height: of the image that it is clipped to. */
int32_t rppg_groups_choose(rppg_groups_t *groups, int32_t width,
                           int32_t height);

#endif /* RPPG_BOX_GROUPS_H */
