/* The names that port/stm32n6 uses; see ll_aton_runtime.h beside this file. */
#ifndef MCU_CACHE_H
#define MCU_CACHE_H

#include <stdint.h>

int mcu_cache_invalidate_range(uint32_t start, uint32_t end);
int mcu_cache_clean_invalidate_range(uint32_t start, uint32_t end);

#endif /* MCU_CACHE_H */
