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
  uint32_t sum0 = sums[0];
  uint32_t sum1 = sums[1];
  uint32_t sum2 = sums[2];
  int32_t left = num_pixels;
#if RPPG_HAS_HELIUM
  const uint8x16_t firsts = vreinterpretq_u8_u16(vdupq_n_u16(0x0001u));
  const uint8x16_t seconds = vreinterpretq_u8_u16(vdupq_n_u16(0x0100u));
  /* Blue's bits are the lower ones of the first byte, red's the upper ones of
   * the second. */
  const uint8x16_t to_top = vreinterpretq_u8_u16(vdupq_n_u16(0x0108u));
  for (; left >= 8; left -= 8) {
    const uint8x16_t bytes = vldrbq_u8(pixel);
    const uint8x16_t ends = vmulq_u8(bytes, to_top);
    const uint8x16_t green =
        vreinterpretq_u8_u16(vshrq_n_u16(vreinterpretq_u16_u8(bytes), 3));
    /* The highest bits are repeated below the lowest. */
    const uint8x16_t blue_red = vsriq_n_u8(ends, ends, 5);
    sum0 = vmladavaq_u8(sum0, blue_red, seconds);
    sum1 = vmladavaq_u8(sum1, vsriq_n_u8(green, green, 6), firsts);
    sum2 = vmladavaq_u8(sum2, blue_red, firsts);
    pixel += 16;
  }
#endif
  for (; left > 0; --left) {
    uint8_t rgb[RPPG_NUM_CHANNELS];
    rppg_unpack_565(pixel, rgb);
    sum0 += rgb[0];
    sum1 += rgb[1];
    sum2 += rgb[2];
    pixel += 2;
  }
  sums[0] = sum0;
  sums[1] = sum1;
  sums[2] = sum2;
}

/* One side of a rectangle whose edges may lie between pixels. */
typedef struct {
  int32_t first; /* pixel */
  int32_t num;   /* pixels that lie in it, be it in part */
  /* In 1/RPPG_SUBPIXELS pixel: how long it is, and what of its first and last
   * pixel lies outside. */
  uint32_t length;
  uint32_t before;
  uint32_t after;
} extent_t;

/* num is 0 where nothing is in the image. */
static extent_t side_between(int32_t from_px, int32_t to_px, int32_t shift,
                             uint32_t image_px) {
  const int32_t limit = (int32_t)image_px * RPPG_SUBPIXELS;
  const int32_t shifted_from = from_px * RPPG_SUBPIXELS + shift;
  const int32_t shifted_to = to_px * RPPG_SUBPIXELS + shift;
  const uint32_t from = (uint32_t)((shifted_from > 0) ? shifted_from : 0);
  const int32_t to = (shifted_to < limit) ? shifted_to : limit;
  extent_t side = {0, 0, 0u, 0u, 0u};
  if (to > (int32_t)from) {
    const uint32_t end = ((uint32_t)to + RPPG_SUBPIXELS - 1u) / RPPG_SUBPIXELS;
    side.first = (int32_t)(from / RPPG_SUBPIXELS);
    side.num = (int32_t)end - side.first;
    side.length = (uint32_t)to - from;
    side.before = from % RPPG_SUBPIXELS;
    side.after = end * RPPG_SUBPIXELS - (uint32_t)to;
  }
  return side;
}

/* totals += weight * sums of a row: whole numbers below 2^53. */
static void add_row(const rppg_image_t *image, const extent_t *columns,
                    int32_t y, uint32_t weight, double *totals) {
  /* Of up to RPPG_MAX_SIDE_PX pixels: times SUBPIXELS^2 below 2^32. */
  uint32_t sums[RPPG_NUM_CHANNELS] = {0u, 0u, 0u};
  uint8_t first[RPPG_NUM_CHANNELS];
  uint8_t last[RPPG_NUM_CHANNELS];
  const int32_t end = columns->first + columns->num - 1;
  const uint8_t *pixel = rppg_pixel_at(image, columns->first, y);
  const uint8_t *last_pixel = rppg_pixel_at(image, end, y);
  if (image->format == RPPG_RGB565) {
    add_packed_pixels(pixel, columns->num, sums);
    rppg_unpack_565(pixel, first);
    rppg_unpack_565(last_pixel, last);
  } else {
    add_pixels(pixel, columns->num, sums);
    memcpy(first, pixel, sizeof first);
    memcpy(last, last_pixel, sizeof last);
  }
  for (int32_t channel = 0; channel < RPPG_NUM_CHANNELS; ++channel) {
    const uint32_t sum = weight * (RPPG_SUBPIXELS * sums[channel] -
                                   columns->before * first[channel] -
                                   columns->after * last[channel]);
    totals[channel] += (double)sum;
  }
}

void rppg_mean_mid_face(const rppg_image_t *image, const rppg_box_t *box,
                        const rppg_shift_t *shift,
                        float rgb[RPPG_NUM_CHANNELS]) {
  const rppg_bounds_t region = rppg_region_px(box, mid_face_percent);
  const extent_t columns =
      side_between(region.x0, region.x1, shift->x, image->width_px);
  const extent_t rows =
      side_between(region.y0, region.y1, shift->y, image->height_px);
  const int32_t first = rppg_first_channel(image);
  double totals[RPPG_NUM_CHANNELS] = {0.0, 0.0, 0.0};
  rgb[0] = 0.0f;
  rgb[1] = 0.0f;
  rgb[2] = 0.0f;
  if ((columns.num == 0) || (rows.num == 0)) {
    return;
  }
  for (int32_t row = 0; row < rows.num; ++row) {
    uint32_t weight = RPPG_SUBPIXELS;
    weight -= (row == 0) ? rows.before : 0u;
    weight -= (row == rows.num - 1) ? rows.after : 0u;
    add_row(image, &columns, rows.first + row, weight, totals);
  }
  const double share = 1.0 / ((double)columns.length * (double)rows.length);
  rgb[0] = (float)(totals[first] * share);
  rgb[1] = (float)(totals[1] * share);
  rgb[2] = (float)(totals[2 - first] * share);
}
