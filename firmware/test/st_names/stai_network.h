/* The names that port/stm32n6 uses; see ll_aton_runtime.h beside this file. */
#ifndef STAI_NETWORK_H
#define STAI_NETWORK_H

#include <stdint.h>

#define STAI_NETWORK_CONTEXT_SIZE 64
#define STAI_NETWORK_IN_NUM (1)
#define STAI_NETWORK_OUT_NUM (1)
#define STAI_NETWORK_IN_1_SIZE_BYTES (3888)
#define STAI_NETWORK_OUT_1_SIZE_BYTES (16)

#define STAI_NETWORK_CONTEXT_DECLARE(name, bytes) \
  static stai_network name[(bytes)];

typedef uint8_t stai_network;
typedef uint8_t *stai_ptr;
typedef uint32_t stai_size;

typedef enum {
  STAI_SUCCESS = 0,
  STAI_ERROR_GENERIC = 0x20000
} stai_return_code;
typedef enum { STAI_MODE_SYNC = 1 } stai_run_mode;

stai_return_code stai_runtime_init(void);
stai_return_code stai_network_init(stai_network *network);
stai_return_code stai_network_get_inputs(stai_network *network,
                                         stai_ptr *inputs, stai_size *number);
stai_return_code stai_network_get_outputs(stai_network *network,
                                          stai_ptr *outputs, stai_size *number);
stai_return_code stai_network_run(stai_network *network, stai_run_mode mode);

#endif /* STAI_NETWORK_H */
