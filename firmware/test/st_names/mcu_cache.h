/* What port/stm32n6 uses of ST's file; see ll_aton_runtime.h beside this one.
 * The functions give nothing back, as from 3.0 on; in 2.x they give an int.
 */
#ifndef MCU_CACHE_H
#define MCU_CACHE_H

#include <stdint.h>

void mcu_cache_invalidate_range(uint32_t start, uint32_t end);
void mcu_cache_clean_invalidate_range(uint32_t start, uint32_t end);

#endif /* MCU_CACHE_H */
