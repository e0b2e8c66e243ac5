/* Beats → heart-rate variability.
 *
 * The same numbers as rppg_tf/signals/variability.py, which says which
 * intervals count, within 0.1 ms.
 */
#ifndef RPPG_VARIABILITY_H
#define RPPG_VARIABILITY_H

#include "rppg.h"

/* Measures over all beats that the ring holds. */
void rppg_measure_variability(const rppg_beat_ring_t *ring,
                              rppg_variability_t *variability);

#endif /* RPPG_VARIABILITY_H */
