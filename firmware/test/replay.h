/* The binary files of replay.c; tools/firmware_runner/stream.py is the other
 * end.
 *
 * Little-endian, as x86 and the Cortex-M55 lay structs out; no padding.
 */
#ifndef REPLAY_H
#define REPLAY_H

#include <stdint.h>

#include "rppg.h"
#include "rppg_cnn.h"

/* A frame in: this, then stride_bytes * height_px bytes of image. */
typedef struct {
  int64_t time_us;
  int32_t detection; /* rppg_detection_t */
  int32_t x_px, y_px, width_px, height_px;
  uint32_t age_us;
  uint32_t image_width_px, image_height_px, stride_bytes, format;
} frame_in_t;

/* Beats that a frame hands out at most; the rest come with the next. */
enum { FRAME_BEATS = 3 };

/* What became of it. */
typedef struct {
  int32_t was_detection_due; /* asked before the push */
  int32_t push_status;
  int32_t estimate_status;
  rppg_estimate_t estimate;
  float mid_face_rgb[RPPG_NUM_CHANNELS];
  int32_t has_box;
  int32_t box[4];
  int32_t num_cnn_runs;
  uint32_t num_beats; /* handed out */
  float beat_quality[FRAME_BEATS];
  int64_t beat_time_us[FRAME_BEATS];
  int8_t codes[RPPG_NUM_ROIS][RPPG_CNN_INPUT_BYTES];
  int16_t features[RPPG_NUM_FRAME_FEATURES];
} frame_out_t;

/* Of each sample of a pulse wave alone: the beat that becomes final with it;
 * every RATE_STRIDE samples what rates and variability are by then. Before its
 * samples a wave has their number in the file, an int32_t. */
typedef struct {
  int32_t is_beat;
  rppg_found_beat_t beat;
  rppg_beat_rate_t rate;
  rppg_variability_t variability;
} wave_out_t;

enum { RATE_STRIDE = 30 };

typedef char frame_in_is_packed[(sizeof(frame_in_t) == 48u) ? 1 : -1];
typedef char frame_out_is_packed[(sizeof(frame_out_t) ==
                                  160u +
                                      sizeof(int8_t) * RPPG_NUM_ROIS *
                                          RPPG_CNN_INPUT_BYTES +
                                      sizeof(int16_t) * RPPG_NUM_FRAME_FEATURES)
                                     ? 1
                                     : -1];

typedef char wave_out_is_packed[(sizeof(wave_out_t) == 64u) ? 1 : -1];

#endif /* REPLAY_H */
