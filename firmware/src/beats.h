/* Pulse wave → beats, sample by sample.
 *
 * The same beats as rppg_tf/signals/beats.py, which says how they are found,
 * within 1 ms: float32 here, float64 there.
 *
 *   rppg_beats_push(&stream, pulse, &beat)    per sample: beats that are final
 *   rppg_beats_chain(&stream, &chain)         all of the last 11 s, up to now
 */
#ifndef RPPG_BEATS_H
#define RPPG_BEATS_H

#include "rppg.h"

/* Peaks that the end of the wave may have beyond the candidates: one in two
 * of the samples that are filtered ahead. */
#define RPPG_MAX_PEAKS_AHEAD ((RPPG_BEAT_FILTER_DELAY + 1) / 2)
#define RPPG_MAX_CHAIN (RPPG_BEAT_MAX_CANDIDATES + RPPG_MAX_PEAKS_AHEAD)

/* Peaks and how they hang together; then, of rppg_beats_chain, beats. */
typedef struct {
  int32_t num;
  float places[RPPG_MAX_CHAIN];    /* samples, from the newest one on */
  float scores[RPPG_MAX_CHAIN];    /* of chains up to here; then qualities */
  float intervals[RPPG_MAX_CHAIN]; /* the last one of the chain so far */
  int8_t links[RPPG_MAX_CHAIN];    /* to the peak before; -1 without one */
  uint8_t heard[RPPG_MAX_CHAIN];   /* the peak whose witness is asked */
} rppg_chain_t;

void rppg_beats_init(rppg_beat_stream_t *stream);

/* Takes the next sample of the pulse wave, within +- 1e18; a beat is a maximum.
 *
 * Returns 1 if a beat became final, 1 s after it was, and *beat is written;
 * otherwise 0.
 */
int32_t rppg_beats_push(rppg_beat_stream_t *stream, float pulse,
                        rppg_found_beat_t *beat);

/* Beats of at least the last 11 s, up to now: places and scores (qualities),
 * of which there are `num`. Those of the last second are not final. */
void rppg_beats_chain(const rppg_beat_stream_t *stream, rppg_chain_t *chain);

#endif /* RPPG_BEATS_H */
