/* What port/stm32n6 uses of the file that `stedgeai generate --name network`
 * writes; see ll_aton_runtime.h beside this one. As there the context's size is
 * that of a type, and the file stops without a platform or an OSAL.
 */
#ifndef STAI_NETWORK_H
#define STAI_NETWORK_H

#include "ll_aton_config.h"
#include "stai.h"

typedef struct {
  const void *network_instance[16];
  stai_return_code first_error;
} stai_network_context;

#define STAI_NETWORK_CONTEXT_SIZE ((stai_size)sizeof(stai_network_context))
#define STAI_NETWORK_IN_NUM (1)
#define STAI_NETWORK_OUT_NUM (1)
#define STAI_NETWORK_IN_1_SIZE_BYTES (3888)
#define STAI_NETWORK_OUT_1_SIZE_BYTES (16)

stai_return_code stai_network_init(stai_network *network);
stai_return_code stai_network_get_inputs(stai_network *network,
                                         stai_ptr *inputs, stai_size *number);
stai_return_code stai_network_get_outputs(stai_network *network,
                                          stai_ptr *outputs, stai_size *number);
stai_return_code stai_network_run(stai_network *network,
                                  const stai_run_mode mode);

#endif /* STAI_NETWORK_H */
