/* What port/stm32n6 uses of LL_ATON, and how ST's headers declare it: enough to
 * compile the ports where ST's middleware is not at hand. Written for this
 * project from what ST's files do, and held against those of ST Edge AI 2.0,
 * 2.1, 2.2, 3.0 and 4.0 (tests/firmware/st_headers_test.py).
 *
 * As in ST's:
 *   - the macros paste their argument at once, so that a macro as the network's
 *     name is not expanded;
 *   - instance and interface are static, one of each in a file that declares
 *     them, and point at functions that the generated network.c defines;
 *   - a buffer is a base address and two offsets, read by inline functions;
 *   - waiting is a macro around the processor's instruction.
 * ST's macros leave a second semicolon behind: its headers are system headers
 * (-isystem) for compilers that warn of it.
 */
#ifndef LL_ATON_RUNTIME_H
#define LL_ATON_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "ll_aton_config.h"
#include "mcu_cache.h"
#include "stm32n6xx.h"

typedef struct {
  const char *name; /* NULL behind the last buffer */
  union {
    unsigned char *p;
    uintptr_t i;
  } addr_base;
  uint32_t offset_start;
  uint32_t offset_end;
} LL_Buffer_InfoTypeDef;

static inline unsigned char *LL_Buffer_addr_start(
    const LL_Buffer_InfoTypeDef *info) {
  return info->addr_base.p + info->offset_start;
}

static inline uint32_t LL_Buffer_len(const LL_Buffer_InfoTypeDef *info) {
  return info->offset_end - info->offset_start;
}

typedef struct {
  const char *network_name;
  bool (*ec_network_init)(void);
  bool (*ec_inference_init)(void);
  const LL_Buffer_InfoTypeDef *(*output_buffers_info)(void);
  const LL_Buffer_InfoTypeDef *(*input_buffers_info)(void);
} NN_Interface_TypeDef;

typedef struct {
  const NN_Interface_TypeDef *network;
  struct {
    bool inference_started;
  } exec_state;
} NN_Instance_TypeDef;

#define LL_ATON_DECLARE_NAMED_NN_PROTOS(name)                             \
  extern bool LL_ATON_EC_Network_Init_##name(void);                       \
  extern bool LL_ATON_EC_Inference_Init_##name(void);                     \
  extern const LL_Buffer_InfoTypeDef *LL_ATON_Output_Buffers_Info_##name( \
      void);                                                              \
  extern const LL_Buffer_InfoTypeDef *LL_ATON_Input_Buffers_Info_##name(void);

#define LL_ATON_DECLARE_NAMED_NN_INTERFACE(name)                  \
  LL_ATON_DECLARE_NAMED_NN_PROTOS(name);                          \
  static const NN_Interface_TypeDef NN_Interface_##name = {       \
      .network_name = #name,                                      \
      .ec_network_init = &LL_ATON_EC_Network_Init_##name,         \
      .ec_inference_init = &LL_ATON_EC_Inference_Init_##name,     \
      .output_buffers_info = &LL_ATON_Output_Buffers_Info_##name, \
      .input_buffers_info = &LL_ATON_Input_Buffers_Info_##name}

#define LL_ATON_DECLARE_NAMED_NN_INSTANCE(name, interface)               \
  static NN_Instance_TypeDef NN_Instance_##name = {.network = interface, \
                                                   .exec_state = {0}}

#define LL_ATON_DECLARE_NAMED_NN_INSTANCE_AND_INTERFACE(name) \
  LL_ATON_DECLARE_NAMED_NN_INTERFACE(name);                   \
  LL_ATON_DECLARE_NAMED_NN_INSTANCE(name, &NN_Interface_##name);

typedef enum {
  LL_ATON_RT_NO_WFE = 0,
  LL_ATON_RT_WFE,
  LL_ATON_RT_DONE
} LL_ATON_RT_RetValues_t;

void LL_ATON_RT_RuntimeInit(void);
void LL_ATON_RT_Init_Network(NN_Instance_TypeDef *network);
LL_ATON_RT_RetValues_t LL_ATON_RT_RunEpochBlock(NN_Instance_TypeDef *network);
void LL_ATON_RT_DeInit_Network(NN_Instance_TypeDef *network);

#define LL_ATON_OSAL_WFE() __WFE()

#endif /* LL_ATON_RUNTIME_H */
