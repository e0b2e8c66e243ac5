/* Which runtime is compiled: see ll_aton_runtime.h beside this file.
 *
 * As in ST's file a build stops without a platform or an OSAL, and at values
 * that are none; without a mode it is the asynchronous one.
 */
#ifndef LL_ATON_CONFIG_H
#define LL_ATON_CONFIG_H

#define LL_ATON_PLAT_STM32N6 9

#define LL_ATON_OSAL_BARE_METAL 1
#define LL_ATON_OSAL_THREADX 4
#define LL_ATON_OSAL_FREERTOS 5
#define LL_ATON_OSAL_ZEPHYR 6

#define LL_ATON_RT_POLLING 1
#define LL_ATON_RT_ASYNC 2

#ifndef LL_ATON_PLATFORM
#error "LL_ATON_PLATFORM is not defined"
#elif LL_ATON_PLATFORM != LL_ATON_PLAT_STM32N6
#error "LL_ATON_PLATFORM has a wrong value"
#endif

#ifndef LL_ATON_OSAL
#error "LL_ATON_OSAL is not defined"
#elif (LL_ATON_OSAL < 1) || (LL_ATON_OSAL > 6)
#error "LL_ATON_OSAL has a wrong value"
#endif

#ifndef LL_ATON_RT_MODE
#define LL_ATON_RT_MODE LL_ATON_RT_ASYNC
#endif
#if (LL_ATON_RT_MODE != LL_ATON_RT_POLLING) && \
    (LL_ATON_RT_MODE != LL_ATON_RT_ASYNC)
#error "LL_ATON_RT_MODE has a wrong value"
#endif

#endif /* LL_ATON_CONFIG_H */
