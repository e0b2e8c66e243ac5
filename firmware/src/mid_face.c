#include "mid_face.h"

#include <string.h>

#include "helium.h"
#include "pixels.h"

static const uint8_t mid_face_percent[4] = RPPG_MID_FACE_PERCENT;

#if RPPG_HAS_HELIUM
enum { BLOCK_PX = 16, MAX_BLOCKS = RPPG_MAX_SIDE_PX };

/* 16 pixels are 3 vectors. Lanes 0, 3, 6 ... of the first are channel 0, of
 * the second channel 1, of the third channel 2. */
static void add_blocks(const uint8_t *pixel, int32_t num_blocks,
                       uint32_t *sums) {
  static const uint8_t thirds[18] = {1u, 0u, 0u, 1u, 0u, 0u, 1u, 0u, 0u,
                                     1u, 0u, 0u, 1u, 0u, 0u, 1u, 0u, 0u};
  const uint8x16_t lanes0 = vldrbq_u8(&thirds[0]);
  const uint8x16_t lanes1 = vldrbq_u8(&thirds[2]);
  const uint8x16_t lanes2 = vldrbq_u8(&thirds[1]);
  uint32_t sum0 = sums[0];
  uint32_t sum1 = sums[1];
  uint32_t sum2 = sums[2];
  for (int32_t left = num_blocks; left > 0; --left) {
    const uint8x16_t bytes0 = vldrbq_u8(&pixel[0]);
    const uint8x16_t bytes1 = vldrbq_u8(&pixel[16]);
    const uint8x16_t bytes2 = vldrbq_u8(&pixel[32]);
    sum0 = vmladavaq_u8(sum0, bytes0, lanes0);
    sum1 = vmladavaq_u8(sum1, bytes0, lanes1);
    sum2 = vmladavaq_u8(sum2, bytes0, lanes2);
    sum0 = vmladavaq_u8(sum0, bytes1, lanes2);
    sum1 = vmladavaq_u8(sum1, bytes1, lanes0);
    sum2 = vmladavaq_u8(sum2, bytes1, lanes1);
    sum0 = vmladavaq_u8(sum0, bytes2, lanes1);
    sum1 = vmladavaq_u8(sum1, bytes2, lanes2);
    sum2 = vmladavaq_u8(sum2, bytes2, lanes0);
    pixel += 48;
  }
  sums[0] = sum0;
  sums[1] = sum1;
  sums[2] = sum2;
}

#else
#if defined(__BYTE_ORDER__) && (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
#error "add_blocks takes words for little-endian"
#endif
/* A half of a word holds the sums of 128 blocks: 128 * 2 * 255 < 2^16. */
enum { BLOCK_PX = 4, MAX_BLOCKS = 128 };

static inline uint32_t word_at(const uint8_t *bytes) {
  uint32_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

/* 4 pixels are 3 words. Two bytes of a word are added at once, 0 and 2 or 1
 * and 3; sum01 holds channel 0 in its upper half and 1 in its lower. */
static void add_blocks(const uint8_t *pixel, int32_t num_blocks,
                       uint32_t *sums) {
  const uint32_t bytes = 0x00FF00FFu;
  uint32_t sum01 = 0u;
  uint32_t sum12 = 0u;
  uint32_t sum20 = 0u;
  for (int32_t left = num_blocks; left > 0; --left) {
    const uint32_t word0 = word_at(&pixel[0]);
    const uint32_t word1 = word_at(&pixel[4]);
    const uint32_t word2 = word_at(&pixel[8]);
    sum20 += (word0 & bytes) + ((word2 >> 8) & bytes);
    sum01 += ((word0 >> 8) & bytes) + (word1 & bytes);
    sum12 += ((word1 >> 8) & bytes) + (word2 & bytes);
    pixel += 12;
  }
  sums[0] += (sum01 >> 16) + (sum20 & 0xFFFFu);
  sums[1] += (sum12 >> 16) + (sum01 & 0xFFFFu);
  sums[2] += (sum20 >> 16) + (sum12 & 0xFFFFu);
}
#endif

/* Adds pixels of 3 bytes. */
static void add_pixels(const uint8_t *pixel, int32_t num_pixels,
                       uint32_t *sums) {
  int32_t left = num_pixels;
  while (left >= BLOCK_PX) {
    const int32_t whole = left / BLOCK_PX;
    const int32_t num_blocks = (whole < MAX_BLOCKS) ? whole : MAX_BLOCKS;
    add_blocks(pixel, num_blocks, sums);
    pixel += num_blocks * BLOCK_PX * RPPG_NUM_CHANNELS;
    left -= num_blocks * BLOCK_PX;
  }
  for (; left > 0; --left) {
    sums[0] += pixel[0];
    sums[1] += pixel[1];
    sums[2] += pixel[2];
    pixel += RPPG_NUM_CHANNELS;
  }
}

/* Adds pixels of 2 bytes. */
static void add_packed_pixels(const uint8_t *pixel, int32_t num_pixels,
                              uint32_t *sums) {
#if RPPG_HAS_HELIUM
  const uint8x16_t evens = vreinterpretq_u8_u16(vdupq_n_u16(0x0001u));
  const uint8x16_t odds = vreinterpretq_u8_u16(vdupq_n_u16(0x0100u));
  for (int32_t left = num_pixels; left > 0; left -= 8) {
    const uint8x16_t bytes =
        (left >= 8) ? vldrbq_u8(pixel)
                    : vldrbq_z_u8(pixel, vctp8q(2u * (uint32_t)left));
    const uint8x16_t green = vreinterpretq_u8_u16(
        vshrq_n_u16(vreinterpretq_u16_u8(bytes), 3));
    const uint8x16_t blue = vshlq_n_u8(bytes, 3);
    /* The highest bits are repeated below the lowest. */
    sums[0] = vmladavaq_u8(sums[0], vsriq_n_u8(bytes, bytes, 5), odds);
    sums[1] = vmladavaq_u8(sums[1], vsriq_n_u8(green, green, 6), evens);
    sums[2] = vmladavaq_u8(sums[2], vsriq_n_u8(blue, blue, 5), evens);
    pixel += 16;
  }
#else
  for (int32_t left = num_pixels; left > 0; --left) {
    uint8_t rgb[RPPG_NUM_CHANNELS];
    rppg_unpack_565(pixel, rgb);
    sums[0] += rgb[0];
    sums[1] += rgb[1];
    sums[2] += rgb[2];
    pixel += 2;
  }
#endif
}

void rppg_mean_mid_face(const rppg_image_t *image, const rppg_box_t *box,
                        float rgb[RPPG_NUM_CHANNELS]) {
  const rppg_bounds_t bounds =
      rppg_region_bounds(box, mid_face_percent, image);
  const int32_t width = bounds.x1 - bounds.x0;
  const int32_t height = bounds.y1 - bounds.y0;
  const int32_t first = rppg_first_channel(image);
  uint64_t totals[RPPG_NUM_CHANNELS] = {0u, 0u, 0u};
  rgb[0] = 0.0f;
  rgb[1] = 0.0f;
  rgb[2] = 0.0f;
  if ((width <= 0) || (height <= 0)) {
    return;
  }
  for (int32_t y = bounds.y0; y < bounds.y1; ++y) {
    /* Of up to RPPG_MAX_SIDE_PX pixels: below 2^32. */
    uint32_t sums[RPPG_NUM_CHANNELS] = {0u, 0u, 0u};
    const uint8_t *pixel = rppg_pixel_at(image, bounds.x0, y);
    if (image->format == RPPG_RGB565) {
      add_packed_pixels(pixel, width, sums);
    } else {
      add_pixels(pixel, width, sums);
    }
    totals[0] += sums[0];
    totals[1] += sums[1];
    totals[2] += sums[2];
  }
  const double share = 1.0 / ((double)width * (double)height);
  rgb[0] = (float)((double)totals[first] * share);
  rgb[1] = (float)((double)totals[1] * share);
  rgb[2] = (float)((double)totals[2 - first] * share);
}
