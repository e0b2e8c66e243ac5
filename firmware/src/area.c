#include "area.h"

#include <math.h>

static rppg_side_t side_of(int32_t start, int32_t num_pixels,
                           int32_t num_targets) {
  const int32_t repeats = (num_targets + num_pixels - 1) / num_pixels;
  const int32_t length = num_pixels * repeats;
  /* In these two steps: the last bit counts. */
  const double inverse = (double)num_targets / (double)length;
  const double scale = 1.0 / inverse;
  const int32_t whole = length / num_targets;
  const rppg_side_t side = {start, repeats, length,
                            ((double)whole == scale) ? whole : 0, scale};
  return side;
}

rppg_area_t rppg_area_of(const rppg_bounds_t *bounds, int32_t width,
                         int32_t height) {
  rppg_area_t area = {side_of(bounds->x0, bounds->x1 - bounds->x0, width),
                      side_of(bounds->y0, bounds->y1 - bounds->y0, height),
                      {1.0f, 0.0f}};
  const int32_t num_pixels = area.columns.whole * area.rows.whole;
  if (num_pixels > 0) {
    area.rounding.share = (float)(1.0 / (double)num_pixels);
    /* Halves of 2x2 pixels go up. */
    area.rounding.bias =
        ((area.columns.whole == 2) && (area.rows.whole == 2)) ? 0.125f : 0.0f;
  } else {
    area.columns.whole = 0;
    area.rows.whole = 0;
  }
  return area;
}

/* Source [from, to) of target pixel `target`: a pixel that lies in it by less
 * than a thousandth is left out. Of a whole scale all weights are 1: whole
 * numbers below 2^24 are summed, which is exact. */
rppg_span_t rppg_span_at(const rppg_side_t *side, int32_t target) {
  const double slack = 1e-3;
  const double from = (double)target * side->scale;
  const double to = from + side->scale;
  const double rest = (double)side->length - from;
  const double part = (side->scale < rest) ? side->scale : rest;
  const double width = (side->whole > 0) ? 1.0 : part;
  int32_t whole_to = (int32_t)floor(to);
  whole_to = (whole_to < side->length - 1) ? whole_to : side->length - 1;
  int32_t whole_from = (int32_t)ceil(from);
  whole_from = (whole_from < whole_to) ? whole_from : whole_to;
  const double before = (double)whole_from - from;
  const double after = to - (double)whole_to;
  const int32_t has_before = (before > slack);
  const int32_t has_after = (after > slack);
  const int32_t num = (whole_to - whole_from) + has_before + has_after;
  const float middle = (float)(1.0 / width);
  rppg_span_t span;
  span.first = (uint16_t)(has_before ? whole_from - 1 : whole_from);
  span.num = (uint16_t)num;
  span.middle_weight = middle;
  span.first_weight = has_before ? (float)(before / width) : middle;
  span.last_weight = middle;
  if (has_after) {
    const double capped = (after < 1.0) ? after : 1.0;
    span.last_weight = (float)(((capped < width) ? capped : width) / width);
  }
  if ((num == 1) && !has_before) {
    span.first_weight = span.last_weight;
  }
  return span;
}
