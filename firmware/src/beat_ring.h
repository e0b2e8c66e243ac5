/* The beats that are final: kept for variability, handed out once. */
#ifndef RPPG_BEAT_RING_H
#define RPPG_BEAT_RING_H

#include "rppg.h"

/* Keeps a beat in place of the oldest. */
void rppg_beat_ring_put(rppg_beat_ring_t *ring, const rppg_found_beat_t *beat);

/* The oldest beat that was not handed out; NULL if all were. */
const rppg_found_beat_t *rppg_beat_ring_take(rppg_beat_ring_t *ring);

/* Number `number` of those found, which is kept. */
const rppg_found_beat_t *rppg_beat_ring_at(const rppg_beat_ring_t *ring,
                                           uint32_t number);

#endif /* RPPG_BEAT_RING_H */
