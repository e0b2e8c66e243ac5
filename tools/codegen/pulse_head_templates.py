"""C text of the pulse head: see temporal_head_templates.py."""

from string import Template

from tools.codegen import pulse_estimate_templates
from tools.codegen.temporal_head_templates import INIT_AND_PUSH

OUTPUTS = """\
 * Output  heart rate in BPM, the mean of a sharpened distribution over rates;
 *         confidence, that distribution's share near the mean;
 *         the newest sample of the pulse wave, without unit."""

STATE = Template("""\
typedef struct {
  float mean[$num_features];
  float variance[$num_features];
  float pulse_conv1_inputs[$pulse_conv1_taps][$num_features];
  float pulse_conv2_inputs[$pulse_conv2_taps][$pulse_conv1_channels];
  float pulse_conv3_inputs[$pulse_conv3_taps][$pulse_conv2_channels];
  float pulse[$window_samples]; /* ring */
  float chrominance[$window_samples][$num_chrominance]; /* ring */
  int32_t pulse_conv1_slot; /* where each ring is written next */
  int32_t pulse_conv2_slot;
  int32_t pulse_conv3_slot;
  int32_t sample_slot; /* of both pulse and chrominance */
  int32_t samples_seen; /* stays at $window_samples once there */
} temporal_head_state_t;
""")

_LAYERS = """\
/* (x - mean) / deviation, both of the past: West 1979, "Updating mean and
 * variance estimates", with a weight that stops falling.
 */
static void standardise(temporal_head_state_t *state, float *column) {
  const float settled = $settled_weight;
  const float first = 1.0f / (float)state->samples_seen;
  const float weight = (first > settled) ? first : settled;
  const float keep = 1.0f - weight;
  for (int32_t index = 0; index < TEMPORAL_HEAD_NUM_FEATURES; ++index) {
    const float change = column[index] - state->mean[index];
    const float mean = fmaf(weight, change, state->mean[index]);
    const float variance =
        keep * fmaf(weight * change, change, state->variance[index]);
    state->mean[index] = mean;
    state->variance[index] = variance;
    column[index] =
        (column[index] - mean) / sqrtf(variance + $variance_floor);
  }
}

/* The layer's outputs at the newest of its ring of input columns; `oldest` is
 * the slot of the oldest.
 */
static void causal_conv(const layer_t *layer, const float *columns,
                        int32_t oldest, float *outputs) {
  const int32_t num_older = layer->num_taps - oldest;
  start_sums(layer, outputs);
  add_taps(layer, 0, num_older, &columns[oldest * layer->num_inputs],
           outputs);
  add_taps(layer, num_older, oldest, columns, outputs);
  add_bias(layer, outputs);
}

"""

_PUSH = """\
  if (state->samples_seen < TEMPORAL_HEAD_WINDOW_SAMPLES) {
    ++state->samples_seen;
  }
  float *column = state->pulse_conv1_inputs[state->pulse_conv1_slot];
  interpolate(older, newer, fraction, column);
  memcpy(state->chrominance[state->sample_slot],
         &column[TEMPORAL_HEAD_NUM_ROI_FEATURES],
         sizeof state->chrominance[0]);
  standardise(state, column);
  state->pulse_conv1_slot =
      next_slot(state->pulse_conv1_slot, $pulse_conv1_taps);

  column = state->pulse_conv2_inputs[state->pulse_conv2_slot];
  causal_conv(&pulse_conv1, &state->pulse_conv1_inputs[0][0],
              state->pulse_conv1_slot, column);
  rectify(column, $pulse_conv1_channels);
  state->pulse_conv2_slot =
      next_slot(state->pulse_conv2_slot, $pulse_conv2_taps);

  column = state->pulse_conv3_inputs[state->pulse_conv3_slot];
  causal_conv(&pulse_conv2, &state->pulse_conv2_inputs[0][0],
              state->pulse_conv2_slot, column);
  rectify(column, $pulse_conv2_channels);
  state->pulse_conv3_slot =
      next_slot(state->pulse_conv3_slot, $pulse_conv3_taps);

  causal_conv(&pulse_conv3, &state->pulse_conv3_inputs[0][0],
              state->pulse_conv3_slot, &state->pulse[state->sample_slot]);
  state->sample_slot =
      next_slot(state->sample_slot, TEMPORAL_HEAD_WINDOW_SAMPLES);
  return TEMPORAL_HEAD_OK;
}

/* Where the window's sample 0 (oldest) to WINDOW_SAMPLES - 1 is kept. */
static int32_t slot_of(const temporal_head_state_t *state, int32_t sample) {
  const int32_t slot = state->sample_slot + sample;
  return (slot < TEMPORAL_HEAD_WINDOW_SAMPLES)
             ? slot
             : slot - TEMPORAL_HEAD_WINDOW_SAMPLES;
}

float temporal_head_pulse(const temporal_head_state_t *state) {
  return state->pulse[slot_of(state, TEMPORAL_HEAD_WINDOW_SAMPLES - 1)];
}

"""

BODY = Template(
  _LAYERS + INIT_AND_PUSH + _PUSH + pulse_estimate_templates.ESTIMATE
)
