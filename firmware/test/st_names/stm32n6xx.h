/* What port/stm32n6 and ll_aton_runtime.h use of ST's file and of CMSIS; see
 * ll_aton_runtime.h beside this one. As in ST's the device must be named.
 */
#ifndef STM32N6XX_H
#define STM32N6XX_H

#include <stdint.h>

#if !defined(STM32N645xx) && !defined(STM32N647xx) && !defined(STM32N655xx) && \
    !defined(STM32N657xx)
#error "No device is named, such as STM32N657xx"
#endif

void SCB_CleanInvalidateDCache_by_Addr(volatile void *start, int32_t bytes);
void SCB_InvalidateDCache_by_Addr(volatile void *start, int32_t bytes);

/* The instruction; here a function of the test's. */
#define __WFE() wait_for_event()
void wait_for_event(void);

#endif /* STM32N6XX_H */
