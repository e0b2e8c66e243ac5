/* Pixels and colour of a face → int8 and int16 codes of what does not stand
 * still.
 *
 * The same bytes as rppg_tf/signals/background.py:
 *   code = clip(rint((x / (b + 1) - 1) * 1280), -128, 127), then
 *   b += a * (x - b), a = max(1 - exp(-dt / 1.5 s), 1 / frames seen)
 * and as rppg_tf/signals/chrominance.py.
 */
#ifndef RPPG_BACKGROUND_H
#define RPPG_BACKGROUND_H

#include "rppg.h"

/* Forgets the background: at the start, and when the face was lost. */
void rppg_background_reset(rppg_background_t *state);

/* Begins a frame; returns a, the frame's share in the background. The first
 * frame after a reset becomes the background. Times do not decrease. */
float rppg_background_begin(rppg_background_t *state, double elapsed_s);

/* Normalises region `roi` of the frame that was begun, then learns from it.
 * patch and codes may be the same memory. */
void rppg_background_push(rppg_background_t *state, int32_t roi, float weight,
                          const uint8_t *patch, int8_t *codes);

/* Projects the mid face's mean colour, R, G, B, over its background on
 * RPPG_NUM_CHROMINANCE directions, then learns from it. */
void rppg_chrominance_push(rppg_background_t *state, float weight,
                           const float rgb[RPPG_NUM_CHANNELS], int16_t *codes);

#endif /* RPPG_BACKGROUND_H */
