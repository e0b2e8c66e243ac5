#include "face_box.h"

#include <string.h>

void rppg_face_box_init(rppg_face_box_t *state) {
  memset(state, 0, sizeof *state);
  state->has_missed = 1u;
}

/* The lower median: of an even number no two values are averaged. */
static int32_t median_low(const int32_t *values, int32_t num_values) {
  int32_t sorted[RPPG_NUM_RECENT_DETECTIONS] = {0};
  for (int32_t index = 0; index < num_values; ++index) {
    int32_t place = index;
    while ((place > 0) && (sorted[place - 1] > values[index])) {
      sorted[place] = sorted[place - 1];
      --place;
    }
    sorted[place] = values[index];
  }
  return sorted[(num_values - 1) / 2];
}

static rppg_box_t median_box(const rppg_face_box_t *state) {
  int32_t sides[4][RPPG_NUM_RECENT_DETECTIONS] = {0};
  for (int32_t index = 0; index < state->num_recent; ++index) {
    sides[0][index] = state->recent[index].x;
    sides[1][index] = state->recent[index].y;
    sides[2][index] = state->recent[index].width;
    sides[3][index] = state->recent[index].height;
  }
  const rppg_box_t box = {median_low(sides[0], state->num_recent),
                          median_low(sides[1], state->num_recent),
                          median_low(sides[2], state->num_recent),
                          median_low(sides[3], state->num_recent)};
  return box;
}

/* All below 2^31, as corners and sides are RPPG_MAX_BOX_PX at most. */
static int32_t distance(int32_t one, int32_t other) {
  return (one > other) ? one - other : other - one;
}

/* Whether a side's place or length is more than jitter away. Twice the shift
 * of the centre is an integer. */
static int32_t has_side_moved(int32_t start, int32_t side, int32_t other_start,
                              int32_t other_side) {
  const int32_t centre = 2 * start + side;
  const int32_t other_centre = 2 * other_start + other_side;
  return (distance(other_centre, centre) * RPPG_MOVE_DIVISOR > 2 * side) ||
         (distance(other_side, side) * RPPG_RESIZE_DIVISOR > side);
}

static int32_t has_moved(const rppg_box_t *box, const rppg_box_t *other) {
  return has_side_moved(box->x, box->width, other->x, other->width) ||
         has_side_moved(box->y, box->height, other->y, other->height);
}

void rppg_face_box_update(rppg_face_box_t *state, const rppg_box_t *detection,
                          int64_t time_us) {
  state->last_try_us = time_us;
  state->has_missed = (detection == NULL);
  if (detection == NULL) {
    return;
  }
  if (time_us - state->last_seen_us > RPPG_MAX_FACE_HOLD_US) {
    state->num_recent = 0; /* too old to be of use */
    state->next_recent = 0;
  }
  state->last_seen_us = time_us;
  state->recent[state->next_recent] = *detection;
  state->next_recent = (state->next_recent + 1) % RPPG_NUM_RECENT_DETECTIONS;
  if (state->num_recent < RPPG_NUM_RECENT_DETECTIONS) {
    ++state->num_recent;
  }
  const rppg_box_t median = median_box(state);
  if (!state->has_box || has_moved(&state->box, &median)) {
    state->box = median;
    state->has_box = 1u;
  }
  state->is_settled = (state->num_recent == RPPG_NUM_RECENT_DETECTIONS) &&
                      !has_moved(&state->box, detection);
}

const rppg_box_t *rppg_face_box_at(const rppg_face_box_t *state,
                                   int64_t time_us) {
  if (!state->has_box ||
      (time_us - state->last_seen_us > RPPG_MAX_FACE_HOLD_US)) {
    return NULL;
  }
  return &state->box;
}

int32_t rppg_face_box_is_due(const rppg_face_box_t *state, int64_t time_us) {
  const int64_t interval_us = state->is_settled ? RPPG_DETECTION_INTERVAL_US
                                                : RPPG_UNSETTLED_INTERVAL_US;
  return state->has_missed || (time_us - state->last_try_us >= interval_us);
}
