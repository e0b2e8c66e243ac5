/* Runs the firmware over a file, on the host or on a Cortex-M55.
 *
 *   replay frames IN OUT   frames → what became of them (replay.h)
 *   replay run IN OUT      the same with the firmware's own face detector:
 *                          the answers in the frames are not read
 *   replay crops IN OUT    inputs of the CNN, 3,888 bytes each → 16 bytes each
 *   replay waves IN OUT    pulse waves → their beats (replay.h)
 *
 * Linked with -Wl,--wrap=rppg_cnn_run, so that the CNN's ends can be written
 * down. Exit status 0, or 1 and a line on what is wrong.
 */
#include "replay.h"
#include "beat_rate.h"
#include "beat_ring.h"
#include "beats.h"
#include "feature_timeline.h"
#include "rppg_detector.h"
#include "variability.h"

#include <stdio.h>
#include <string.h>

enum { MAX_IMAGE_BYTES = 3 * 1024 * 1024, BUFFER_BYTES = 1 << 16 };

static rppg_state_t state;
static rppg_detector_t detector;
static uint32_t memory[RPPG_DETECTOR_WORDS(640, 480)];
static frame_out_t result;
static uint8_t pixels[MAX_IMAGE_BYTES];
static char buffers[2][BUFFER_BYTES];

rppg_cnn_status_t __real_rppg_cnn_run(const int8_t input[RPPG_CNN_INPUT_BYTES],
                                      int8_t output[RPPG_CNN_OUTPUT_BYTES]);
rppg_cnn_status_t __wrap_rppg_cnn_run(const int8_t input[RPPG_CNN_INPUT_BYTES],
                                      int8_t output[RPPG_CNN_OUTPUT_BYTES]);

rppg_cnn_status_t __wrap_rppg_cnn_run(const int8_t input[RPPG_CNN_INPUT_BYTES],
                                      int8_t output[RPPG_CNN_OUTPUT_BYTES]) {
  const rppg_cnn_status_t status = __real_rppg_cnn_run(input, output);
  const int32_t roi = result.num_cnn_runs;
  if (roi < RPPG_NUM_ROIS) {
    memcpy(result.codes[roi], input, RPPG_CNN_INPUT_BYTES);
    for (int32_t index = 0; index < RPPG_CNN_OUTPUT_BYTES; ++index) {
      result.features[roi * RPPG_CNN_OUTPUT_BYTES + index] = output[index];
    }
  }
  ++result.num_cnn_runs;
  return status;
}

static int complain(const char *what) {
  fprintf(stderr, "replay: %s\n", what);
  return 1;
}

static void note_beats(void) {
  rppg_beat_t beats[FRAME_BEATS];
  result.num_beats = rppg_beats(&state, beats, FRAME_BEATS);
  for (uint32_t index = 0u; index < result.num_beats; ++index) {
    result.beat_time_us[index] = beats[index].time_us;
    result.beat_quality[index] = beats[index].quality;
  }
}

static void note_answers(void) {
  rppg_box_t box = {0, 0, 0, 0};
  result.estimate_status = (int32_t)rppg_estimate(&state, &result.estimate);
  note_beats();
  (void)rppg_mid_face(&state, result.mid_face_rgb);
  result.has_box = (rppg_face_box(&state, &box) == RPPG_OK);
  result.box[0] = box.x;
  result.box[1] = box.y;
  result.box[2] = box.width;
  result.box[3] = box.height;
}

static rppg_status_t push(const frame_in_t *frame, const rppg_image_t *image) {
  const rppg_face_t face = {(rppg_detection_t)frame->detection,
                            frame->x_px,
                            frame->y_px,
                            frame->width_px,
                            frame->height_px,
                            frame->age_us};
  return rppg_push_frame(&state, image, &face, frame->time_us);
}

static void take_frame(const frame_in_t *frame, int own_detector) {
  const rppg_image_t image = {pixels, frame->image_width_px,
                              frame->image_height_px, frame->stride_bytes,
                              (rppg_pixel_format_t)frame->format};
  memset(&result, 0, sizeof result);
  result.was_detection_due = rppg_is_detection_due(&state, frame->time_us);
  const rppg_status_t status =
      own_detector ? rppg_run(&state, &detector, &image, frame->time_us)
                   : push(frame, &image);
  result.push_status = (int32_t)status;
  memcpy(&result.features[RPPG_NUM_ROI_FEATURES],
         &rppg_timeline_newer(&state.timeline)->codes[RPPG_NUM_ROI_FEATURES],
         RPPG_NUM_CHROMINANCE * sizeof result.features[0]);
  note_answers();
}

static int replay_frames(FILE *in, FILE *out, int own_detector) {
  frame_in_t frame;
  if ((rppg_init(&state) != RPPG_OK) ||
      (rppg_detector_init(&detector, memory,
                          sizeof memory / sizeof memory[0]) != RPPG_OK)) {
    return complain("it does not start");
  }
  while (fread(&frame, sizeof frame, 1, in) == 1) {
    const uint64_t num_bytes =
        (uint64_t)frame.stride_bytes * frame.image_height_px;
    if (num_bytes > MAX_IMAGE_BYTES) {
      return complain("an image is larger than 3 MiB");
    }
    if (fread(pixels, 1, (size_t)num_bytes, in) != num_bytes) {
      return complain("the file ends within an image");
    }
    take_frame(&frame, own_detector);
    if (fwrite(&result, sizeof result, 1, out) != 1) {
      return complain("cannot write");
    }
    fflush(out);
  }
  return 0;
}

static int replay_crops(FILE *in, FILE *out) {
  int8_t input[RPPG_CNN_INPUT_BYTES];
  int8_t output[RPPG_CNN_OUTPUT_BYTES];
  if (rppg_cnn_init() != RPPG_CNN_OK) {
    return complain("rppg_cnn_init failed");
  }
  while (fread(input, sizeof input, 1, in) == 1) {
    if (__real_rppg_cnn_run(input, output) != RPPG_CNN_OK) {
      return complain("rppg_cnn_run failed");
    }
    if (fwrite(output, sizeof output, 1, out) != 1) {
      return complain("cannot write");
    }
  }
  rppg_cnn_deinit();
  return 0;
}

/* The beats of the next sample, and what they say now and then. */
static void take_sample(float pulse, int32_t number, rppg_beat_ring_t *ring,
                        wave_out_t *out) {
  memset(out, 0, sizeof *out);
  out->is_beat = rppg_beats_push(&state.beats, pulse, &out->beat);
  if (out->is_beat) {
    rppg_beat_ring_put(ring, &out->beat);
  } else {
    memset(&out->beat, 0, sizeof out->beat);
  }
  if ((number + 1) % RATE_STRIDE == 0) {
    rppg_read_beat_rate(&state.beats, &out->rate);
    rppg_measure_variability(ring, &out->variability);
  }
}

static int replay_waves(FILE *in, FILE *out) {
  int32_t num_samples = 0;
  float pulse = 0.0f;
  wave_out_t sample;
  while (fread(&num_samples, sizeof num_samples, 1, in) == 1) {
    rppg_beats_init(&state.beats);
    memset(&state.found, 0, sizeof state.found);
    for (int32_t number = 0; number < num_samples; ++number) {
      if (fread(&pulse, sizeof pulse, 1, in) != 1) {
        return complain("the file ends within a wave");
      }
      take_sample(pulse, number, &state.found, &sample);
      if (fwrite(&sample, sizeof sample, 1, out) != 1) {
        return complain("cannot write");
      }
    }
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    return complain("expected frames|run|crops|waves IN OUT");
  }
  FILE *in = fopen(argv[2], "rb");
  FILE *out = fopen(argv[3], "wb");
  if ((in == NULL) || (out == NULL)) {
    return complain("cannot open the files");
  }
  (void)setvbuf(in, buffers[0], _IOFBF, BUFFER_BYTES);
  (void)setvbuf(out, buffers[1], _IOFBF, BUFFER_BYTES);
  int status = 1;
  if (strcmp(argv[1], "frames") == 0) {
    status = replay_frames(in, out, 0);
  } else if (strcmp(argv[1], "run") == 0) {
    status = replay_frames(in, out, 1);
  } else if (strcmp(argv[1], "crops") == 0) {
    status = replay_crops(in, out);
  } else if (strcmp(argv[1], "waves") == 0) {
    status = replay_waves(in, out);
  } else {
    status = complain("expected frames, run, crops or waves");
  }
  (void)fclose(in);
  return ((fclose(out) == 0) && (status == 0)) ? 0 : 1;
}
