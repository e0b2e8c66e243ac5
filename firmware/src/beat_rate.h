/* Beats of the last 10 s → their rate, and what of it can be believed.
 *
 * The same numbers as rppg_tf/signals/beat_rate.py, which says how they come
 * about, rates within 0.01 BPM.
 */
#ifndef RPPG_BEAT_RATE_H
#define RPPG_BEAT_RATE_H

#include "rppg.h"

/* Reads the rate of the newest samples: a window of them, or all if there are
 * fewer. */
void rppg_read_beat_rate(const rppg_beat_stream_t *stream,
                         rppg_beat_rate_t *rate);

#endif /* RPPG_BEAT_RATE_H */
