/* The CNN on STM32N6's NPU through LL_ATON (ST Edge AI Core 2.0 to 4.0).
 *
 * Add this file *or* rppg_cnn_stai.c to the project, and none of
 * port/portable. The network's name is that of `stedgeai generate --name`; of
 * 2.x it may be Default all the same: then -DRPPG_NETWORK=Default.
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

#include "ll_aton_runtime.h"
#include "mcu_cache.h"
#include "rppg_cnn.h"

#ifndef RPPG_NETWORK
#define RPPG_NETWORK network
#endif
/* ST's macro pastes its argument as it stands; between the two macros the name
 * is expanded. */
#define RPPG_DECLARE_NETWORK(name) \
  LL_ATON_DECLARE_NAMED_NN_INSTANCE_AND_INTERFACE(name)
#define RPPG_JOIN_TOKENS(one, other) one##other
#define RPPG_JOIN(one, other) RPPG_JOIN_TOKENS(one, other)
#define RPPG_NN_INSTANCE RPPG_JOIN(NN_Instance_, RPPG_NETWORK)
#define RPPG_INPUTS_INFO RPPG_JOIN(LL_ATON_Input_Buffers_Info_, RPPG_NETWORK)
#define RPPG_OUTPUTS_INFO RPPG_JOIN(LL_ATON_Output_Buffers_Info_, RPPG_NETWORK)

/* Steps of the epoch loop before the NPU counts as hung; 5 epochs need tens. */
#ifndef RPPG_NPU_MAX_STEPS
#define RPPG_NPU_MAX_STEPS 10000
#endif

/* With its own semicolon. */
RPPG_DECLARE_NETWORK(RPPG_NETWORK)

static uint8_t *npu_input;
static uint8_t *npu_output;

rppg_cnn_status_t rppg_cnn_init(void) {
  const LL_Buffer_InfoTypeDef *inputs = RPPG_INPUTS_INFO();
  const LL_Buffer_InfoTypeDef *outputs = RPPG_OUTPUTS_INFO();
  if ((npu_input != NULL) && (npu_output != NULL)) {
    return RPPG_CNN_OK;
  }
  if ((inputs == NULL) || (outputs == NULL) ||
      (LL_Buffer_len(&inputs[0]) != (uint32_t)RPPG_CNN_INPUT_BYTES) ||
      (LL_Buffer_len(&outputs[0]) != (uint32_t)RPPG_CNN_OUTPUT_BYTES)) {
    return RPPG_CNN_WRONG_NETWORK;
  }
  LL_ATON_RT_RuntimeInit();
  npu_input = (uint8_t *)LL_Buffer_addr_start(&inputs[0]);
  npu_output = (uint8_t *)LL_Buffer_addr_start(&outputs[0]);
  return ((npu_input != NULL) && (npu_output != NULL)) ? RPPG_CNN_OK
                                                       : RPPG_CNN_FAILED;
}

/* mcu_cache_* take the first address and the one after the last. They give
 * nothing back, or 0 (2.x). */
static uint32_t address(const uint8_t *buffer, uint32_t offset) {
  return (uint32_t)((uintptr_t)buffer + offset);
}

static rppg_cnn_status_t run_epochs(void) {
  for (int32_t step = 0; step < RPPG_NPU_MAX_STEPS; ++step) {
    const LL_ATON_RT_RetValues_t result =
        LL_ATON_RT_RunEpochBlock(&RPPG_NN_INSTANCE);
    if (result == LL_ATON_RT_DONE) {
      return RPPG_CNN_OK;
    }
    if (result == LL_ATON_RT_WFE) {
      LL_ATON_OSAL_WFE();
    } else if (result != LL_ATON_RT_NO_WFE) {
      return RPPG_CNN_FAILED;
    } else {
      /* NO_WFE is no error: the next block can start at once. */
    }
  }
  return RPPG_CNN_FAILED;
}

rppg_cnn_status_t rppg_cnn_run(const int8_t input[RPPG_CNN_INPUT_BYTES],
                               int8_t output[RPPG_CNN_OUTPUT_BYTES]) {
  if ((npu_input == NULL) || (npu_output == NULL)) {
    return RPPG_CNN_NOT_STARTED;
  }
  memcpy(npu_input, input, RPPG_CNN_INPUT_BYTES);
  (void)mcu_cache_clean_invalidate_range(
      address(npu_input, 0u), address(npu_input, RPPG_CNN_INPUT_BYTES));
  LL_ATON_RT_Init_Network(&RPPG_NN_INSTANCE);
  const rppg_cnn_status_t status = run_epochs();
  if (status == RPPG_CNN_OK) {
    (void)mcu_cache_invalidate_range(
        address(npu_output, 0u), address(npu_output, RPPG_CNN_OUTPUT_BYTES));
    memcpy(output, npu_output, RPPG_CNN_OUTPUT_BYTES);
  }
  LL_ATON_RT_DeInit_Network(&RPPG_NN_INSTANCE);
  return status;
}

/* The runtime is left as it is: other networks may use it. */
void rppg_cnn_deinit(void) {
  npu_input = NULL;
  npu_output = NULL;
}
