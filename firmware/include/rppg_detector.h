/* A face detector: OpenCV's Haar cascade of a frontal face, so that the
 * pipeline sees by itself.
 *
 *   static uint32_t memory[RPPG_DETECTOR_WORDS(640, 480)];
 *   static rppg_detector_t detector;
 *   rppg_detector_init(&detector, memory, sizeof memory / sizeof memory[0]);
 *   per frame:   rppg_run(&state, &detector, &image, time_us);
 *
 * rppg_run looks for the face in the frame that it is due in, and returns when
 * it has looked. Where that is too long for a frame, the look is cut into
 * steps, to be made whenever there is time:
 *
 *   per frame:   if (!rppg_detector_is_busy(&detector) &&
 *                    rppg_is_detection_due(&state, time_us)) {
 *                  rppg_detector_begin(&detector, &state, &image, time_us);
 *                }
 *                rppg_detector_take_face(&detector, time_us, &face);
 *                rppg_push_frame(&state, &image, &face, time_us);
 *   in between:  rppg_detector_step(&detector);
 *
 * What it does
 *   A face in view is looked for near its box; one look in ten, or without one,
 *   everywhere in the image. The same rules and the same boxes as
 *   rppg_tf/faces/detector.py, which runs cv2.CascadeClassifier
 *   (tests/firmware/detector_test.py).
 *
 * Memory  rppg_detector_t and RPPG_DETECTOR_WORDS(width, height) words, both
 *         the caller's: 37 kB and 471 kB for 640x480. Flash 51 kB.
 * Cost    Cortex-M55 instructions, gcc 12 -O2, scalar / Helium: a look near a
 *         face of 640x480 13 M / 4.9 M, everywhere 231 M / 85 M, everywhere in
 *         320x240 136 M / 51 M; the dearest step 0.14 M / 0.05 M.
 *         `python -m tools.firmware_report` prints these.
 * Threads a detector belongs to one thread at a time; different ones are
 *         independent.
 */
#ifndef RPPG_DETECTOR_H
#define RPPG_DETECTOR_H

#include "rppg.h"

/* Words of memory for images up to this size. */
#define RPPG_DETECTOR_WORDS(width_px, height_px)                \
  (RPPG_DETECTOR_BAND_WORDS(RPPG_DETECTOR_WIDTH_PX(width_px)) + \
   (RPPG_DETECTOR_WIDTH_PX(width_px) *                          \
        RPPG_DETECTOR_HEIGHT_PX((width_px), (height_px)) +      \
    3u) /                                                       \
       4u)

/* rppg_detector_t, for the caller to allocate. Its members are private. */
#include "rppg_detector_state.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Forgets what was seen, and keeps `memory` for as long as the detector is
 * used.
 *
 * Returns OK or BAD_ARGUMENT.
 */
rppg_status_t rppg_detector_init(rppg_detector_t *detector, uint32_t *memory,
                                 uint32_t num_words);

/* Begins a look at the frame of this time, which may be the next to be pushed
 * into `state`. A look that is under way is given up.
 *
 * The pixels are read by the steps, see rppg_detector_reads_image; *image
 * itself is copied.
 * Returns OK; or BAD_ARGUMENT, where the memory is too small for the image,
 * too.
 */
rppg_status_t rppg_detector_begin(rppg_detector_t *detector,
                                  const rppg_state_t *state,
                                  const rppg_image_t *image, int64_t time_us);

/* Does a bounded piece of the look; nothing once it is finished.
 *
 * Returns LOOKING while more is to be done; OK when it is finished; or
 * BAD_ARGUMENT.
 */
rppg_status_t rppg_detector_step(rppg_detector_t *detector);

/* Whether a look is under way. Returns 1 or 0. */
int32_t rppg_detector_is_busy(const rppg_detector_t *detector);

/* Whether steps to come may read the image's pixels: until then they must stay
 * as they are. Returns 1 or 0. */
int32_t rppg_detector_reads_image(const rppg_detector_t *detector);

/* The answer for rppg_push_frame, handed out once; else
 * RPPG_FACE_NOT_LOOKED_FOR. time_us: of the frame that it is pushed with.
 *
 * Returns OK or BAD_ARGUMENT.
 */
rppg_status_t rppg_detector_take_face(rppg_detector_t *detector,
                                      int64_t time_us, rppg_face_t *face);

/* Faces seen when it last looked everywhere. Small ones beside a face in view
 * are counted every third time. */
uint32_t rppg_detector_num_faces(const rppg_detector_t *detector);

/* Looks for the face where that is due, then does what rppg_push_frame does,
 * and returns the same. A look that was begun before is given up. */
rppg_status_t rppg_run(rppg_state_t *state, rppg_detector_t *detector,
                       const rppg_image_t *image, int64_t time_us);

#ifdef __cplusplus
}
#endif

#endif /* RPPG_DETECTOR_H */
