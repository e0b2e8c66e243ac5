/* Levels of the pyramid of grey pixels: reduced images and their integral
 * images, of which a band of rows is kept.
 *
 * The same numbers as cv2.resize, INTER_LINEAR_EXACT, and cv2.integral2, modulo
 * 2^32; the levels and windows of cv2.CascadeClassifier.detectMultiScale.
 */
#ifndef RPPG_PYRAMID_H
#define RPPG_PYRAMID_H

#include "rppg_detector.h"

/* Which levels are searched for faces of min_px or more, the largest faces
 * first: all of them are to come. step: from a scale to the next, above 1. */
void rppg_scan_begin(rppg_scan_t *scan, const rppg_grey_t *grey, double step,
                     int32_t min_px);

/* Leaves out the levels of `done`, in which the windows are the same. Returns
 * whether that is so; else all are still to come. */
int32_t rppg_scan_leave_out(rppg_scan_t *scan, const rppg_scan_t *done);

/* Begins the next level of the scan, or returns 0 after the last. num_words: of
 * memory for a band. */
int32_t rppg_level_begin(rppg_level_t *level, rppg_scan_t *scan,
                         const rppg_grey_t *grey, int32_t num_words);

/* Makes the next row of the integral images, or returns 0 where the band is
 * full or the level ends. */
int32_t rppg_level_make_row(rppg_level_t *level, const rppg_grey_t *grey,
                            const uint8_t *pixels, uint32_t *memory);

/* Whether the band has all rows of the next row of windows. */
int32_t rppg_level_has_windows(const rppg_level_t *level);

/* Moves the band on to the next row of windows. Returns 0 after the last. */
int32_t rppg_level_move_on(rppg_level_t *level, uint32_t *memory);

#endif /* RPPG_PYRAMID_H */
