/* What port/stm32n6 uses of ST's file; see ll_aton_runtime.h beside this one.
 * As in ST's the macro declares an external, aligned array, and brings its
 * semicolon.
 */
#ifndef STAI_H
#define STAI_H

#include <stdint.h>

#define STAI_ALIGNED(bytes) __attribute__((aligned(bytes)))
#define STAI_NETWORK_CONTEXT_DECLARE(name, bytes) \
  STAI_ALIGNED(8) stai_network name[bytes] = {0};

typedef uint8_t stai_network;
typedef uint8_t *stai_ptr;
typedef uint32_t stai_size;

/* What is an error begins with the generic one; less is a state. */
typedef enum {
  STAI_SUCCESS = 0,
  STAI_RUNNING_NO_WFE = 0x10,
  STAI_RUNNING_WFE = 0x11,
  STAI_DONE = 0x12,
  STAI_ERROR_GENERIC = 0x20000
} stai_return_code;

typedef enum { STAI_MODE_SYNC = 1, STAI_MODE_ASYNC = 2 } stai_run_mode;

stai_return_code stai_runtime_init(void);

#endif /* STAI_H */
