/* Beats and spectrum of the last 10 s → the heart rate that is reported.
 *
 * The same rules as rppg_tf/signals/readout.py.
 */
#ifndef RPPG_READOUT_H
#define RPPG_READOUT_H

#include "rppg.h"

/* Completes an estimate that holds the number of samples and what the spectrum
 * says. */
void rppg_read_out(const rppg_beat_stream_t *stream,
                   const rppg_beat_ring_t *ring, rppg_estimate_t *estimate);

#endif /* RPPG_READOUT_H */
