/* Runs the face detector over a file of images, on the host or on a Cortex-M55.
 *
 *   looks IN OUT COSTS   looks → what came of them, and what they took
 *                        (looks.h)
 *
 * Exit status 0, or 1 and a line on what is wrong.
 */
#include "looks.h"

#include <stdio.h>
#include <string.h>

#include "face_box.h"
#include "replay.h"
#include "rppg_detector.h"

enum { MAX_WIDTH = 1280, MAX_HEIGHT = 720, BUFFER_BYTES = 1 << 16 };

static rppg_state_t state;
static rppg_detector_t detector;
static uint32_t memory[RPPG_DETECTOR_WORDS(640, 480)];
static uint8_t pixels[MAX_WIDTH * MAX_HEIGHT * 3];
static look_out_t result;
static look_cost_t cost;
static char buffer[BUFFER_BYTES];

#if defined(__arm__)
static volatile uint32_t *const systick = (volatile uint32_t *)0xE000E010u;

static void start_count(void) {
  systick[1] = 0xFFFFFFu;
  systick[2] = 0u;
  systick[0] = 5u;
}

/* Nanoseconds, which are instructions, see port/qemu_m55/measure.c. */
static uint32_t count(void) {
  const uint32_t ticks = (0x1000000u - systick[2]) & 0xFFFFFFu;
  return (uint32_t)(((uint64_t)ticks * 125u) / 4u);
}
#else
static void start_count(void) {}
static uint32_t count(void) {
  return 0u;
}
#endif

static int complain(const char *what) {
  fprintf(stderr, "looks: %s\n", what);
  return 1;
}

/* Takes all steps; notes the dearest. */
static void take_steps(void) {
  int32_t is_busy = rppg_detector_is_busy(&detector);
  while (is_busy) {
    const int32_t phase = (int32_t)detector.phase;
    start_count();
    is_busy = (rppg_detector_step(&detector) == RPPG_LOOKING);
    const uint32_t instructions = count();
    ++cost.num_steps;
    cost.instructions += instructions;
    if (instructions > cost.worst_step) {
      cost.worst_step = instructions;
      cost.worst_phase = phase;
    }
  }
}

static int look(const frame_in_t *frame) {
  const rppg_image_t image = {pixels, frame->image_width_px,
                              frame->image_height_px, frame->stride_bytes,
                              (rppg_pixel_format_t)frame->format};
  const rppg_box_t box = {frame->x_px, frame->y_px, frame->width_px,
                          frame->height_px};
  rppg_face_t face;
  if (frame->age_us == 1u) {
    (void)rppg_detector_init(&detector, memory,
                             sizeof memory / sizeof memory[0]);
  }
  rppg_face_box_init(&state.face_box);
  if (frame->detection == (int32_t)RPPG_FACE_FOUND) {
    rppg_face_box_update(&state.face_box, &box, 0);
  }
  memset(&result, 0, sizeof result);
  memset(&cost, 0, sizeof cost);
  if (rppg_detector_begin(&detector, &state, &image, 0) != RPPG_OK) {
    return complain("an image was refused");
  }
  take_steps();
  (void)rppg_detector_take_face(&detector, 0, &face);
  result.detection = (int32_t)face.detection;
  result.x_px = face.x_px;
  result.y_px = face.y_px;
  result.width_px = face.width_px;
  result.height_px = face.height_px;
  result.num_faces = rppg_detector_num_faces(&detector);
  cost.num_hits = detector.hits.num;
  for (int32_t index = 0; index < detector.hits.num; ++index) {
    const rppg_hit_t *hit = &detector.hits.hits[index];
    cost.hits_sum = cost.hits_sum * 31u + (uint16_t)hit->x;
    cost.hits_sum = cost.hits_sum * 31u + (uint16_t)hit->y;
    cost.hits_sum = cost.hits_sum * 31u + (uint16_t)hit->side;
  }
  return 0;
}

static int look_at_all(FILE *in, FILE *out, FILE *costs) {
  frame_in_t frame;
  while (fread(&frame, sizeof frame, 1, in) == 1) {
    const uint64_t num_bytes =
        (uint64_t)frame.stride_bytes * frame.image_height_px;
    if ((num_bytes > sizeof pixels) ||
        (fread(pixels, 1, (size_t)num_bytes, in) != num_bytes)) {
      return complain("an image is too large, or not all there");
    }
    if (look(&frame) != 0) {
      return 1;
    }
    if ((fwrite(&result, sizeof result, 1, out) != 1) ||
        (fwrite(&cost, sizeof cost, 1, costs) != 1)) {
      return complain("cannot write");
    }
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    return complain("expected IN OUT COSTS");
  }
  FILE *in = fopen(argv[1], "rb");
  FILE *out = fopen(argv[2], "wb");
  FILE *costs = fopen(argv[3], "wb");
  if ((in == NULL) || (out == NULL) || (costs == NULL)) {
    return complain("cannot open the files");
  }
  (void)setvbuf(in, buffer, _IOFBF, BUFFER_BYTES);
  const int status = look_at_all(in, out, costs);
  (void)fclose(in);
  const int is_written = (fclose(out) == 0) && (fclose(costs) == 0);
  return ((status == 0) && is_written) ? 0 : 1;
}
