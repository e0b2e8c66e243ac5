/* Heart rate of a file of raw frames.
 *
 *   rppg_host FILE WIDTH HEIGHT FORMAT FPS MIN_CONFIDENCE
 *
 * FILE holds frames of WIDTH x HEIGHT pixels, one after the other and nothing
 * between them; FORMAT is rgb888, bgr888 or rgb565 (low byte first), FPS their
 * rate in Hz. MIN_CONFIDENCE is the threshold in the confidence.json of the
 * model's run.
 *
 * Prints a line for every second from the tenth on, and for earlier ones that
 * have a heart rate: the time, then the heart rate and its confidence, or why
 * there is none. Exit status 0 if a heart rate was printed; 1 if none was or
 * FILE cannot be used; 2 for wrong arguments; with one line on stderr.
 *
 * For instance, 640x480:
 *   ffmpeg -i me.mp4 -f rawvideo -pix_fmt bgr24 me.bgr
 *   rppg_host me.bgr 640 480 bgr888 30 0.95
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rppg_detector.h"

enum { NUM_ARGUMENTS = 6, EXIT_USAGE = 2 };

typedef struct {
  const char *path;
  rppg_image_t image;
  double rate_hz;
  double min_confidence;
} arguments_t;

/* --- Arguments -------------------------------------------------------------
 */

/* Whether text is a number within [low, high]; says so if it is not. */
static int32_t read_number(const char *name, const char *text, double low,
                           double high, double *number) {
  char *end = NULL;
  *number = strtod(text, &end);
  if ((end != text) && (*end == '\0') && (*number >= low) &&
      (*number <= high)) {
    return 1;
  }
  (void)fprintf(stderr,
                "rppg_host: %s: expected a number from %g to %g, got '%s'\n",
                name, low, high, text);
  return 0;
}

/* The same of a whole number. */
static int32_t read_whole(const char *name, const char *text, double low,
                          double high, int32_t *whole) {
  double number = 0.0;
  if (!read_number(name, text, low, high, &number)) {
    return 0;
  }
  *whole = (int32_t)number;
  if ((double)*whole != number) {
    (void)fprintf(stderr, "rppg_host: %s: expected a whole number, got '%s'\n",
                  name, text);
    return 0;
  }
  return 1;
}

static int32_t read_format(const char *text, rppg_pixel_format_t *format) {
  static const char *const names[] = {"rgb888", "bgr888", "rgb565"};
  static const rppg_pixel_format_t formats[] = {RPPG_RGB888, RPPG_BGR888,
                                                RPPG_RGB565};
  for (size_t index = 0; index < sizeof names / sizeof names[0]; ++index) {
    if (strcmp(text, names[index]) == 0) {
      *format = formats[index];
      return 1;
    }
  }
  (void)fprintf(
      stderr,
      "rppg_host: FORMAT: expected rgb888, bgr888 or rgb565, got '%s'\n", text);
  return 0;
}

static int32_t read_arguments(char **words, arguments_t *arguments) {
  rppg_image_t *image = &arguments->image;
  int32_t width = 0;
  int32_t height = 0;
  arguments->path = words[0];
  if (!read_whole("WIDTH", words[1], 1, RPPG_MAX_SIDE_PX, &width) ||
      !read_whole("HEIGHT", words[2], 1, RPPG_MAX_SIDE_PX, &height) ||
      !read_format(words[3], &image->format) ||
      !read_number("FPS", words[4], 1, 1000, &arguments->rate_hz) ||
      !read_number("MIN_CONFIDENCE", words[5], 0, 1,
                   &arguments->min_confidence)) {
    return 0;
  }
  image->width_px = (uint32_t)width;
  image->height_px = (uint32_t)height;
  image->stride_bytes =
      image->width_px * ((image->format == RPPG_RGB565) ? 2u : 3u);
  return 1;
}

/* --- Frames ----------------------------------------------------------------
 */

typedef struct {
  int64_t num_frames;
  uint32_t last_second;
  int32_t num_heart_rates;
} progress_t;

static rppg_status_t take_frame(rppg_state_t *state, rppg_detector_t *detector,
                                const arguments_t *arguments,
                                const uint8_t *pixels, int64_t frame) {
  const int64_t time_us = llround((double)frame * 1.0e6 / arguments->rate_hz);
  rppg_image_t image = arguments->image;
  image.pixels = pixels;
  return rppg_run(state, detector, &image, time_us);
}

/* Prints a line if the newest frame completed a second. */
static void print_second(const rppg_state_t *state, double min_confidence,
                         progress_t *progress) {
  rppg_estimate_t estimate;
  const rppg_status_t status = rppg_estimate(state, &estimate);
  const uint32_t second = estimate.num_samples / RPPG_GRID_RATE_HZ;
  const int32_t is_sure =
      (status == RPPG_OK) && ((double)estimate.confidence >= min_confidence);
  if ((second == progress->last_second) ||
      ((second < RPPG_WINDOW_S) && !is_sure)) {
    return;
  }
  progress->last_second = second;
  (void)printf("%lu s: ", (unsigned long)second);
  if (status == RPPG_NO_FACE) {
    (void)printf("no face in the last 10 s\n");
  } else if (status == RPPG_GAP) {
    (void)printf("gap in the last 10 s\n");
  } else if (!is_sure) {
    (void)printf("rejected, confidence %.2f\n", (double)estimate.confidence);
  } else {
    (void)printf("%.1f BPM, confidence %.2f\n", (double)estimate.heart_rate_bpm,
                 (double)estimate.confidence);
    ++progress->num_heart_rates;
  }
}

/* What lives as long as a measurement does. */
typedef struct {
  rppg_state_t state;
  rppg_detector_t detector;
  uint32_t *memory; /* of the detector */
  uint8_t *pixels;  /* of one frame */
  size_t frame_bytes;
} run_t;

/* Measures all frames of a file, one by one; returns the exit status. */
static int measure(FILE *file, const arguments_t *arguments, run_t *run) {
  progress_t progress = {0, 0u, 0};
  size_t num_bytes = 0;
  while ((num_bytes = fread(run->pixels, 1, run->frame_bytes, file)) ==
         run->frame_bytes) {
    const rppg_status_t status =
        take_frame(&run->state, &run->detector, arguments, run->pixels,
                   progress.num_frames);
    if (status < 0) {
      (void)fprintf(stderr, "rppg_host: frame %lld was not used: status %d\n",
                    (long long)progress.num_frames, (int)status);
      return EXIT_FAILURE;
    }
    ++progress.num_frames;
    print_second(&run->state, arguments->min_confidence, &progress);
  }
  const char *problem = NULL;
  if (ferror(file) != 0) {
    problem = "cannot be read";
  } else if (num_bytes != 0u) {
    problem = "ends within a frame; are WIDTH, HEIGHT and FORMAT the file's?";
  } else if (progress.num_heart_rates == 0) {
    problem = "no heart rate";
  } else {
    return EXIT_SUCCESS;
  }
  (void)fprintf(stderr, "rppg_host: %s: after %lld frames: %s\n",
                arguments->path, (long long)progress.num_frames, problem);
  return EXIT_FAILURE;
}

/* Whether all that a measurement needs is there. */
static int32_t start(run_t *run, const arguments_t *arguments) {
  const rppg_image_t *image = &arguments->image;
  const uint32_t num_words =
      RPPG_DETECTOR_WORDS(image->width_px, image->height_px);
  run->frame_bytes = (size_t)image->stride_bytes * image->height_px;
  run->pixels = malloc(run->frame_bytes);
  run->memory = malloc(num_words * sizeof *run->memory);
  return (run->pixels != NULL) && (rppg_init(&run->state) == RPPG_OK) &&
         (rppg_detector_init(&run->detector, run->memory, num_words) ==
          RPPG_OK);
}

int main(int argc, char **argv) {
  arguments_t arguments = {0};
  if (argc != NUM_ARGUMENTS + 1) {
    (void)fprintf(stderr,
                  "rppg_host: expected FILE WIDTH HEIGHT FORMAT FPS "
                  "MIN_CONFIDENCE\n");
    return EXIT_USAGE;
  }
  if (!read_arguments(&argv[1], &arguments)) {
    return EXIT_USAGE;
  }
  FILE *file = fopen(arguments.path, "rb");
  if (file == NULL) {
    (void)fprintf(stderr, "rppg_host: %s: cannot be opened\n", arguments.path);
    return EXIT_FAILURE;
  }
  static run_t run;
  int exit_status = EXIT_FAILURE;
  if (start(&run, &arguments)) {
    exit_status = measure(file, &arguments, &run);
  } else {
    (void)fprintf(stderr, "rppg_host: no memory, or the CNN does not start\n");
  }
  free(run.pixels);
  free(run.memory);
  (void)fclose(file);
  return exit_status;
}
