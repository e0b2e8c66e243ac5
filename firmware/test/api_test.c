/* Every status of rppg.h, and images that must mean the same. Exit status 0,
 * or 1 and the line that failed.
 */
#include <stdio.h>
#include <string.h>

#include "background.h"
#include "beat_ring.h"
#include "face_box.h"
#include "fake_cnn.h"
#include "rppg.h"
#include "rppg_detector.h"

enum { WIDTH = 96, HEIGHT = 80, FRAME_US = 33333 };

static rppg_state_t state;
static rppg_state_t before;
static uint8_t pixels[HEIGHT * WIDTH * 3];
static uint8_t other_pixels[HEIGHT * (WIDTH * 3 + 5)];
static rppg_image_t image;
static const rppg_face_t face = {RPPG_FACE_FOUND, 10, 5, 70, 70, 0u};
static const rppg_face_t no_news = {RPPG_FACE_NOT_LOOKED_FOR, 0, 0, 0, 0, 0u};
static const rppg_face_t not_found = {RPPG_FACE_NOT_FOUND, 0, 0, 0, 0, 0u};

#define CHECK(condition)                                   \
  do {                                                     \
    if (!(condition)) {                                    \
      printf("api_test.c:%d: %s\n", __LINE__, #condition); \
      return 1;                                            \
    }                                                      \
  } while (0)

/* What was not used is negative; what was used is not. */
typedef char statuses_have_their_signs
    [((RPPG_BAD_ARGUMENT < 0) && (RPPG_TIME_BACKWARDS < 0) &&
      (RPPG_CNN_ERROR < 0) && (RPPG_OK == 0) && (RPPG_NOT_READY > 0) &&
      (RPPG_NO_FACE > 0) && (RPPG_DROPPED > 0) && (RPPG_GAP > 0) &&
      (RPPG_RESTARTED > 0))
         ? 1
         : -1];

static void begin(void) {
  uint32_t noise = 1u;
  for (uint32_t index = 0; index < sizeof pixels; ++index) {
    noise = noise * 1664525u + 1013904223u;
    pixels[index] = (uint8_t)(noise >> 24);
  }
  image.pixels = pixels;
  image.width_px = WIDTH;
  image.height_px = HEIGHT;
  image.stride_bytes = WIDTH * 3;
  image.format = RPPG_RGB888;
  cnn_runs = 0;
  cnn_fails_at = -1;
  (void)rppg_init(&state);
}

static rppg_status_t push(const rppg_face_t *detection, int64_t time_us) {
  return rppg_push_frame(&state, &image, detection, time_us);
}

/* Whether a push is refused and changes nothing. */
static int32_t is_refused(const rppg_image_t *view, const rppg_face_t *answer,
                          int64_t time_us) {
  before = state;
  return (rppg_push_frame(&state, view, answer, time_us) ==
          RPPG_BAD_ARGUMENT) &&
         (memcmp(&before, &state, sizeof state) == 0);
}

static int bad_arguments(void) {
  rppg_estimate_t estimate;
  rppg_beat_t beat;
  rppg_box_t box;
  begin();
  CHECK(push(&face, 1000) == RPPG_OK);
  CHECK(rppg_init(NULL) == RPPG_BAD_ARGUMENT);
  CHECK(rppg_push_frame(NULL, &image, &face, 0) == RPPG_BAD_ARGUMENT);
  CHECK(rppg_estimate(NULL, &estimate) == RPPG_BAD_ARGUMENT);
  CHECK(rppg_estimate(&state, NULL) == RPPG_BAD_ARGUMENT);
  CHECK(rppg_beats(NULL, &beat, 1u) == 0u);
  CHECK(rppg_beats(&state, NULL, 1u) == 0u);
  CHECK(rppg_face_box(NULL, &box) == RPPG_BAD_ARGUMENT);
  CHECK(rppg_mid_face(&state, NULL) == RPPG_BAD_ARGUMENT);
  CHECK(rppg_is_detection_due(NULL, 0) == 1);
  CHECK(is_refused(NULL, &face, 2000));
  CHECK(is_refused(&image, NULL, 2000));
  CHECK(is_refused(&image, &face, -1));
  CHECK(is_refused(&image, &face, RPPG_MAX_TIME_US + 1));
  rppg_image_t view = image;
  view.pixels = NULL;
  CHECK(is_refused(&view, &face, 2000));
  view = image;
  view.width_px = 0u;
  CHECK(is_refused(&view, &face, 2000));
  view.width_px = RPPG_MAX_SIDE_PX + 1u;
  CHECK(is_refused(&view, &face, 2000));
  view = image;
  view.height_px = 0u;
  CHECK(is_refused(&view, &face, 2000));
  view = image;
  view.stride_bytes = WIDTH * 3 - 1;
  CHECK(is_refused(&view, &face, 2000));
  view = image;
  view.format = (rppg_pixel_format_t)3;
  CHECK(is_refused(&view, &face, 2000));
  rppg_face_t answer = face;
  answer.width_px = 0;
  CHECK(is_refused(&image, &answer, 2000));
  answer = face;
  answer.x_px = RPPG_MAX_BOX_PX + 1;
  CHECK(is_refused(&image, &answer, 2000));
  answer = face;
  answer.detection = (rppg_detection_t)3;
  CHECK(is_refused(&image, &answer, 2000));
  CHECK(push(&face, 2000) == RPPG_OK);
  return 0;
}

static int time_and_gaps(void) {
  begin();
  CHECK(push(&face, 5000000) == RPPG_OK);
  CHECK(push(&face, 5000000) == RPPG_OK); /* the same stamp twice */
  before = state;
  CHECK(push(&face, 4999999) == RPPG_TIME_BACKWARDS);
  CHECK(memcmp(&before, &state, sizeof state) == 0);
  CHECK(push(&face, 5100000) == RPPG_OK);
  CHECK(push(&face, 5200001) == RPPG_DROPPED);
  CHECK(push(&face, 6200001) == RPPG_DROPPED);
  CHECK(push(&face, 7200002) == RPPG_GAP);
  CHECK(push(&face, 17200002) == RPPG_GAP);
  CHECK(state.timeline.num_samples == 367u); /* 12.2 s and sample 0 */
  CHECK(push(&face, 27200003) == RPPG_RESTARTED);
  CHECK(state.timeline.num_samples == 1u);
  CHECK(push(&face, RPPG_MAX_TIME_US) == RPPG_RESTARTED);
  return 0;
}

static int missing_face(void) {
  rppg_estimate_t estimate;
  rppg_box_t box;
  float rgb[RPPG_NUM_CHANNELS];
  int64_t time_us = 0;
  begin();
  CHECK(rppg_is_detection_due(&state, 0) == 1);
  CHECK(push(&no_news, 0) == RPPG_NO_FACE);
  CHECK(rppg_face_box(&state, &box) == RPPG_NO_FACE);
  CHECK(rppg_mid_face(&state, rgb) == RPPG_OK);
  CHECK((rgb[0] == 0.0f) && (rgb[1] == 0.0f) && (rgb[2] == 0.0f));
  for (uint32_t index = 0; index < RPPG_CNN_INPUT_BYTES; ++index) {
    CHECK(cnn_inputs[2][index] == 0);
  }
  for (int32_t frame = 0; frame < 300; ++frame) { /* 10 s */
    time_us += FRAME_US;
    CHECK(push(&face, time_us) == RPPG_OK);
    CHECK(rppg_estimate(&state, &estimate) ==
          ((estimate.num_samples < 300u) ? RPPG_NOT_READY : RPPG_NO_FACE));
    CHECK((estimate.num_samples >= 300u) || (estimate.heart_rate_bpm == 0.0f));
  }
  CHECK(rppg_face_box(&state, &box) == RPPG_OK);
  CHECK((box.x == 10) && (box.y == 5) && (box.width == 70));
  time_us += 2 * FRAME_US;
  CHECK(push(&face, time_us) == RPPG_OK);
  CHECK(rppg_estimate(&state, &estimate) == RPPG_OK);
  CHECK((estimate.heart_rate_bpm >= (float)RPPG_MIN_RATE_BPM) &&
        (estimate.heart_rate_bpm <= (float)RPPG_MAX_RATE_BPM));
  /* The box is held for one second. */
  const int64_t seen_us = time_us;
  while (time_us + FRAME_US <= seen_us + RPPG_MAX_FACE_HOLD_US) {
    time_us += FRAME_US;
    CHECK(push(&not_found, time_us) == RPPG_OK);
  }
  CHECK(push(&not_found, time_us + FRAME_US) == RPPG_NO_FACE);
  CHECK(rppg_estimate(&state, &estimate) == RPPG_NO_FACE);
  return 0;
}

static int gap_withholds(void) {
  rppg_estimate_t estimate;
  int64_t time_us = 0;
  begin();
  for (int32_t frame = 0; frame < 320; ++frame) {
    time_us += FRAME_US;
    CHECK(push(&face, time_us) == RPPG_OK);
  }
  CHECK(rppg_estimate(&state, &estimate) == RPPG_OK);
  time_us += 1500000;
  CHECK(push(&face, time_us) == RPPG_GAP);
  CHECK(rppg_estimate(&state, &estimate) == RPPG_GAP);
  const int64_t end_us = time_us;
  while (time_us < end_us + 9900000) {
    time_us += FRAME_US;
    CHECK(push(&face, time_us) == RPPG_OK);
    CHECK(rppg_estimate(&state, &estimate) == RPPG_GAP);
  }
  time_us += 2 * 100000;
  CHECK(push(&face, time_us) == RPPG_DROPPED);
  CHECK(rppg_estimate(&state, &estimate) == RPPG_OK);
  return 0;
}

static int cnn_error(void) {
  begin();
  CHECK(push(&face, 0) == RPPG_OK);
  cnn_runs = 0;
  cnn_fails_at = 1;
  CHECK(push(&face, FRAME_US) == RPPG_CNN_ERROR);
  CHECK(cnn_runs == RPPG_NUM_ROIS);
  CHECK(state.timeline.num_samples == 1u);
  CHECK(push(&face, FRAME_US - 1) == RPPG_TIME_BACKWARDS);
  CHECK(push(&face, 2 * FRAME_US) == RPPG_OK);
  CHECK(state.timeline.num_samples == 2u);
  /* Failing for an hour: begun anew, not caught up with. */
  cnn_runs = 0;
  cnn_fails_at = 0;
  CHECK(push(&face, INT64_C(3600000000)) == RPPG_CNN_ERROR);
  CHECK(push(&face, INT64_C(3600000001)) == RPPG_OK);
  CHECK(state.timeline.num_samples == 1u);
  /* From the first frame on. */
  begin();
  cnn_fails_at = 0;
  CHECK(push(&face, 0) == RPPG_CNN_ERROR);
  CHECK(push(&face, INT64_C(3600000000)) == RPPG_OK);
  CHECK(state.timeline.num_samples == 1u);
  return 0;
}

/* The detector's answer may be older than the frame. */
static int old_answers(void) {
  rppg_face_t late = face;
  begin();
  late.age_us = 200000u;
  CHECK(push(&late, 1000000) == RPPG_OK);
  CHECK(state.face_box.last_seen_us == 800000);
  CHECK(push(&no_news, 1800000) == RPPG_DROPPED);
  CHECK(push(&no_news, 1800001) == RPPG_NO_FACE);
  late.age_us = UINT32_MAX; /* older than time itself */
  CHECK(push(&late, 1900000) == RPPG_NO_FACE);
  CHECK(state.face_box.last_seen_us == 800000);
  return 0;
}

static int32_t pushes_alike(rppg_pixel_format_t format, uint32_t stride) {
  static int8_t expected[RPPG_NUM_ROIS][RPPG_CNN_INPUT_BYTES];
  float rgb[RPPG_NUM_CHANNELS];
  float other_rgb[RPPG_NUM_CHANNELS];
  cnn_runs = 0;
  (void)rppg_init(&state);
  /* Two frames of different brightness, so that the codes are not zero. */
  const rppg_image_t first = image;
  rppg_image_t dark = image;
  dark.pixels = pixels + WIDTH * 3;
  dark.height_px = HEIGHT - 1;
  (void)rppg_push_frame(&state, &dark, &face, 0);
  (void)rppg_push_frame(&state, &first, &face, FRAME_US);
  (void)rppg_mid_face(&state, rgb);
  memcpy(expected, cnn_inputs, sizeof expected);
  cnn_runs = 0;
  (void)rppg_init(&state);
  const rppg_image_t second = {other_pixels, WIDTH, HEIGHT, stride, format};
  (void)rppg_push_frame(&state, &dark, &face, 0);
  (void)rppg_push_frame(&state, &second, &face, FRAME_US);
  (void)rppg_mid_face(&state, other_rgb);
  return (memcmp(expected, cnn_inputs, sizeof expected) == 0) &&
         (memcmp(rgb, other_rgb, sizeof rgb) == 0);
}

static int formats(void) {
  begin();
  const uint32_t stride = WIDTH * 3 + 5;
  for (uint32_t at = 0; at < HEIGHT * WIDTH; ++at) {
    uint8_t *other = &other_pixels[at / WIDTH * stride + at % WIDTH * 3];
    other[0] = pixels[3 * at + 2];
    other[1] = pixels[3 * at + 1];
    other[2] = pixels[3 * at];
  }
  CHECK(pushes_alike(RPPG_BGR888, stride));
  /* What 565 can hold. */
  for (uint32_t at = 0; at < HEIGHT * WIDTH; ++at) {
    const uint32_t red = pixels[3 * at] >> 3;
    const uint32_t green = pixels[3 * at + 1] >> 2;
    const uint32_t blue = pixels[3 * at + 2] >> 3;
    const uint32_t packed = (red << 11) | (green << 5) | blue;
    pixels[3 * at] = (uint8_t)((red << 3) | (red >> 2));
    pixels[3 * at + 1] = (uint8_t)((green << 2) | (green >> 4));
    pixels[3 * at + 2] = (uint8_t)((blue << 3) | (blue >> 2));
    other_pixels[at / WIDTH * (WIDTH * 2 + 1) + at % WIDTH * 2] =
        (uint8_t)(packed & 0xFFu);
    other_pixels[at / WIDTH * (WIDTH * 2 + 1) + at % WIDTH * 2 + 1] =
        (uint8_t)(packed >> 8);
  }
  CHECK(pushes_alike(RPPG_RGB565, WIDTH * 2 + 1));
  return 0;
}

/* Nothing of a face beyond the image: regions are zero, nothing crashes. */
static int boxes_outside(void) {
  static const int32_t places[] = {-RPPG_MAX_BOX_PX, -71, -30, 0, 60, 96,
                                   RPPG_MAX_BOX_PX};
  static const int32_t sides[] = {1, 3, 70, 5000, RPPG_MAX_BOX_PX};
  int64_t time_us = 0;
  begin();
  for (uint32_t place = 0; place < 49u; ++place) {
    for (uint32_t side = 0; side < 5u; ++side) {
      const rppg_face_t odd = {RPPG_FACE_FOUND,    places[place % 7u],
                               places[place / 7u], sides[side],
                               sides[4u - side],   0u};
      rppg_face_box_init(&state.face_box);
      time_us += FRAME_US;
      CHECK(push(&odd, time_us) == RPPG_OK);
    }
  }
  return 0;
}

/* Slopes up and down, so that a shift shows. */
static void paint_moved(int32_t right_px) {
  for (int32_t at = 0; at < HEIGHT * WIDTH; ++at) {
    const int32_t x = (at % WIDTH + WIDTH - right_px) % 32;
    const int32_t y = (at / WIDTH) % 32;
    const int32_t value =
        40 + 4 * ((x < 16) ? x : 32 - x) + 4 * ((y < 16) ? y : 32 - y);
    memset(&pixels[3 * at], value, 3);
  }
}

/* The box goes with the head, stays through a restart, and is where the
 * detector put it once the face was lost. */
static int moved_face(void) {
  rppg_box_t box;
  begin();
  paint_moved(0);
  CHECK(push(&face, 0) == RPPG_OK);
  paint_moved(2);
  CHECK(push(&no_news, FRAME_US) == RPPG_OK);
  CHECK(rppg_face_box(&state, &box) == RPPG_OK);
  CHECK((box.x == 12) && (box.y == 5) && (box.width == 70));
  CHECK(push(&face, 20000000) == RPPG_RESTARTED);
  CHECK(rppg_face_box(&state, &box) == RPPG_OK);
  CHECK(box.x == 12);
  CHECK(push(&no_news, 22000000) == RPPG_NO_FACE);
  CHECK(rppg_face_box(&state, &box) == RPPG_NO_FACE);
  CHECK(push(&face, 22000000) == RPPG_OK);
  CHECK(rppg_face_box(&state, &box) == RPPG_OK);
  CHECK(box.x == 10);
  return 0;
}

static int weights(void) {
  static rppg_background_t background;
  rppg_background_reset(&background);
  CHECK(rppg_background_begin(&background, 0.0) == 1.0f);
  CHECK(rppg_background_begin(&background, 0.0) == 0.5f);
  background.frames_seen = UINT32_MAX; /* stays there */
  const float weight = rppg_background_begin(&background, 1.5);
  CHECK((weight > 0.632120f) && (weight < 0.632121f));
  CHECK(background.frames_seen == UINT32_MAX);
  return 0;
}

/* What rppg_run refuses it does not look at. */
static int run_by_itself(void) {
  static rppg_detector_t detector;
  static uint32_t memory[RPPG_DETECTOR_WORDS(WIDTH, HEIGHT)];
  const uint32_t num_words = (uint32_t)(sizeof memory / sizeof memory[0]);
  begin();
  CHECK(rppg_run(&state, &detector, &image, 0) == RPPG_BAD_ARGUMENT);
  CHECK(rppg_detector_init(&detector, memory, num_words - 1u) == RPPG_OK);
  CHECK(rppg_run(&state, &detector, &image, 0) == RPPG_BAD_ARGUMENT);
  CHECK(rppg_detector_init(&detector, memory, num_words) == RPPG_OK);
  CHECK(rppg_run(NULL, &detector, &image, 0) == RPPG_BAD_ARGUMENT);
  CHECK(rppg_run(&state, NULL, &image, 0) == RPPG_BAD_ARGUMENT);
  CHECK(rppg_run(&state, &detector, NULL, 0) == RPPG_BAD_ARGUMENT);
  CHECK(cnn_runs == 0);
  CHECK(rppg_run(&state, &detector, &image, 1000000) == RPPG_NO_FACE);
  CHECK(cnn_runs == RPPG_NUM_ROIS);
  CHECK(rppg_detector_is_busy(&detector) == 0);
  CHECK(rppg_run(&state, &detector, &image, 999999) == RPPG_TIME_BACKWARDS);
  /* Near the face that came from elsewhere, then everywhere; between looks a
   * box is held. */
  CHECK(push(&face, 1100000) == RPPG_OK);
  CHECK(rppg_run(&state, &detector, &image, 1150000) == RPPG_OK);
  CHECK(state.face_box.last_try_us == 1100000);
  CHECK(rppg_run(&state, &detector, &image, 1200000) == RPPG_OK);
  CHECK((state.face_box.last_try_us == 1200000) && state.face_box.has_missed);
  CHECK(rppg_detector_num_faces(&detector) == 0u);
  return 0;
}

/* Each once, the oldest first, on the clock of the frames. */
static int beats_are_handed_out(void) {
  static rppg_beat_t beats[RPPG_NUM_BEATS];
  begin();
  CHECK(push(&face, 7000000) == RPPG_OK);
  CHECK(rppg_beats(&state, beats, RPPG_NUM_BEATS) == 0u);
  state.timeline.num_samples = 3000u;
  for (uint32_t number = 0u; number < RPPG_NUM_BEATS + 2u; ++number) {
    const rppg_found_beat_t found = {25u * number, 0.25f, 0.5f};
    rppg_beat_ring_put(&state.found, &found);
  }
  CHECK(rppg_beats(&state, beats, 0u) == 0u);
  CHECK(rppg_beats(&state, beats, 5u) == 5u);
  CHECK(beats[0].time_us == 8674999); /* number 2: two are lost */
  CHECK(beats[0].quality == 0.5f);
  CHECK(beats[4].time_us == 12008333);
  CHECK(rppg_beats(&state, beats, RPPG_NUM_BEATS) == RPPG_NUM_BEATS - 5u);
  CHECK(beats[0].time_us == 12841666);
  CHECK(rppg_beats(&state, beats, RPPG_NUM_BEATS) == 0u);
  const rppg_found_beat_t last = {2970u, -0.5f, 0.9f};
  rppg_beat_ring_put(&state.found, &last);
  before = state;
  CHECK(rppg_beats(&state, beats, 1u) == 1u);
  CHECK(beats[0].time_us == 105983334);
  state = before;
  CHECK(push(&face, 20000000) == RPPG_RESTARTED);
  CHECK(rppg_beats(&state, beats, 1u) == 0u);
  return 0;
}

int main(void) {
  const int failed = bad_arguments() || time_and_gaps() || missing_face() ||
                     gap_withholds() || cnn_error() || old_answers() ||
                     formats() || boxes_outside() || moved_face() ||
                     weights() || run_by_itself() || beats_are_handed_out();
  if (!failed) {
    printf("api_test: passed\n");
  }
  return failed;
}
