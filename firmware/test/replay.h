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

/* What became of it. */
typedef struct {
  int32_t was_detection_due; /* asked before the push */
  int32_t push_status;
  int32_t estimate_status;
  uint32_t num_samples;
  float heart_rate_bpm;
  float confidence;
  float pulse;
  float mid_face_rgb[RPPG_NUM_CHANNELS];
  int32_t has_box;
  int32_t box[4];
  int32_t num_cnn_runs;
  int8_t codes[RPPG_NUM_ROIS][RPPG_CNN_INPUT_BYTES];
  int16_t features[RPPG_NUM_FRAME_FEATURES];
} frame_out_t;

typedef char frame_in_is_packed[(sizeof(frame_in_t) == 48u) ? 1 : -1];
typedef char frame_out_is_packed[(sizeof(frame_out_t) ==
                                  64u +
                                      sizeof(int8_t) * RPPG_NUM_ROIS *
                                          RPPG_CNN_INPUT_BYTES +
                                      sizeof(int16_t) * RPPG_NUM_FRAME_FEATURES)
                                     ? 1
                                     : -1];

#endif /* REPLAY_H */
