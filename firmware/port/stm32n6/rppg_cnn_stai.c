/* The CNN on STM32N6's NPU through stai (ST Edge AI Core 3.0 and 4.0).
 *
 * Add this file *or* rppg_cnn_ll_aton.c to the project, and none of
 * port/portable. Generate with `--name network`: the names are part of the
 * generated interface.
 *
 * Compile with what the rest of ST's runtime is compiled with: STM32N657xx,
 * LL_ATON_PLATFORM=LL_ATON_PLAT_STM32N6, LL_ATON_OSAL, LL_ATON_RT_MODE
 * (BUILD.md, On the board).
 *
 * Input and output share memory in the generated network: the input is
 * refilled before and the output copied after every run. The NPU reads and
 * writes memory behind the D-cache: the input is cleaned out of it, and the
 * output's lines are thrown away before they are read.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "rppg_cnn.h"
#include "stai_network.h"
#include "stm32n6xx.h"

typedef char rppg_network_is_the_contracts
    [((STAI_NETWORK_IN_1_SIZE_BYTES) == RPPG_CNN_INPUT_BYTES) &&
             ((STAI_NETWORK_OUT_1_SIZE_BYTES) == RPPG_CNN_OUTPUT_BYTES)
         ? 1
         : -1];

/* With its own semicolon, and not static: `network_context` is what ST's own
 * applications call theirs. */
STAI_NETWORK_CONTEXT_DECLARE(rppg_cnn_context, STAI_NETWORK_CONTEXT_SIZE)

static stai_ptr npu_input;
static stai_ptr npu_output;

static rppg_cnn_status_t find_buffers(void) {
  stai_ptr inputs[STAI_NETWORK_IN_NUM] = {NULL};
  stai_ptr outputs[STAI_NETWORK_OUT_NUM] = {NULL};
  stai_size num_inputs = 0;
  stai_size num_outputs = 0;
  if ((stai_network_get_inputs(rppg_cnn_context, inputs, &num_inputs) !=
       STAI_SUCCESS) ||
      (stai_network_get_outputs(rppg_cnn_context, outputs, &num_outputs) !=
       STAI_SUCCESS)) {
    return RPPG_CNN_FAILED;
  }
  if ((num_inputs != 1) || (num_outputs != 1) || (inputs[0] == NULL) ||
      (outputs[0] == NULL)) {
    return RPPG_CNN_WRONG_NETWORK;
  }
  npu_input = inputs[0];
  npu_output = outputs[0];
  return RPPG_CNN_OK;
}

rppg_cnn_status_t rppg_cnn_init(void) {
  if (npu_input != NULL) {
    return RPPG_CNN_OK;
  }
  if ((stai_runtime_init() != STAI_SUCCESS) ||
      (stai_network_init(rppg_cnn_context) != STAI_SUCCESS)) {
    return RPPG_CNN_FAILED;
  }
  return find_buffers();
}

rppg_cnn_status_t rppg_cnn_run(const int8_t input[RPPG_CNN_INPUT_BYTES],
                               int8_t output[RPPG_CNN_OUTPUT_BYTES]) {
  if ((npu_input == NULL) || (npu_output == NULL)) {
    return RPPG_CNN_NOT_STARTED;
  }
  memcpy(npu_input, input, RPPG_CNN_INPUT_BYTES);
  SCB_CleanInvalidateDCache_by_Addr(npu_input, RPPG_CNN_INPUT_BYTES);
  if (stai_network_run(rppg_cnn_context, STAI_MODE_SYNC) != STAI_SUCCESS) {
    return RPPG_CNN_FAILED;
  }
  SCB_InvalidateDCache_by_Addr(npu_output, RPPG_CNN_OUTPUT_BYTES);
  memcpy(output, npu_output, RPPG_CNN_OUTPUT_BYTES);
  return RPPG_CNN_OK;
}

/* The runtime is left as it is: other networks may use it. */
void rppg_cnn_deinit(void) {
  npu_input = NULL;
  npu_output = NULL;
}
