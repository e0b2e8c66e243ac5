#include <math.h>
#include <string.h>

#include "box_groups.h"
#include "cascade.h"
#include "checks.h"
#include "face_box.h"
#include "face_cascade.h"
#include "grey.h"
#include "pyramid.h"
#include "rppg_detector.h"

enum { WINDOW = FACE_CASCADE_WINDOW_PX };

/* What a step does next. */
enum {
  IDLE,
  MAKE_GREY,
  BEGIN_LEVEL,
  MAKE_ROWS,
  TAKE_ROW,
  TAKE_STAGE,
  JOIN,
  CHOOSE
};

/* What the hits are for. */
enum {
  NEAR,  /* the face in view, where it was */
  LARGE, /* the largest, if not much smaller than the one in view */
  ALL,   /* the largest */
  COUNT  /* their number; the largest is known */
};

/* Of a step, in pixels of the image and of a level, windows * stumps, pairs of
 * hits and groups. */
enum {
  STEP_PIXELS = 4096,
  STEP_LEVEL_PIXELS = 2048,
  STEP_STUMPS = 4096,
  STEP_PAIRS = 512,
  STEP_GROUPS = 8
};

typedef char offsets_fit_16_bits
    [(RPPG_DETECTOR_BAND_ROWS * (RPPG_DETECTION_WIDTH_PX + 1u) <= 65536u) ? 1
                                                                          : -1];
typedef char
    windows_of_a_row_fit[(RPPG_DETECTION_WIDTH_PX / 2 < RPPG_MAX_WINDOWS) ? 1
                                                                          : -1];

/* --- Memory ----------------------------------------------------------------
 */

static uint32_t band_words(const rppg_image_t *image) {
  return RPPG_DETECTOR_BAND_WORDS(RPPG_DETECTOR_WIDTH_PX(image->width_px));
}

/* Behind the band. */
static uint8_t *grey_pixels(rppg_detector_t *detector) {
  return (uint8_t *)&detector->memory[band_words(&detector->image)];
}

static rppg_band_t band_of(const rppg_detector_t *detector) {
  const rppg_level_t *level = &detector->level;
  const rppg_band_t band = {detector->memory,
                            &detector->memory[level->band_rows * level->stride],
                            level->stride};
  return band;
}

/* --- Where to look ---------------------------------------------------------
 */

static int32_t min_i32(int32_t one, int32_t other) {
  return (one < other) ? one : other;
}

static int32_t max_i32(int32_t one, int32_t other) {
  return (one > other) ? one : other;
}

static rppg_bounds_t surroundings(const rppg_box_t *box,
                                  const rppg_image_t *image) {
  const int32_t margin = box->width / RPPG_NEAR_DIVISOR;
  const rppg_bounds_t bounds = {
      max_i32(0, box->x - margin),
      min_i32((int32_t)image->width_px, box->x + box->width + margin),
      max_i32(0, box->y - margin),
      min_i32((int32_t)image->height_px, box->y + box->height + margin)};
  return bounds;
}

/* Whether the middle of a box is. */
static int32_t is_within(const rppg_box_t *box, const rppg_bounds_t *bounds) {
  const int32_t x = box->x + box->width / 2;
  const int32_t y = box->y + box->height / 2;
  return (x >= bounds->x0) && (x < bounds->x1) && (y >= bounds->y0) &&
         (y < bounds->y1);
}

static void make_grey(rppg_detector_t *detector, const rppg_bounds_t *part) {
  rppg_grey_begin(&detector->grey, part, detector->reduction,
                  &detector->work.reduction);
  detector->phase = MAKE_GREY;
}

static void look_near(rppg_detector_t *detector) {
  detector->aim = NEAR;
  make_grey(detector, &detector->near_px);
}

static void look_everywhere(rppg_detector_t *detector) {
  const rppg_bounds_t whole = {0, (int32_t)detector->image.width_px, 0,
                               (int32_t)detector->image.height_px};
  detector->aim = ALL;
  make_grey(detector, &whole);
}

/* Least size beside a face in view, in grey pixels; 0 without one. */
static int32_t tracked_px(const rppg_detector_t *detector) {
  const double width = detector->has_tracked ? detector->tracked.width : 0.0;
  return (int32_t)(RPPG_MIN_TRACKED_SHARE * width / detector->reduction);
}

static int32_t least_px(const rppg_detector_t *detector) {
  const rppg_grey_t *grey = &detector->grey;
  const int32_t side = min_i32(grey->width, grey->height);
  return (int32_t)(RPPG_MIN_FACE_SHARE * (double)side);
}

/* Searches the grey pixels for the first time. */
static void search(rppg_detector_t *detector) {
  double step = RPPG_CASCADE_SCALE_STEP;
  int32_t min_px = tracked_px(detector);
  if (detector->aim == NEAR) {
    step = RPPG_NEAR_SCALE_STEP;
  } else if (min_px > least_px(detector)) {
    detector->aim = LARGE;
  } else {
    min_px = least_px(detector);
  }
  rppg_scan_begin(&detector->scan, &detector->grey, step, min_px);
  detector->hits.num = 0;
  detector->phase = BEGIN_LEVEL;
}

/* Searches for smaller faces too. */
static void search_on(rppg_detector_t *detector, uint8_t aim) {
  const rppg_scan_t done = detector->scan;
  detector->aim = aim;
  rppg_scan_begin(&detector->scan, &detector->grey, done.step,
                  least_px(detector));
  if (!rppg_scan_leave_out(&detector->scan, &done)) {
    detector->hits.num = 0;
  }
  detector->phase = BEGIN_LEVEL;
}

/* --- Answers ---------------------------------------------------------------
 */

static int32_t in_image(const rppg_detector_t *detector, int32_t grey_px) {
  return (int32_t)rint((double)grey_px * detector->reduction);
}

static void answer(rppg_detector_t *detector) {
  if (detector->aim != NEAR) {
    const int32_t is_other =
        detector->has_near && !is_within(&detector->found, &detector->near_px);
    detector->near_looks_left =
        (is_other || !detector->is_found) ? 0 : RPPG_MAX_NEAR_LOOKS;
  }
  detector->has_answer = 1u;
  detector->phase = IDLE;
}

/* Takes the largest face, where there is one. */
static void note_found(rppg_detector_t *detector) {
  const rppg_box_t *box = &detector->work.groups.largest;
  const rppg_bounds_t *part = &detector->grey.part;
  detector->is_found = (detector->work.groups.num_faces > 0);
  detector->found.x = in_image(detector, box->x) + part->x0;
  detector->found.y = in_image(detector, box->y) + part->y0;
  detector->found.width = in_image(detector, box->width);
  detector->found.height = in_image(detector, box->height);
}

/* With all faces of a search known. */
static void finish_search(rppg_detector_t *detector) {
  const uint32_t num_faces = (uint32_t)detector->work.groups.num_faces;
  if (detector->aim == COUNT) {
    detector->num_faces = (num_faces > 1u) ? num_faces : 1u;
    answer(detector);
    return;
  }
  note_found(detector);
  if (detector->aim == NEAR) {
    if (detector->is_found) {
      answer(detector);
    } else {
      look_everywhere(detector);
    }
    return;
  }
  detector->num_faces = num_faces;
  if ((detector->aim == LARGE) && (num_faces == 0u)) {
    search_on(detector, ALL);
    return;
  }
  if ((detector->aim == LARGE) && (num_faces == 1u)) {
    --detector->looks_left_to_count;
    if (detector->looks_left_to_count == 0) {
      detector->looks_left_to_count = RPPG_LOOKS_PER_COUNT;
      search_on(detector, COUNT);
      return;
    }
  }
  answer(detector);
}

/* --- Windows ---------------------------------------------------------------
 */

static void begin_level(rppg_detector_t *detector) {
  if (rppg_level_begin(&detector->level, &detector->scan, &detector->grey,
                       (int32_t)band_words(&detector->image))) {
    detector->work.windows.num = 0;
    detector->phase = MAKE_ROWS;
  } else {
    rppg_groups_begin(&detector->work.groups, &detector->hits);
    detector->phase = JOIN;
  }
}

static void make_rows(rppg_detector_t *detector) {
  rppg_level_t *level = &detector->level;
  int32_t is_more = 1;
  for (int32_t left = STEP_LEVEL_PIXELS; (left > 0) && is_more;
       left -= level->width) {
    is_more = rppg_level_make_row(level, &detector->grey, grey_pixels(detector),
                                  detector->memory);
  }
  if (!is_more) {
    detector->phase = TAKE_ROW;
  }
}

static void keep_window(rppg_windows_t *windows, int32_t window, int32_t at) {
  windows->offsets[at] = windows->offsets[window];
  windows->norms[at] = windows->norms[window];
}

/* Leaves of the windows from `first` on, of one row, those that pass the first
 * stage. Where it fails the next window is not looked at. */
static void pass_first_stage(rppg_windows_t *windows, const rppg_band_t *band,
                             int32_t step, int32_t first) {
  const int32_t num = windows->num;
  int32_t left_out = -1;
  int32_t num_passed = first;
  rppg_cascade_sum(band, 0, first, num, windows);
  for (int32_t window = first; window < num; ++window) {
    const int32_t offset = (int32_t)windows->offsets[window];
    if (offset == left_out) {
      continue;
    }
    if (rppg_cascade_passes(band, 0, windows, window)) {
      keep_window(windows, window, num_passed);
      ++num_passed;
    } else {
      left_out = offset + step;
    }
  }
  windows->num = num_passed;
}

/* Takes a row of windows through the first stage. */
static void take_row(rppg_detector_t *detector) {
  rppg_level_t *level = &detector->level;
  rppg_windows_t *windows = &detector->work.windows;
  const rppg_band_t band = band_of(detector);
  const int32_t first = windows->num;
  const int32_t row = (level->next_y - level->first_row) * level->stride;
  for (int32_t x = 0; x < level->columns; x += level->step) {
    rppg_windows_append(windows, &band, row + x);
  }
  pass_first_stage(windows, &band, level->step, first);
  level->next_y += level->step;
  const int32_t most = (level->columns + level->step - 1) / level->step;
  if (!rppg_level_has_windows(level) ||
      (windows->num + most > RPPG_MAX_WINDOWS)) {
    detector->stage = 1;
    detector->next_window = 0;
    detector->num_passed = 0;
    detector->phase = TAKE_STAGE;
  }
}

static void note_hits(rppg_detector_t *detector) {
  const rppg_level_t *level = &detector->level;
  const rppg_windows_t *windows = &detector->work.windows;
  rppg_hits_t *hits = &detector->hits;
  for (int32_t window = 0;
       (window < windows->num) && (hits->num < RPPG_MAX_HITS); ++window) {
    const int32_t offset = (int32_t)windows->offsets[window];
    const int32_t x = offset % level->stride;
    const int32_t y = offset / level->stride + level->first_row;
    const rppg_hit_t hit = {(int16_t)rintf((float)x * level->scale),
                            (int16_t)rintf((float)y * level->scale),
                            (int16_t)rintf((float)WINDOW * level->scale), 0u};
    hits->hits[hits->num] = hit;
    ++hits->num;
  }
}

/* With all windows of the lot taken through all stages. */
static void finish_lot(rppg_detector_t *detector) {
  note_hits(detector);
  detector->work.windows.num = 0;
  if (rppg_level_has_windows(&detector->level)) {
    detector->phase = TAKE_ROW;
  } else if (rppg_level_move_on(&detector->level, detector->memory)) {
    detector->phase = MAKE_ROWS;
  } else {
    detector->phase = BEGIN_LEVEL;
  }
}

/* Takes some windows through a stage. */
static void take_stage(rppg_detector_t *detector) {
  rppg_windows_t *windows = &detector->work.windows;
  if ((windows->num == 0) || (detector->stage == FACE_CASCADE_NUM_STAGES)) {
    finish_lot(detector);
    return;
  }
  const rppg_band_t band = band_of(detector);
  const int32_t num_stumps = rppg_cascade_num_stumps(detector->stage);
  const int32_t at_once = STEP_STUMPS / num_stumps / 4 * 4;
  const int32_t end = min_i32(windows->num, detector->next_window + at_once);
  rppg_cascade_sum(&band, detector->stage, detector->next_window, end, windows);
  for (; detector->next_window < end; ++detector->next_window) {
    if (rppg_cascade_passes(&band, detector->stage, windows,
                            detector->next_window)) {
      keep_window(windows, detector->next_window, detector->num_passed);
      ++detector->num_passed;
    }
  }
  if (end == windows->num) {
    windows->num = detector->num_passed;
    detector->next_window = 0;
    detector->num_passed = 0;
    ++detector->stage;
  }
}

typedef char a_vector_of_windows_is_a_step
    [(FACE_CASCADE_MAX_STUMPS * 4 <= STEP_STUMPS) ? 1 : -1];

/* --- Faces -----------------------------------------------------------------
 */

static void join(rppg_detector_t *detector) {
  rppg_hits_t *hits = &detector->hits;
  int32_t is_more = 1;
  for (int32_t left = STEP_PAIRS; (left > 0) && is_more; left -= hits->next) {
    is_more = rppg_groups_join(hits);
  }
  if (!is_more) {
    rppg_groups_average(&detector->work.groups, hits,
                        (detector->aim == NEAR) ? RPPG_NEAR_MIN_NEIGHBOURS
                                                : RPPG_CASCADE_MIN_NEIGHBOURS);
    detector->phase = CHOOSE;
  }
}

static void choose(rppg_detector_t *detector) {
  int32_t is_more = 1;
  for (int32_t left = STEP_GROUPS; (left > 0) && is_more; --left) {
    is_more = rppg_groups_choose(&detector->work.groups, detector->grey.width,
                                 detector->grey.height);
  }
  if (!is_more) {
    finish_search(detector);
  }
}

/* --- Public ----------------------------------------------------------------
 */

static int32_t is_time(int64_t time_us) {
  return (time_us >= 0) && (time_us <= RPPG_MAX_TIME_US);
}

rppg_status_t rppg_detector_init(rppg_detector_t *detector, uint32_t *memory,
                                 uint32_t num_words) {
  if ((detector == NULL) || (memory == NULL)) {
    return RPPG_BAD_ARGUMENT;
  }
  memset(detector, 0, sizeof *detector);
  detector->memory = memory;
  detector->num_words = num_words;
  detector->looks_left_to_count = 1;
  return RPPG_OK;
}

rppg_status_t rppg_detector_begin(rppg_detector_t *detector,
                                  const rppg_state_t *state,
                                  const rppg_image_t *image, int64_t time_us) {
  if ((detector == NULL) || (detector->memory == NULL) || (state == NULL) ||
      !rppg_is_image_usable(image) || !is_time(time_us) ||
      (RPPG_DETECTOR_WORDS(image->width_px, image->height_px) >
       detector->num_words)) {
    return RPPG_BAD_ARGUMENT;
  }
  const rppg_box_t *box = rppg_face_box_at(&state->face_box, time_us);
  detector->image = *image;
  detector->time_us = time_us;
  detector->has_answer = 0u;
  detector->is_found = 0u;
  detector->reduction =
      fmax(1.0, (double)image->width_px / (double)RPPG_DETECTION_WIDTH_PX);
  detector->has_tracked = (box != NULL);
  detector->has_near = 0u;
  if (box != NULL) {
    detector->tracked = *box;
    detector->near_px = surroundings(box, image);
    detector->has_near = (detector->near_px.x0 < detector->near_px.x1) &&
                         (detector->near_px.y0 < detector->near_px.y1);
  }
  if (detector->has_near && (detector->near_looks_left > 0)) {
    --detector->near_looks_left;
    look_near(detector);
  } else {
    look_everywhere(detector);
  }
  return RPPG_OK;
}

rppg_status_t rppg_detector_step(rppg_detector_t *detector) {
  if (detector == NULL) {
    return RPPG_BAD_ARGUMENT;
  }
  switch (detector->phase) {
    case MAKE_GREY:
      if (rppg_grey_go_on(&detector->grey, &detector->image, STEP_PIXELS,
                          &detector->work.reduction, grey_pixels(detector))) {
        search(detector);
      }
      break;
    case BEGIN_LEVEL:
      begin_level(detector);
      break;
    case MAKE_ROWS:
      make_rows(detector);
      break;
    case TAKE_ROW:
      take_row(detector);
      break;
    case TAKE_STAGE:
      take_stage(detector);
      break;
    case JOIN:
      join(detector);
      break;
    case CHOOSE:
      choose(detector);
      break;
    default:
      break;
  }
  return (detector->phase == IDLE) ? RPPG_OK : RPPG_LOOKING;
}

int32_t rppg_detector_is_busy(const rppg_detector_t *detector) {
  return (detector != NULL) && (detector->phase != IDLE);
}

int32_t rppg_detector_reads_image(const rppg_detector_t *detector) {
  return (detector != NULL) && (detector->phase != IDLE) &&
         ((detector->phase == MAKE_GREY) || (detector->aim == NEAR));
}

rppg_status_t rppg_detector_take_face(rppg_detector_t *detector,
                                      int64_t time_us, rppg_face_t *face) {
  if ((detector == NULL) || (face == NULL) || !is_time(time_us)) {
    return RPPG_BAD_ARGUMENT;
  }
  memset(face, 0, sizeof *face);
  if (detector->has_answer) {
    const int64_t age_us = time_us - detector->time_us;
    detector->has_answer = 0u;
    face->detection =
        detector->is_found ? RPPG_FACE_FOUND : RPPG_FACE_NOT_FOUND;
    face->x_px = detector->found.x;
    face->y_px = detector->found.y;
    face->width_px = detector->found.width;
    face->height_px = detector->found.height;
    if (age_us > 0) {
      face->age_us =
          (age_us < (int64_t)UINT32_MAX) ? (uint32_t)age_us : UINT32_MAX;
    }
  }
  return RPPG_OK;
}

uint32_t rppg_detector_num_faces(const rppg_detector_t *detector) {
  return (detector == NULL) ? 0u : detector->num_faces;
}
