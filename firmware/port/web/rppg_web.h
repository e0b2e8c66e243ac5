/* What the page calls in the WebAssembly module; firmware.js is the other end.
 *
 *   rppg_web_start()           forgets everything
 *   rppg_web_pixels()          where an image is put, R G B A
 *   rppg_web_push(w, h, us)    takes it
 *   rppg_web_result()          what became of it
 *   rppg_web_beats()           the beats that are new
 *
 * The module has one state and imports nothing.
 */
#ifndef RPPG_WEB_H
#define RPPG_WEB_H

#include "rppg.h"

/* Longest side of an image; the page reduces larger ones. */
#define RPPG_WEB_MAX_SIDE_PX 1280

/* That one push can bring; more come with the next. */
#define RPPG_WEB_MAX_BEATS 8

/* Words of 32 bits, which firmware.js reads one by one. */
typedef struct {
  int32_t push_status;     /* rppg_status_t */
  int32_t estimate_status; /* rppg_status_t */
  uint32_t num_samples;    /* of the pulse wave, 30 Hz */
  float heart_rate_bpm;
  float newest_bpm;
  float confidence;
  float pulse; /* the newest sample */
  float mid_face_rgb[RPPG_NUM_CHANNELS];
  uint32_t num_faces;
  uint32_t num_beats; /* in rppg_web_beats() */
  int32_t has_box;    /* 1, or 0: what follows is 0 */
  /* Pixels of the image: x, y, width, height; may reach out of it. */
  int32_t box[4];
  int32_t regions[RPPG_NUM_ROIS][4];
} rppg_web_result_t;

/* Doubles, so that firmware.js reads times exactly. */
typedef struct {
  double time_us; /* on the clock of the pushes */
  double quality; /* in [0, 1] */
} rppg_web_beat_t;

/* Returns rppg_init's status. */
int32_t rppg_web_start(void);

/* RPPG_WEB_MAX_SIDE_PX * RPPG_WEB_MAX_SIDE_PX * 4 bytes, row after row without
 * gaps; a push leaves other bytes in them. */
uint8_t *rppg_web_pixels(void);

/* Takes the image in rppg_web_pixels(), of sides of 1 to RPPG_WEB_MAX_SIDE_PX;
 * time_us: see rppg_push_frame. Returns rppg_run's status. */
int32_t rppg_web_push(int32_t width_px, int32_t height_px, double time_us);

/* Of the last push. */
const rppg_web_result_t *rppg_web_result(void);

/* Of the last push: num_beats of RPPG_WEB_MAX_BEATS. */
const rppg_web_beat_t *rppg_web_beats(void);

/* Below this confidence no heart rate is shown. */
float rppg_web_min_confidence(void);

#endif /* RPPG_WEB_H */
