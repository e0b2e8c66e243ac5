#include <stddef.h>

#include "checks.h"
#include "rppg_detector.h"

rppg_status_t rppg_run(rppg_state_t *state, rppg_detector_t *detector,
                       const rppg_image_t *image, int64_t time_us) {
  rppg_face_t face = {RPPG_FACE_NOT_LOOKED_FOR, 0, 0, 0, 0, 0u};
  rppg_status_t status = (detector == NULL)
                             ? RPPG_BAD_ARGUMENT
                             : rppg_check_frame(state, image, time_us);
  if ((status == RPPG_OK) && rppg_is_detection_due(state, time_us)) {
    status = rppg_detector_begin(detector, state, image, time_us);
    if (status == RPPG_OK) {
      while (rppg_detector_step(detector) == RPPG_LOOKING) {
        /* A look has an end. */
      }
      (void)rppg_detector_take_face(detector, time_us, &face);
    }
  }
  return (status == RPPG_OK) ? rppg_push_frame(state, image, &face, time_us)
                             : status;
}
