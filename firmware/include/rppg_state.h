/* What rppg_state_t is made of. Private: a caller allocates the state and reads
 * none of it; members change without a change of RPPG_VERSION_MAJOR. Included
 * by rppg.h, which has the types above it.
 */
#ifndef RPPG_STATE_H
#define RPPG_STATE_H

#ifndef RPPG_H
#error "include rppg.h"
#endif

#include "temporal_head.h"

typedef struct {
  rppg_box_t recent[RPPG_NUM_RECENT_DETECTIONS]; /* ring */
  int32_t num_recent;
  int32_t next_recent;
  rppg_box_t box;
  uint8_t has_box;
  uint8_t is_settled;
  uint8_t has_missed; /* the last detection found nothing, or none was made */
  int64_t last_try_us;
  int64_t last_seen_us;
} rppg_face_box_t;

/* Pixels [x0, x1) x [y0, y1) of an image; none where x1 <= x0 or y1 <= y0. */
typedef struct {
  int32_t x0, x1, y0, y1;
} rppg_bounds_t;

/* How far the head has moved, to the right and down, in 1/RPPG_SUBPIXELS of a
 * pixel. */
typedef struct {
  int32_t x, y;
} rppg_shift_t;

typedef struct {
  rppg_box_t box; /* that the templates are of; zeros without one */
  rppg_shift_t shift;
  /* Sums over the columns and over the rows of the box, mean 1. */
  float template_x[RPPG_MAX_BINS];
  float template_y[RPPG_MAX_BINS];
  uint8_t has_template;
} rppg_face_motion_t;

/* The source pixels of one target pixel along one side: `num` from `first`
 * on, with weights that differ at both ends. */
typedef struct {
  uint16_t first;
  uint16_t num;
  float first_weight;
  float middle_weight;
  float last_weight;
} rppg_span_t;

/* One source pixel of each of four target pixels side by side. */
typedef struct {
  uint16_t offsets[4]; /* bytes from the region's first pixel in the row */
  float weights[4];
} rppg_tap_t;

/* Of the widest row there is: a ninth of it. */
#define RPPG_MAX_TAPS (RPPG_MAX_SIDE_PX / RPPG_ROI_SIZE_PX + 3)

/* What cutting a region needs for a moment; here it is not on the stack. */
typedef struct {
  uint16_t num_taps[RPPG_ROI_SIZE_PX / 4];
  union {
    rppg_tap_t taps[RPPG_MAX_TAPS];      /* with Helium */
    rppg_span_t spans[RPPG_ROI_SIZE_PX]; /* without */
  } columns;
  /* Channel by channel. */
  float row[RPPG_NUM_CHANNELS * RPPG_ROI_SIZE_PX];
  float sums[RPPG_NUM_CHANNELS * RPPG_ROI_SIZE_PX];
} rppg_cut_scratch_t;

typedef struct {
  /* Small members first: their addresses take less code. */
  double last_s;
  uint32_t frames_seen;
  float colour[RPPG_NUM_CHANNELS]; /* of the mid face */
  float background[RPPG_NUM_ROIS]
                  [RPPG_ROI_SIZE_PX * RPPG_ROI_SIZE_PX * RPPG_NUM_CHANNELS];
} rppg_background_t;

/* What a frame leaves for the temporal head: the regions' features, then the
 * mid face's chrominance. */
typedef struct {
  int16_t codes[RPPG_NUM_FRAME_FEATURES];
} rppg_features_t;

typedef struct {
  rppg_features_t frames[2];
  double elapsed_s[2];
  int32_t newest;      /* index of the newest frame above */
  uint32_t num_frames; /* stays at 2 once there */
  uint32_t num_samples;
} rppg_timeline_t;

/* Interval from beat to beat that the resonators of the pulse wave expect, in
 * samples of the grid, and the share of the wave's power that they hear there.
 */
typedef struct {
  float expected;
  float purity;
} rppg_witness_t;

/* Where the filtered wave peaks. */
typedef struct {
  uint32_t sample; /* of the grid, since the start */
  float fraction;  /* from that sample on, in [-0.5, 0.5] */
  float level;     /* its rise by that of a sine of the wave's scale */
  rppg_witness_t witness;
} rppg_peak_t;

/* Looks for peaks, one filtered sample after the other. */
typedef struct {
  int32_t num_values; /* stays at 2 once there */
  float before;       /* the newest but one */
  float centre;       /* the newest */
  float trough;       /* least since the last peak */
} rppg_peak_finder_t;

#define RPPG_BEAT_NUM_TAPS (2 * RPPG_BEAT_FILTER_DELAY + 1)

typedef struct {
  uint32_t num_samples;
  float inputs[RPPG_BEAT_NUM_TAPS]; /* of the wave, the oldest first */
  float mean_square;                /* of the filtered wave */
  rppg_peak_finder_t finder;
  float real[RPPG_BEAT_NUM_RESONATORS];
  float imaginary[RPPG_BEAT_NUM_RESONATORS];
  rppg_witness_t witness;
  int32_t num_candidates;
  rppg_peak_t candidates[RPPG_BEAT_MAX_CANDIDATES]; /* the oldest first */
  uint32_t last_sample; /* of the last beat that became final */
  float last_fraction;
  uint8_t has_beat;
} rppg_beat_stream_t;

/* A beat that is final, where the filtered wave peaks. */
typedef struct {
  uint32_t sample; /* of the grid, since the start */
  float fraction;  /* from that sample on, in [-0.5, 0.5] */
  float quality;
} rppg_found_beat_t;

typedef struct {
  uint32_t num;                            /* found since the start */
  uint32_t num_given;                      /* of these, handed out, or lost */
  rppg_found_beat_t beats[RPPG_NUM_BEATS]; /* ring: number i at i % its size */
} rppg_beat_ring_t;

typedef struct {
  rppg_face_box_t face_box;
  rppg_face_motion_t motion;
  rppg_background_t background;
  rppg_timeline_t timeline;
  temporal_head_state_t head;
  rppg_beat_stream_t beats;
  rppg_beat_ring_t found;
  rppg_cut_scratch_t scratch;
  int8_t codes[RPPG_ROI_SIZE_PX * RPPG_ROI_SIZE_PX * RPPG_NUM_CHANNELS];
  int64_t origin_us;    /* time of the first frame used */
  int64_t last_used_us; /* time of the newest frame used */
  int64_t last_us;      /* time of the newest frame, used or not */
  double last_no_face_s;
  double last_gap_s;
  float mid_face_rgb[RPPG_NUM_CHANNELS];
  uint8_t has_used;   /* a frame was used since the start */
  uint8_t has_frames; /* a frame was pushed since rppg_init */
} rppg_state_t;

#endif /* RPPG_STATE_H */
