/* What the public functions refuse. */
#ifndef RPPG_CHECKS_H
#define RPPG_CHECKS_H

#include "rppg.h"

/* Whether an image has pixels, sides and a format as rppg.h has it. */
int32_t rppg_is_image_usable(const rppg_image_t *image);

/* Whether a frame may be pushed: OK, BAD_ARGUMENT or TIME_BACKWARDS. */
rppg_status_t rppg_check_frame(const rppg_state_t *state,
                               const rppg_image_t *image, int64_t time_us);

#endif /* RPPG_CHECKS_H */
