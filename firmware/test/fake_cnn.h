/* A CNN for tests that are not about it: quick, and able to fail. */
#ifndef FAKE_CNN_H
#define FAKE_CNN_H

#include <stdint.h>
#include <string.h>

#include "rppg_cnn.h"

static int32_t cnn_runs;
static int32_t cnn_fails_at = -1; /* that run since the last reset fails */
static int8_t cnn_inputs[RPPG_NUM_ROIS][RPPG_CNN_INPUT_BYTES];

rppg_cnn_status_t rppg_cnn_init(void) {
  return RPPG_CNN_OK;
}
void rppg_cnn_deinit(void) {}

rppg_cnn_status_t rppg_cnn_run(const int8_t input[RPPG_CNN_INPUT_BYTES],
                               int8_t output[RPPG_CNN_OUTPUT_BYTES]) {
  const int32_t run = cnn_runs;
  ++cnn_runs;
  if (run == cnn_fails_at) {
    return RPPG_CNN_FAILED;
  }
  memcpy(cnn_inputs[run % RPPG_NUM_ROIS], input, RPPG_CNN_INPUT_BYTES);
  memcpy(output, &input[RPPG_CNN_INPUT_BYTES / 2], RPPG_CNN_OUTPUT_BYTES);
  return RPPG_CNN_OK;
}

#endif /* FAKE_CNN_H */
