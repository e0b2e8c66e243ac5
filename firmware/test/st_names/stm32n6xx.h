/* The names that port/stm32n6 uses; see ll_aton_runtime.h beside this file. */
#ifndef STM32N6XX_H
#define STM32N6XX_H

#include <stdint.h>

void SCB_CleanInvalidateDCache_by_Addr(volatile void *start, int32_t bytes);
void SCB_InvalidateDCache_by_Addr(volatile void *start, int32_t bytes);

#endif /* STM32N6XX_H */
