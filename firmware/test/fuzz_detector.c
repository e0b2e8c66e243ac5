/* libFuzzer: any bytes as looks of the face detector, with hostile images,
 * sizes, strides and boxes, given up half way, or by rppg_run. Image and memory
 * are exactly as large as they must be, so that one byte beyond is found.
 */
#include <stdlib.h>
#include <string.h>

#include "face_box.h"
#include "fake_cnn.h"
#include "rppg_detector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_LOOKS = 3, MAX_PIXELS = 5000, MAX_STEPS = 1 << 20 };

typedef struct {
  const uint8_t *data;
  size_t left;
} bytes_t;

static rppg_state_t state;
static rppg_detector_t detector;

/* The next number, of up to 4 bytes; 0 when there are no more. */
static uint32_t take(bytes_t *bytes, size_t num) {
  uint32_t value = 0u;
  for (size_t at = 0; (at < num) && (bytes->left > 0u); ++at) {
    value = (value << 8) | *bytes->data;
    ++bytes->data;
    --bytes->left;
  }
  return value;
}

static void check(int32_t condition) {
  if (!condition) {
    abort();
  }
}

/* Small, wide or high. */
static void take_size(bytes_t *bytes, rppg_image_t *image) {
  const uint32_t kind = take(bytes, 1);
  const uint32_t one = 1u + take(bytes, 1) % 100u;
  const uint32_t other = 1u + take(bytes, 2) % RPPG_MAX_SIDE_PX;
  image->width_px = (kind % 4u == 1u) ? other : one;
  image->height_px = (kind % 4u == 2u) ? other : 1u + other % 100u;
  if (image->width_px * image->height_px > MAX_PIXELS) {
    image->height_px = 1u + MAX_PIXELS / image->width_px;
  }
}

/* What is left of the bytes, enlarged, so that the cascade sees more than
 * noise. */
static void paint(const bytes_t *bytes, uint32_t zoom, rppg_image_t *image,
                  uint8_t *pixels, size_t num_bytes) {
  const uint32_t depth = (image->format == RPPG_RGB565) ? 2u : 3u;
  const uint32_t columns = 1u + image->width_px / zoom;
  for (size_t at = 0; at < num_bytes; ++at) {
    const size_t x = at % image->stride_bytes / depth / zoom;
    const size_t y = at / image->stride_bytes / zoom;
    const size_t place = y * columns + x;
    pixels[at] = (bytes->left > 0u) ? bytes->data[place % bytes->left] : 0u;
  }
}

static void track(bytes_t *bytes, const rppg_image_t *image) {
  const uint32_t kind = take(bytes, 1);
  const size_t num = ((kind & 1u) != 0u) ? 4u : 1u;
  rppg_box_t box = {(int32_t)take(bytes, num), (int32_t)take(bytes, num),
                    (int32_t)take(bytes, num), (int32_t)take(bytes, num)};
  box.x = box.x % RPPG_MAX_BOX_PX - (int32_t)(kind & 0x70u);
  box.y = box.y % RPPG_MAX_BOX_PX - (int32_t)(kind & 0x70u);
  box.width = abs(box.width % RPPG_MAX_BOX_PX) + 1;
  box.height = abs(box.height % RPPG_MAX_BOX_PX) + 1;
  if ((kind & 2u) != 0u) {
    box.width = (int32_t)image->width_px;
    box.height = (int32_t)image->height_px;
  }
  rppg_face_box_init(&state.face_box);
  if ((kind & 4u) != 0u) {
    rppg_face_box_update(&state.face_box, &box, 0);
  }
}

static void check_face(const rppg_image_t *image) {
  rppg_face_t face;
  check(rppg_detector_take_face(&detector, 7, &face) == RPPG_OK);
  check(face.detection != RPPG_FACE_NOT_LOOKED_FOR);
  if (face.detection == RPPG_FACE_FOUND) {
    check((face.x_px >= 0) && (face.y_px >= 0));
    check((face.width_px > 0) && (face.height_px > 0));
    /* A wide image's box is rounded to its pixels. */
    check(face.x_px + face.width_px <= (int32_t)image->width_px + 4);
    check(face.y_px + face.height_px <= (int32_t)image->height_px + 4);
  }
}

static void look(bytes_t *bytes, const rppg_image_t *image) {
  const uint32_t kind = take(bytes, 1);
  int32_t left = ((kind & 1u) != 0u) ? (int32_t)take(bytes, 2) : MAX_STEPS;
  if ((kind & 2u) != 0u) {
    const rppg_status_t status =
        rppg_run(&state, &detector, image, (int64_t)take(bytes, 3));
    check((status >= RPPG_OK) || (status == RPPG_TIME_BACKWARDS));
    return;
  }
  check(rppg_detector_begin(&detector, &state, image, 5) == RPPG_OK);
  while ((left > 0) && (rppg_detector_step(&detector) == RPPG_LOOKING)) {
    --left;
  }
  if (!rppg_detector_is_busy(&detector)) {
    check_face(image);
  }
  check(left > 0 || ((kind & 1u) != 0u));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  bytes_t bytes = {data, size};
  rppg_image_t image;
  take_size(&bytes, &image);
  const uint32_t kind = take(&bytes, 1);
  image.format = (rppg_pixel_format_t)(kind % 3u);
  const uint32_t depth = (image.format == RPPG_RGB565) ? 2u : 3u;
  image.stride_bytes = image.width_px * depth + ((kind >> 2) & 7u);
  const size_t num_bytes = (size_t)image.stride_bytes * (image.height_px - 1u) +
                           (size_t)image.width_px * depth;
  const size_t num_words = RPPG_DETECTOR_WORDS(image.width_px, image.height_px);
  uint8_t *pixels = malloc(num_bytes);
  uint32_t *memory = malloc(num_words * sizeof *memory);
  if ((pixels == NULL) || (memory == NULL)) {
    free(pixels);
    free(memory);
    return 0;
  }
  image.pixels = pixels;
  (void)rppg_init(&state);
  check(rppg_detector_init(&detector, memory, (uint32_t)num_words) == RPPG_OK);
  for (int32_t index = 0; index < MAX_LOOKS; ++index) {
    track(&bytes, &image);
    paint(&bytes, 1u + (kind >> 5), &image, pixels, num_bytes);
    look(&bytes, &image);
  }
  free(pixels);
  free(memory);
  return 0;
}
