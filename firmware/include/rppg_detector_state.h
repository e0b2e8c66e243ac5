/* What rppg_detector_t is made of. Private: a caller allocates the detector and
 * reads none of it. Included by rppg_detector.h.
 */
#ifndef RPPG_DETECTOR_STATE_H
#define RPPG_DETECTOR_STATE_H

#ifndef RPPG_DETECTOR_H
#error "include rppg_detector.h"
#endif

/* The size that an image is reduced to, or a little more. */
#define RPPG_DETECTOR_WIDTH_PX(width_px)                    \
  (((width_px) < RPPG_DETECTION_WIDTH_PX) ? (width_px) + 0u \
                                          : RPPG_DETECTION_WIDTH_PX + 0u)
#define RPPG_DETECTOR_HEIGHT_PX(width_px, height_px)                        \
  (((width_px) <= RPPG_DETECTION_WIDTH_PX)                                  \
       ? (height_px) + 0u                                                   \
       : ((height_px) * (RPPG_DETECTION_WIDTH_PX + 0u) + (width_px) - 1u) / \
             (width_px))

/* Rows of sums of the widest level of the pyramid that are kept; of a narrower
 * one more fit. */
#define RPPG_DETECTOR_BAND_ROWS 32u
/* Sums and sums of squares. */
#define RPPG_DETECTOR_BAND_WORDS(width_px) \
  (2u * RPPG_DETECTOR_BAND_ROWS * ((width_px) + 1u))

/* Windows that are carried through the stages together; of one row at most
 * half as wide as it. */
#define RPPG_MAX_WINDOWS 1024
/* Windows that passed all stages. Further ones, which are smaller, are left
 * out. */
#define RPPG_MAX_HITS 1024
/* Groups of hits that count: each has more than RPPG_NEAR_MIN_NEIGHBOURS. */
#define RPPG_MAX_GROUPS (RPPG_MAX_HITS / (RPPG_NEAR_MIN_NEIGHBOURS + 1))

/* Windows at one level. Three more than there are make whole vectors. */
typedef struct {
  int32_t num;
  uint16_t offsets[RPPG_MAX_WINDOWS + 3]; /* words into the sums */
  float norms[RPPG_MAX_WINDOWS + 3];      /* 1 / deviation of the pixels */
  int32_t totals[RPPG_MAX_WINDOWS + 3];   /* of the stage */
} rppg_windows_t;

/* What reducing a wide image needs: spans, and rows of three channels. */
typedef struct {
  rppg_span_t spans[RPPG_DETECTION_WIDTH_PX];
  float row[RPPG_NUM_CHANNELS * RPPG_DETECTION_WIDTH_PX];
  float sums[RPPG_NUM_CHANNELS * RPPG_DETECTION_WIDTH_PX];
} rppg_reduction_t;

/* Grey pixels of the image, or of a part of it. */
typedef struct {
  rppg_bounds_t part; /* of the image */
  int32_t width, height;
  int32_t next_row;    /* to be made */
  int32_t next_source; /* of a reduced one: the image's row in its span, */
  int32_t summed_y;    /* and the one whose spans are summed up */
  uint8_t is_reduced;
} rppg_grey_t;

/* A level of the pyramid. Of its integral images a band of rows is kept. */
typedef struct {
  float scale;
  int32_t width, height;       /* pixels */
  int32_t columns, rows, step; /* windows: x < columns, y < rows */
  int32_t stride;              /* words from a row of sums to the next */
  int32_t band_rows;           /* that fit */
  int32_t first_row;           /* of the integral image, in the band */
  int32_t next_row;            /* of the integral image, to be made */
  int32_t next_y;              /* row of windows to be looked at */
  /* A pixel lies between grey pixels `offset` and the next, by `weight` / 256.
   */
  uint16_t offsets[RPPG_DETECTION_WIDTH_PX];
  uint16_t weights[RPPG_DETECTION_WIDTH_PX];
  uint8_t pixels[RPPG_DETECTION_WIDTH_PX]; /* of one row */
} rppg_level_t;

/* A square that passed, in grey pixels. */
typedef struct {
  int16_t x, y, side;
  uint16_t group; /* first hit of its group */
} rppg_hit_t;

/* Sums over the hits of a group, then their means. */
typedef struct {
  int32_t x, y, side, num;
} rppg_hit_group_t;

typedef struct {
  int32_t num;
  int32_t next; /* to be held against those before it */
  rppg_hit_t hits[RPPG_MAX_HITS];
} rppg_hits_t;

/* Groups of hits, and which of them stay. */
typedef struct {
  int32_t num;
  int32_t next; /* to be held against the others */
  int32_t num_faces;
  rppg_box_t largest;
  rppg_hit_group_t groups[RPPG_MAX_GROUPS];
  uint16_t counts[RPPG_MAX_HITS];
} rppg_groups_t;

/* One search with a least size, of cv2's detectMultiScale. */
typedef struct {
  double step;         /* from a scale to the next */
  int32_t first_level; /* of faces that are large enough */
  int32_t end_level;   /* beyond the last */
  int32_t next_level;  /* to be searched; then those before it */
} rppg_scan_t;

typedef struct {
  uint32_t *memory;
  uint32_t num_words;
  rppg_image_t image;
  int64_t time_us;
  rppg_box_t tracked;    /* face in view */
  rppg_bounds_t near_px; /* where it is looked for first */
  uint8_t has_tracked, has_near;
  uint8_t phase, aim;
  uint8_t has_answer, is_found;
  rppg_box_t found;
  uint32_t num_faces;
  int32_t near_looks_left;
  int32_t looks_left_to_count;
  double reduction; /* image pixels a grey pixel */
  rppg_scan_t scan;
  int32_t stage;       /* of the windows */
  int32_t next_window; /* to be taken through it */
  int32_t num_passed;  /* of those before */
  rppg_grey_t grey;
  rppg_level_t level;
  rppg_hits_t hits;
  union {
    rppg_reduction_t reduction;
    rppg_windows_t windows;
    rppg_groups_t groups;
  } work; /* one after the other */
} rppg_detector_t;

#endif /* RPPG_DETECTOR_STATE_H */
