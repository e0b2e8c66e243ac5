/* The spatial CNN, as the pipeline sees it. A port implements these three
 * functions; exactly one port is linked.
 *
 *   port/portable   INT8 in C99, byte for byte TFLite's reference kernels
 *   port/stm32n6    the NPU: LL_ATON (ST Edge AI 2.0 to 4.0) or stai (3.0, 4.0)
 *
 * Layout  input int8 [36][36][3], rows, columns, R G B; code q stands for
 *         q / 128. Output int8 [16], codes of scale and zero point
 *         TEMPORAL_HEAD_INPUT_SCALE and _ZERO_POINT.
 * Threads one CNN, one thread at a time.
 */
#ifndef RPPG_CNN_H
#define RPPG_CNN_H

#include <stdint.h>

#include "rppg_contract.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  RPPG_CNN_INPUT_BYTES = RPPG_ROI_SIZE_PX * RPPG_ROI_SIZE_PX *
      RPPG_NUM_CHANNELS,
  RPPG_CNN_OUTPUT_BYTES = RPPG_NUM_SPATIAL_FEATURES
};

/* Errors are negative. */
typedef enum {
  RPPG_CNN_OK = 0,
  /* rppg_cnn_run before rppg_cnn_init, or after rppg_cnn_deinit. */
  RPPG_CNN_NOT_STARTED = -1,
  /* The network is not the one that the contract describes. */
  RPPG_CNN_WRONG_NETWORK = -2,
  /* The runtime reported an error, or never came to an end. */
  RPPG_CNN_FAILED = -3
} rppg_cnn_status_t;

/* Starts the CNN; may be called again. */
rppg_cnn_status_t rppg_cnn_init(void);

/* Runs it once. Neither array is kept; they must not overlap. The output is
 * written only if OK is returned. */
rppg_cnn_status_t rppg_cnn_run(const int8_t input[RPPG_CNN_INPUT_BYTES],
                               int8_t output[RPPG_CNN_OUTPUT_BYTES]);

/* Frees what rppg_cnn_init took. */
void rppg_cnn_deinit(void);

#ifdef __cplusplus
}
#endif

#endif /* RPPG_CNN_H */
