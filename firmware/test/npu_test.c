/* port/stm32n6 against a double of the NPU, on the host.
 *
 * The double has what makes the real one go wrong: memory behind a cache that
 * nobody keeps in step, input and output at the same place, and a network that
 * must be initialised. It is an application of ST's besides: it declares the
 * network under the names that those give. Compile with -DUSE_STAI for
 * rppg_cnn_stai.c. Exit status 0, or 1 and the line that failed.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "rppg_cnn.h"
#ifdef USE_STAI
#include "stai_network.h"
#include "stm32n6xx.h"
#else
#include "ll_aton_runtime.h"
#include "mcu_cache.h"
#endif

enum {
  EPOCHS = 5,
  POOL_OFFSET_BYTES = 32, /* where in its pool the network's memory begins */
  MEMORY_BYTES = RPPG_CNN_INPUT_BYTES
};

/* What the CPU sees, and what is in memory. */
static uint8_t pool[POOL_OFFSET_BYTES + MEMORY_BYTES];
static uint8_t *const cached = &pool[POOL_OFFSET_BYTES];
static uint8_t memory[MEMORY_BYTES];

static char calls[64]; /* one letter a call */
static int32_t num_waits;
static int32_t must_wait;
static int32_t is_hung;
static int32_t is_failing;

static void note(char letter) {
  const size_t length = strlen(calls);
  if (length + 1u < sizeof calls) {
    calls[length] = letter;
    calls[length + 1u] = '\0';
  }
}

/* Whether an address range is the buffer's first `bytes` bytes. */
static int32_t is_range(uintptr_t start, uint32_t bytes, uint32_t expected) {
  return ((uint32_t)start == (uint32_t)(uintptr_t)cached) &&
         (bytes == expected);
}

static void clean_and_invalidate(uintptr_t start, uint32_t bytes) {
  note(is_range(start, bytes, RPPG_CNN_INPUT_BYTES) ? 'C' : '?');
  memcpy(memory, cached, bytes);
}

static void invalidate(uintptr_t start, uint32_t bytes) {
  note(is_range(start, bytes, RPPG_CNN_OUTPUT_BYTES) ? 'V' : '?');
  memcpy(cached, memory, bytes);
}

/* A function of all of the input: sums of every 16th byte, times its place. */
static void network(const uint8_t *input, uint8_t *output) {
  uint8_t sums[RPPG_CNN_OUTPUT_BYTES] = {0};
  for (uint32_t index = 0; index < RPPG_CNN_INPUT_BYTES; ++index) {
    const uint32_t at = index % RPPG_CNN_OUTPUT_BYTES;
    sums[at] = (uint8_t)(sums[at] + input[index] * (index + 1u));
  }
  memcpy(output, sums, sizeof sums);
}

void wait_for_event(void) {
  ++num_waits;
  must_wait = 0;
}

#ifdef USE_STAI

/* The name that STM32Cube AI Studio gives; none of its own is left to us. */
STAI_NETWORK_CONTEXT_DECLARE(network_context, STAI_NETWORK_CONTEXT_SIZE)

/* Of the context that was initialised; it is not the application's. */
static const stai_network *started;

static int32_t is_started(const stai_network *context) {
  return (context != NULL) && (context == started);
}

stai_return_code stai_runtime_init(void) {
  note('R');
  return is_failing ? STAI_ERROR_GENERIC : STAI_SUCCESS;
}
stai_return_code stai_network_init(stai_network *context) {
  note(((context != NULL) && (context != network_context)) ? 'N' : '?');
  started = context;
  return STAI_SUCCESS;
}
stai_return_code stai_network_get_inputs(stai_network *context,
                                         stai_ptr *inputs, stai_size *number) {
  if (!is_started(context)) {
    return STAI_ERROR_GENERIC;
  }
  inputs[0] = cached;
  *number = 1;
  return STAI_SUCCESS;
}
stai_return_code stai_network_get_outputs(stai_network *context,
                                          stai_ptr *outputs,
                                          stai_size *number) {
  if (!is_started(context)) {
    return STAI_ERROR_GENERIC;
  }
  outputs[0] = cached;
  *number = 1;
  return STAI_SUCCESS;
}
stai_return_code stai_network_run(stai_network *context,
                                  const stai_run_mode mode) {
  note((is_started(context) && (mode == STAI_MODE_SYNC)) ? 'E' : '?');
  if (is_hung) {
    return STAI_ERROR_GENERIC;
  }
  network(memory, memory);
  return STAI_SUCCESS;
}
void SCB_CleanInvalidateDCache_by_Addr(volatile void *start, int32_t bytes) {
  clean_and_invalidate((uintptr_t)start, (uint32_t)bytes);
}
void SCB_InvalidateDCache_by_Addr(volatile void *start, int32_t bytes) {
  invalidate((uintptr_t)start, (uint32_t)bytes);
}

#define INIT_CALLS "RN"
#define RUN_CALLS "CEV"
#define HUNG_CALLS "CE"

#else

#define INFO(bytes)                   \
  {.name = "buffer",                  \
   .addr_base = {pool},               \
   .offset_start = POOL_OFFSET_BYTES, \
   .offset_end = (uint32_t)POOL_OFFSET_BYTES + (uint32_t)(bytes)}
static const LL_Buffer_InfoTypeDef inputs_info = INFO(RPPG_CNN_INPUT_BYTES);
static const LL_Buffer_InfoTypeDef outputs_info = INFO(RPPG_CNN_OUTPUT_BYTES);
static const LL_Buffer_InfoTypeDef other_info = INFO(1000);
static int32_t epoch = -1;
static const NN_Instance_TypeDef *started;

/* As an application of ST's declares it: an instance of its own. */
LL_ATON_DECLARE_NAMED_NN_INSTANCE_AND_INTERFACE(network)

bool LL_ATON_EC_Network_Init_network(void) {
  return true;
}
bool LL_ATON_EC_Inference_Init_network(void) {
  return true;
}
const LL_Buffer_InfoTypeDef *LL_ATON_Input_Buffers_Info_network(void) {
  return is_failing ? &other_info : &inputs_info;
}
const LL_Buffer_InfoTypeDef *LL_ATON_Output_Buffers_Info_network(void) {
  return &outputs_info;
}
void LL_ATON_RT_RuntimeInit(void) {
  note('R');
}
void LL_ATON_RT_Init_Network(NN_Instance_TypeDef *instance) {
  note(((instance != &NN_Instance_network) && (epoch < 0) &&
        (strcmp(instance->network->network_name, "network") == 0))
           ? 'I'
           : '?');
  started = instance;
  epoch = 0;
}
/* Of five epochs every other one needs waiting for. */
LL_ATON_RT_RetValues_t LL_ATON_RT_RunEpochBlock(NN_Instance_TypeDef *instance) {
  if ((instance != started) || (epoch < 0) || must_wait) {
    note('?');
  }
  if (is_hung) {
    return LL_ATON_RT_NO_WFE;
  }
  if (epoch == EPOCHS) {
    note('E');
    network(memory, memory);
    return LL_ATON_RT_DONE;
  }
  ++epoch;
  must_wait = epoch % 2;
  return must_wait ? LL_ATON_RT_WFE : LL_ATON_RT_NO_WFE;
}
void LL_ATON_RT_DeInit_Network(NN_Instance_TypeDef *instance) {
  note(((instance == started) && (epoch >= 0)) ? 'D' : '?');
  epoch = -1;
}
void mcu_cache_clean_invalidate_range(uint32_t start, uint32_t end) {
  clean_and_invalidate(start, end - start);
}
void mcu_cache_invalidate_range(uint32_t start, uint32_t end) {
  invalidate(start, end - start);
}

#define INIT_CALLS "R"
#define RUN_CALLS "CIEVD"
#define HUNG_CALLS "CID"

#endif

#define CHECK(condition)                                                     \
  do {                                                                       \
    if (!(condition)) {                                                      \
      printf("npu_test.c:%d: %s; calls: %s\n", __LINE__, #condition, calls); \
      return 1;                                                              \
    }                                                                        \
  } while (0)

static int8_t input[RPPG_CNN_INPUT_BYTES];
static int8_t output[RPPG_CNN_OUTPUT_BYTES];

static void fill(uint32_t seed) {
  for (uint32_t index = 0; index < RPPG_CNN_INPUT_BYTES; ++index) {
    seed = seed * 1664525u + 1013904223u;
    input[index] = (int8_t)((int32_t)(seed >> 24) - 128);
  }
}

static int32_t is_right(void) {
  uint8_t bytes[RPPG_CNN_INPUT_BYTES];
  uint8_t expected[RPPG_CNN_OUTPUT_BYTES];
  memcpy(bytes, input, sizeof bytes);
  network(bytes, expected);
  return memcmp(expected, output, sizeof expected) == 0;
}

int main(void) {
  fill(1u);
  CHECK(rppg_cnn_run(input, output) == RPPG_CNN_NOT_STARTED);
  is_failing = 1;
#ifdef USE_STAI
  CHECK(rppg_cnn_init() == RPPG_CNN_FAILED);
#else
  CHECK(rppg_cnn_init() == RPPG_CNN_WRONG_NETWORK);
#endif
  is_failing = 0;
  calls[0] = '\0';
  CHECK(rppg_cnn_init() == RPPG_CNN_OK);
  CHECK(rppg_cnn_init() == RPPG_CNN_OK);
  CHECK(strcmp(calls, INIT_CALLS) == 0);
  for (uint32_t run = 0; run < 4u; ++run) {
    fill(run / 2u); /* the same input twice: refilled all the same */
    calls[0] = '\0';
    num_waits = 0;
    CHECK(rppg_cnn_run(input, output) == RPPG_CNN_OK);
    CHECK(strcmp(calls, RUN_CALLS) == 0);
    CHECK(is_right());
#ifndef USE_STAI
    CHECK(num_waits == (EPOCHS + 1) / 2);
#endif
    memset(output, 0, sizeof output);
  }
  is_hung = 1;
  calls[0] = '\0';
  CHECK(rppg_cnn_run(input, output) == RPPG_CNN_FAILED);
  CHECK(strcmp(calls, HUNG_CALLS) == 0);
  CHECK(output[0] == 0); /* not written */
  is_hung = 0;
  CHECK(rppg_cnn_run(input, output) == RPPG_CNN_OK);
  CHECK(is_right());
  rppg_cnn_deinit();
  CHECK(rppg_cnn_run(input, output) == RPPG_CNN_NOT_STARTED);
  printf("npu_test: passed\n");
  return 0;
}
