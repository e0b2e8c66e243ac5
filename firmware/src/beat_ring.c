#include "beat_ring.h"

#include <stddef.h>

void rppg_beat_ring_put(rppg_beat_ring_t *ring, const rppg_found_beat_t *beat) {
  ring->beats[ring->num % (uint32_t)RPPG_NUM_BEATS] = *beat;
  ++ring->num;
  if (ring->num - ring->num_given > (uint32_t)RPPG_NUM_BEATS) {
    ++ring->num_given; /* lost */
  }
}

const rppg_found_beat_t *rppg_beat_ring_take(rppg_beat_ring_t *ring) {
  if (ring->num_given == ring->num) {
    return NULL;
  }
  ++ring->num_given;
  return rppg_beat_ring_at(ring, ring->num_given - 1u);
}

const rppg_found_beat_t *rppg_beat_ring_at(const rppg_beat_ring_t *ring,
                                           uint32_t number) {
  return &ring->beats[number % (uint32_t)RPPG_NUM_BEATS];
}
