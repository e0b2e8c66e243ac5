/* The names of LL_ATON that port/stm32n6 uses, and nothing else: enough to
 * compile it where ST's middleware is not at hand. Ours, not ST's file.
 */
#ifndef LL_ATON_RUNTIME_H
#define LL_ATON_RUNTIME_H

#include <stdint.h>

typedef struct {
  unsigned char *start;
  uint32_t length;
} LL_Buffer_InfoTypeDef;

typedef struct {
  int32_t unused;
} NN_Instance_TypeDef;

typedef enum {
  LL_ATON_RT_NO_WFE = 0,
  LL_ATON_RT_WFE = 1,
  LL_ATON_RT_DONE = 2
} LL_ATON_RT_RetValues_t;

#define LL_ATON_DECLARE_NAMED_NN_INSTANCE_AND_INTERFACE(name) \
  DECLARE_NETWORK(name)
#define DECLARE_NETWORK(name)                                                  \
  extern NN_Instance_TypeDef NN_Instance_##name;                               \
  extern const LL_Buffer_InfoTypeDef *LL_ATON_Input_Buffers_Info_##name(void); \
  extern const LL_Buffer_InfoTypeDef *LL_ATON_Output_Buffers_Info_##name(void);

unsigned char *LL_Buffer_addr_start(const LL_Buffer_InfoTypeDef *info);
uint32_t LL_Buffer_len(const LL_Buffer_InfoTypeDef *info);

void LL_ATON_RT_RuntimeInit(void);
void LL_ATON_RT_Init_Network(NN_Instance_TypeDef *network);
LL_ATON_RT_RetValues_t LL_ATON_RT_RunEpochBlock(NN_Instance_TypeDef *network);
void LL_ATON_RT_DeInit_Network(NN_Instance_TypeDef *network);
void LL_ATON_OSAL_WFE(void);

#endif /* LL_ATON_RUNTIME_H */
