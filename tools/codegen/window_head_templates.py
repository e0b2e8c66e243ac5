"""C text of the window head: see temporal_head_templates.py."""

from string import Template

from tools.codegen.temporal_head_templates import INIT_AND_PUSH

OUTPUTS = """\
 * Output  heart rate in BPM. This head has neither confidence nor pulse wave:
 *         both are always 0."""

STATE = Template("""\
typedef struct {
  float columns[$window_samples][$num_features]; /* ring */
  int32_t slot;         /* where the ring is written next */
  int32_t samples_seen; /* stays at $window_samples once there */
} temporal_head_state_t;
""")

_ENUM = """\
enum { NUM_FRAMES = $num_frames, FRAME_STRIDE = $frame_stride };

"""

_REST = """\
  interpolate(older, newer, fraction, state->columns[state->slot]);
  state->slot = next_slot(state->slot, TEMPORAL_HEAD_WINDOW_SAMPLES);
  if (state->samples_seen < TEMPORAL_HEAD_WINDOW_SAMPLES) {
    ++state->samples_seen;
  }
  return TEMPORAL_HEAD_OK;
}

/* conv1's outputs at one frame, frames beyond the window counting as zero. */
static void convolve_features(const temporal_head_state_t *state,
                              int32_t frame, float *outputs) {
  start_sums(&conv1, outputs);
  for (int32_t tap = 0; tap < $conv1_taps; ++tap) {
    const int32_t at = frame + tap - ($conv1_taps - 1) / 2;
    if (at >= 0 && at < NUM_FRAMES) {
      const int32_t slot =
          (state->slot + at * FRAME_STRIDE) % TEMPORAL_HEAD_WINDOW_SAMPLES;
      add_taps(&conv1, tap, 1, state->columns[slot], outputs);
    }
  }
  add_bias(&conv1, outputs);
  rectify(outputs, $conv1_channels);
}

/* The same of conv2 over conv1's outputs, that of frame f in slot f % taps. */
static void convolve_hidden(float hidden[$conv2_taps][$conv1_channels],
                            int32_t frame, float *outputs) {
  start_sums(&conv2, outputs);
  for (int32_t tap = 0; tap < $conv2_taps; ++tap) {
    const int32_t at = frame + tap - ($conv2_taps - 1) / 2;
    if (at >= 0 && at < NUM_FRAMES) {
      add_taps(&conv2, tap, 1, hidden[at % $conv2_taps], outputs);
    }
  }
  add_bias(&conv2, outputs);
  rectify(outputs, $conv2_channels);
}

/* dense1 takes the frames one by one as its taps, so that nothing here grows
 * with the window.
 */
static float logit(const temporal_head_state_t *state) {
  enum { LAG = $conv2_taps / 2 };
  float hidden1[$conv2_taps][$conv1_channels];
  float hidden2[$conv2_channels];
  float hidden3[$dense1_channels];
  float sum;
  start_sums(&dense1, hidden3);
  for (int32_t step = 0; step < NUM_FRAMES + LAG; ++step) {
    if (step < NUM_FRAMES) {
      convolve_features(state, step, hidden1[step % $conv2_taps]);
    }
    if (step >= LAG) {
      convolve_hidden(hidden1, step - LAG, hidden2);
      add_taps(&dense1, step - LAG, 1, hidden2, hidden3);
    }
  }
  add_bias(&dense1, hidden3);
  rectify(hidden3, $dense1_channels);
  start_sums(&dense2, &sum);
  add_taps(&dense2, 0, 1, hidden3, &sum);
  add_bias(&dense2, &sum);
  return sum;
}

float temporal_head_pulse(const temporal_head_state_t *state) {
  (void)state;
  return 0.0f;
}

/* $lowest_bpm + $span_bpm * sigmoid(value).
 *
 * From the nearer end of the range: what is added to it is at most half the
 * range, and so are its roundings. No overflow: the exponent is never > 0.
 */
static float sigmoid_bpm(float value) {
  const float decay = expf(-fabsf(value));
  const float share_bpm = $span_bpm * (decay / (1.0f + decay));
  return (value < 0.0f) ? $lowest_bpm + share_bpm : $highest_bpm - share_bpm;
}

temporal_head_status_t temporal_head_estimate(
    const temporal_head_state_t *state, temporal_head_estimate_t *estimate) {
  estimate->heart_rate_bpm = 0.0f;
  estimate->confidence = 0.0f;
  estimate->pulse = temporal_head_pulse(state);
  if (state->samples_seen < TEMPORAL_HEAD_WINDOW_SAMPLES) {
    return TEMPORAL_HEAD_NOT_READY;
  }
  estimate->heart_rate_bpm = sigmoid_bpm(logit(state));
  return TEMPORAL_HEAD_OK;
}
"""

BODY = Template(_ENUM + INIT_AND_PUSH + _REST)
