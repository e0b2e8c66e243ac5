/* Whether Helium's int and float instructions are there and wanted.
 *
 * Every function with a Helium path gives the same bytes without: products
 * and sums are rounded one by one in the same order. RPPG_NO_HELIUM switches
 * it off.
 */
#ifndef RPPG_HELIUM_H
#define RPPG_HELIUM_H

#if defined(__ARM_FEATURE_MVE) && !defined(RPPG_NO_HELIUM)
#define RPPG_HAS_HELIUM ((__ARM_FEATURE_MVE & 3) == 3)
#else
#define RPPG_HAS_HELIUM 0
#endif

#if RPPG_HAS_HELIUM
#include <arm_mve.h>
#endif

#endif /* RPPG_HELIUM_H */
