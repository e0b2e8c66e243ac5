/* Camera frames in, heart rate out. C99, no heap, no recursion, no static
 * data that is written; the caller owns the state.
 *
 *   static rppg_state_t state;                    rppg_init(&state);
 *   per frame:   rppg_push_frame(&state, &image, &face, time_us);
 *   when wanted: rppg_estimate(&state, &estimate);
 *                rppg_beats(&state, beats, capacity);
 *
 * face is what a detector said. With the one of rppg_detector.h it is
 *   per frame:   rppg_run(&state, &detector, &image, time_us);
 *
 * Not a medical device.
 *
 * What happens to a frame
 *   detector's box → box that stands still → where the head is in it → 3
 *   regions of 36x36 RGB → what stands still divided out, int8 → CNN
 *   (rppg_cnn.h: NPU or portable C), 16 features a region → 30 Hz grid →
 *   temporal head → a sample of the pulse wave → beats. The heart rate is
 *   taken of the beats of the last 10 s, or of the wave's spectrum, when
 *   rppg_estimate asks.
 *   All of it equals rppg_tf's Python: int8 inputs and features to the byte,
 *   heart rates to 0.01 BPM, beats to 1 ms (tests/firmware/pipeline_test.py,
 *   beats_test.py).
 *
 * Memory  the state is RPPG_STATE_BYTES at most (checked when compiled), 66 kB
 *         with the model that ships; most of it is one float32 for every
 *         pixel of the regions. Flash 48 kB, stack 2.0 kB, the CNN's port
 *         apart. Image, face and estimate are read or written during the call
 *         only.
 * Cost    Cortex-M55 instructions, gcc 12 -O2, scalar / Helium, 640x480 BGR,
 *         face 200 pixels wide: rppg_push_frame 1.5 M / 0.5 M and three runs
 *         of the CNN (portable: 8.1 M / 0.8 M each; the NPU: none);
 *         rppg_estimate 0.45 M / 0.34 M. `python -m tools.firmware_report`
 *         prints these, stage by stage.
 * Threads a state belongs to one thread at a time. Different states are
 *         independent, but share the CNN, of which there is one: a lock
 *         around rppg_push_frame is then the caller's.
 * Numbers float32 (time: float64). Compile with -ffp-contract=off and without
 *         -ffast-math, or the bytes differ from Python's.
 */
#ifndef RPPG_H
#define RPPG_H

#include <stdint.h>

#include "rppg_contract.h"

/* Of this library; rppg_tf's own. */
#define RPPG_VERSION_MAJOR 0
#define RPPG_VERSION_MINOR 2
#define RPPG_VERSION_PATCH 0

/* Upper limit of sizeof(rppg_state_t). */
#define RPPG_STATE_BYTES 67000

/* Images have sides of 1 to this many pixels. */
#define RPPG_MAX_SIDE_PX 4096
/* Box corners lie within +- this, sides within 1 and this. */
#define RPPG_MAX_BOX_PX 1000000
/* Times lie in [0, this]: 285 years of microseconds, exact in a double. */
#define RPPG_MAX_TIME_US INT64_C(9007199254740992)

/* Longer than this between two frames: some were dropped. */
#define RPPG_DROPPED_AFTER_US 100000
/* Longer than this: estimates are withheld until it is out of the window. */
#define RPPG_GAP_AFTER_US RPPG_MAX_FACE_HOLD_US
/* Longer than this: everything but the face box starts anew. */
#define RPPG_RESTART_AFTER_US (RPPG_WINDOW_S * INT64_C(1000000))

/* What the functions return.
 *
 * 0 or more: the call did its work, and a positive status adds something about
 * the signal. Less than 0: the call's arguments, or its frame, were not used.
 * Where more than one is true of a push, the first of RESTARTED, NO_FACE, GAP,
 * DROPPED is returned.
 */
typedef enum {
  RPPG_OK = 0,
  /* Estimate: fewer than 10 s since the start, and fewer than 5 beats that can
   * be believed. */
  RPPG_NOT_READY = 1,
  /* Push: no face within the last second; the frame counts as one without
   * signal. Estimate: the same of a frame in its 10 s. */
  RPPG_NO_FACE = 2,
  /* Push: more than 0.1 s since the last frame; interpolated over. */
  RPPG_DROPPED = 3,
  /* Push: more than 1 s since the last frame; interpolated over. Estimate:
   * such a gap in its 10 s. */
  RPPG_GAP = 4,
  /* Push: more than 10 s since the last frame; begun anew. */
  RPPG_RESTARTED = 5,
  /* Detector: more steps are to be done. */
  RPPG_LOOKING = 6,
  /* A pointer is NULL, or a number is out of its range. Nothing was changed.
   */
  RPPG_BAD_ARGUMENT = -1,
  /* Push: older than the last frame. Nothing was changed. If the clock was
   * set back for good, call rppg_init. */
  RPPG_TIME_BACKWARDS = -2,
  /* The CNN's port reported an error: as if the frame had been dropped. From
   * rppg_init: the CNN could not be started. */
  RPPG_CNN_ERROR = -3
} rppg_status_t;

/* Order of bytes in memory, from the lowest address. */
typedef enum {
  RPPG_RGB888 = 0, /* R, G, B */
  RPPG_BGR888 = 1, /* B, G, R */
  /* 16 bits, low byte first: RRRRRGGG GGGBBBBB. Brought to 8 bits by
   * repeating the highest ones. */
  RPPG_RGB565 = 2
} rppg_pixel_format_t;

typedef struct {
  const uint8_t *pixels; /* row 0, column 0: the upper left; any alignment */
  uint32_t width_px;     /* 1 ... RPPG_MAX_SIDE_PX */
  uint32_t height_px;    /* 1 ... RPPG_MAX_SIDE_PX */
  uint32_t stride_bytes; /* from a row to the next, >= a row's bytes */
  rppg_pixel_format_t format;
} rppg_image_t;

typedef enum {
  RPPG_FACE_NOT_LOOKED_FOR = 0, /* no new answer of the detector */
  RPPG_FACE_NOT_FOUND = 1,      /* it looked and found none */
  RPPG_FACE_FOUND = 2
} rppg_detection_t;

/* The detector's newest answer, handed over once, as raw as it comes. */
typedef struct {
  rppg_detection_t detection;
  /* Only of RPPG_FACE_FOUND: the largest face; may reach out of the image. */
  int32_t x_px;
  int32_t y_px;
  int32_t width_px;
  int32_t height_px;
  /* How much older than this frame is the one that the detector saw. */
  uint32_t age_us;
} rppg_face_t;

/* A beat of the heart. */
typedef struct {
  /* When the pulse wave peaked, in microseconds on the clock of the frames; to
   * a millisecond. */
  int64_t time_us;
  float quality; /* probability that it is a beat within 75 ms, in [0, 1] */
} rppg_beat_t;

/* What the beats of the last 10 s say, or of the time since the start while
 * that is less. */
typedef struct {
  float bpm; /* mean rate in BPM; 0: not known, fewer than 5 beats */
  /* Of the newest 5 beats, in BPM; 0: not known, or fewer than 5 beats can be
   * believed. */
  float newest_bpm;
  /* Share of the time that lies in intervals that can be believed, in [0, 1];
   * 0: rates are not known. */
  float coverage;
  float quality; /* mean of the beats', in [0, 1]; 0 without beats */
  uint32_t num_beats;
  uint32_t num_believed; /* of these, with a quality of 0.5 or more */
  /* Intervals that are not one beat's: longer, shorter or doubted. */
  uint32_t num_doubted;
} rppg_beat_rate_t;

/* Beats that are kept: 30 s at any rate, a minute up to 95 BPM. */
#define RPPG_NUM_BEATS 96

/* Heart-rate variability over all beats that are kept. */
typedef struct {
  /* Root mean square of successive differences of the intervals, standard
   * deviation of the intervals, mean interval: milliseconds. 0: not known,
   * fewer than 30 s of beats, or less than half of that time in used intervals.
   */
  float rmssd_ms;
  float sdnn_ms;
  float mean_rr_ms;
  float share_used; /* of the beats' time, that of used intervals; in [0, 1] */
  uint32_t num_intervals; /* that are used */
} rppg_variability_t;

typedef struct {
  /* The rate to show, in BPM: of the beats where 5 of them can be believed,
   * otherwise of the spectrum; some 20 ... 200, 0: not known. */
  float heart_rate_bpm;
  /* Probability that the rate is within 5 BPM, in [0, 1]; 0: not known. Below
   * the threshold in the confidence.json of the model's run, do not show the
   * heart rate. */
  float confidence;
  /* Of the spectrum over 10 s, RPPG_MIN_RATE_BPM ... RPPG_MAX_RATE_BPM, and how
   * sure that is of itself, in [0, 1]; 0: not known, less than 10 s since the
   * start. */
  float spectrum_bpm;
  float spectrum_confidence;
  float pulse; /* newest sample of the pulse wave, without unit */
  /* Samples on the 30 Hz grid since the start: pulse is number
   * num_samples - 1. */
  uint32_t num_samples;
  rppg_beat_rate_t beats;
  rppg_variability_t variability;
} rppg_estimate_t;

/* A box in the image, in pixels; may reach out of the image. */
typedef struct {
  int32_t x, y, width, height;
} rppg_box_t;

/* rppg_state_t, for the caller to allocate. Its members are private. */
#include "rppg_state.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Forgets everything and starts the CNN. Must come before the first push.
 *
 * Returns OK, BAD_ARGUMENT or CNN_ERROR.
 */
rppg_status_t rppg_init(rppg_state_t *state);

/* Whether the detector should look at the frame of this time: at once while
 * no face is in view, else every 0.1 s or 0.5 s. It may look less often.
 *
 * Returns 1 or 0; 1 where state is NULL.
 */
int32_t rppg_is_detection_due(const rppg_state_t *state, int64_t time_us);

/* Takes the next frame.
 *
 * image: the frame; face: the detector's answer, if there is a new one;
 * time_us: when the frame was taken, microseconds from any origin, not
 * before the last frame's. Equal times are taken.
 * Runs the CNN three times and the head once for every 1/30 s since the last
 * frame, 300 times at most.
 */
rppg_status_t rppg_push_frame(rppg_state_t *state, const rppg_image_t *image,
                              const rppg_face_t *face, int64_t time_us);

/* The heart rate over the last 10 s of the grid; as soon as there are 5 beats
 * that can be believed, over the time since the start.
 *
 * Returns OK; or NOT_READY, NO_FACE or GAP, where the heart rate should not
 * be shown; or BAD_ARGUMENT. *estimate is written in all cases but the last.
 */
rppg_status_t rppg_estimate(const rppg_state_t *state,
                            rppg_estimate_t *estimate);

/* Hands out the beats since the last call, the oldest first, each once: 1 to
 * 1.5 s after it was, when nothing that follows can change it. If `capacity`
 * is less than there are, the rest comes with the next call. Of more than
 * RPPG_NUM_BEATS the oldest are lost, and all of them when a push returns
 * RESTARTED.
 *
 * Returns how many were written to `beats`; 0 where a pointer is NULL.
 */
uint32_t rppg_beats(rppg_state_t *state, rppg_beat_t *beats, uint32_t capacity);

/* The box that the last frame was cut with, where the head was in it: to draw
 * it.
 *
 * Returns OK; NO_FACE, where *box is not written; or BAD_ARGUMENT.
 */
rppg_status_t rppg_face_box(const rppg_state_t *state, rppg_box_t *box);

/* Mean R, G, B in [0, 255] of the mid-face in the last frame; 0 without one.
 *
 * Returns OK or BAD_ARGUMENT.
 */
rppg_status_t rppg_mid_face(const rppg_state_t *state,
                            float rgb[RPPG_NUM_CHANNELS]);

#ifdef __cplusplus
}
#endif

#endif /* RPPG_H */
