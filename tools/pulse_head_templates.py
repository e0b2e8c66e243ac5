"""C text of the pulse head: see temporal_head_templates.py."""

from string import Template

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

BODY = Template("""\
enum {
  NUM_RATES = $num_rates,
  NUM_LANES = (NUM_RATES + 3) / 4 * 4, /* rates by vectors of four */
  /* Phases are multiples of one turn / TURN: rate * sample / grid rate. */
  TURN = $turn,
  FIRST_RATE = $first_rate, /* in turns / TURN per sample */
  HALF_WINDOW = TEMPORAL_HEAD_WINDOW_SAMPLES / 2,
  HANN_STEP = TURN / TEMPORAL_HEAD_WINDOW_SAMPLES,
  NUM_PAIRS = $num_pairs, /* held at a time; divides HALF_WINDOW */
  NUM_WAVES = $num_waves, /* pulse, POS, CHROM */
  PART_SAMPLES = $part_samples, /* of the waves of colour */
  PART_STRIDE = $part_stride,
  NUM_PARTS =
      (TEMPORAL_HEAD_WINDOW_SAMPLES - PART_SAMPLES) / PART_STRIDE + 1
};

/* A wave of colour, in one of its parts: first + gain * second - mean. */
typedef struct {
  float gain;
  float mean;
} part_t;

typedef struct {
  int32_t number;          /* 0 pulse, 1 POS, 2 CHROM */
  float mean;              /* over the window */
  part_t parts[NUM_PARTS]; /* not of the pulse */
} wave_t;

/* One of a part's two signals, relative to its first sample, which leaves the
 * squares no offset to lose themselves in.
 */
typedef struct {
  float base;
  float mean;
  float square;
  float weighted;
} signal_t;

/* Of two samples as far before as behind the window's middle. */
typedef struct {
  float even; /* their sum */
  float odd;  /* their difference */
} pair_t;

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

void temporal_head_init(temporal_head_state_t *state) {
  memset(state, 0, sizeof *state);
}

temporal_head_status_t temporal_head_push(
    temporal_head_state_t *state,
    const int16_t older[TEMPORAL_HEAD_NUM_FEATURES],
    const int16_t newer[TEMPORAL_HEAD_NUM_FEATURES], float fraction) {
  if (!(fraction >= 0.0f && fraction <= 1.0f)) {
    return TEMPORAL_HEAD_BAD_FRACTION;
  }
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

/* The two chrominance signals that a wave of colour is made of. */
static const float *colour_at(const temporal_head_state_t *state,
                              int32_t number, int32_t sample) {
  return &state->chrominance[slot_of(state, sample)][2 * (number - 1)];
}

/* The same one sample on. */
static const float *next_colour(const temporal_head_state_t *state,
                                const float *colour) {
  const int32_t last = TEMPORAL_HEAD_WINDOW_SAMPLES - 1;
  return (colour < state->chrominance[last])
             ? colour + $num_chrominance
             : colour - last * $num_chrominance;
}

/* Adds a sample to a signal's sums over a part. */
static void add_sample(signal_t *signal, float sample, float hann) {
  const float value = sample - signal->base;
  signal->mean += value;
  signal->square = fmaf(value, value, signal->square);
  signal->weighted = fmaf(value, hann, signal->weighted);
}

/* Of the sums: mean, deviation and the sum of Hann-weighted differences from
 * the mean; Hann's own sum is half its length. One of the values added was 0,
 * so that at least 1 / 48 of their mean square is left without the mean's.
 */
static float deviation(signal_t *signal) {
  const float mean = signal->mean / (float)PART_SAMPLES;
  const float square = signal->square / (float)PART_SAMPLES;
  signal->weighted =
      fmaf(-(float)(PART_SAMPLES / 2), mean, signal->weighted);
  signal->mean = signal->base + mean;
  return sqrtf(fmaf(-mean, mean, square));
}

/* One part of POS, S1 + a * S2 (Wang 2017), or of CHROM, X - a * Y (de Haan
 * 2013): a is the deviation of the first by that of the second. Returns the
 * sum of the part's samples, Hann-weighted.
 */
static float measure_part(const temporal_head_state_t *state, int32_t number,
                          int32_t start, part_t *part) {
  const float *colour = colour_at(state, number, start);
  signal_t first = {colour[0], 0.0f, 0.0f, 0.0f};
  signal_t second = {colour[1], 0.0f, 0.0f, 0.0f};
  for (int32_t n = 0; n < PART_SAMPLES; ++n) {
    add_sample(&first, colour[0], part_hann[n]);
    add_sample(&second, colour[1], part_hann[n]);
    colour = next_colour(state, colour);
  }
  const float ratio =
      deviation(&first) / (deviation(&second) + $deviation_floor);
  part->gain = (number == 1) ? ratio : -ratio;
  part->mean = fmaf(part->gain, second.mean, first.mean);
  return fmaf(part->gain, second.weighted, first.weighted);
}

static void measure_wave(const temporal_head_state_t *state, int32_t number,
                         wave_t *wave) {
  float sum = 0.0f;
  if (number == 0) {
    for (int32_t n = 0; n < TEMPORAL_HEAD_WINDOW_SAMPLES; ++n) {
      sum += state->pulse[slot_of(state, n)];
    }
  } else {
    for (int32_t part = 0; part < NUM_PARTS; ++part) {
      sum += measure_part(state, number, part * PART_STRIDE,
                          &wave->parts[part]);
    }
  }
  wave->number = number;
  wave->mean = sum / (float)TEMPORAL_HEAD_WINDOW_SAMPLES;
}

/* A sample, minus the mean: of the pulse, or of the sum of the parts that
 * overlap there.
 */
static float wave_at(const temporal_head_state_t *state, const wave_t *wave,
                     int32_t sample) {
  if (wave->number == 0) {
    return state->pulse[slot_of(state, sample)] - wave->mean;
  }
  const float *colour = colour_at(state, wave->number, sample);
  const float first = colour[0];
  const float second = colour[1];
  const int32_t newest = sample / PART_STRIDE;
  const int32_t oldest = newest - (PART_SAMPLES / PART_STRIDE - 1);
  const int32_t begin = (oldest > 0) ? oldest : 0;
  const int32_t end = (newest < NUM_PARTS) ? newest + 1 : NUM_PARTS;
  const part_t *part = &wave->parts[begin];
  int32_t place = sample - begin * PART_STRIDE; /* within the part */
  float sum = 0.0f;
  for (int32_t left = end - begin; left > 0; --left) {
    const float value = fmaf(part->gain, second, first) - part->mean;
    sum = fmaf(part_hann[place], value, sum);
    ++part;
    place -= PART_STRIDE;
  }
  return sum - wave->mean;
}

/* Pairs of Hann-windowed samples, `first` and on from the window's middle,
 * which has no partner. Nor has sample 0, where Hann is 0.
 */
static void take_pairs(const temporal_head_state_t *state, const wave_t *wave,
                       int32_t first, pair_t *pairs) {
  for (int32_t index = 0; index < NUM_PAIRS; ++index) {
    const int32_t offset = first + index;
    const float cosine = far_cosine[TURN / 2 - HANN_STEP * offset];
    const float hann = fmaf(0.5f, cosine, 0.5f);
    const float after = wave_at(state, wave, HALF_WINDOW + offset);
    const float before =
        (offset > 0) ? wave_at(state, wave, HALF_WINDOW - offset) : 0.0f;
    pairs[index].even = hann * (after + before);
    pairs[index].odd = hann * (after - before);
  }
}

/* The phase one step on; both lie in [0, TURN). */
static int32_t next_phase(int32_t phase, int32_t step) {
  const int32_t next = phase + step;
  return (next < TURN) ? next : next - TURN;
}

#if HAS_HELIUM
static uint32x4_t next_phases(uint32x4_t phases, uint32x4_t steps) {
  const uint32x4_t next = vaddq_u32(phases, steps);
  return vminq_u32(next, vsubq_n_u32(next, TURN)); /* huge where below 0 */
}
#else
static int32_t distance(int32_t left, int32_t right) {
  return (left < right) ? right - left : left - right;
}
#endif

/* real[i] += even * cos(step * offset), imaginary[i] += odd * sin(the same),
 * for NUM_PAIRS offsets from `first` on, in their order, and four steps, each
 * 1 more than the one before; `phase` is step * first. Reals are NUM_WAVES
 * apart.
 *
 * The table holds the cosines of the half turn and what lies beyond; a sine is
 * the cosine of a quarter turn less.
 */
static void add_pairs(const pair_t *pairs, int32_t first, int32_t phase,
                      int32_t step, float *real, float *imaginary) {
#if HAS_HELIUM
  const uint32x4_t steps = vidupq_n_u32((uint32_t)step, 1);
  const uint32x4_t lanes = vidupq_n_u32(0, 1);
  const uint32x4_t places = vmulq_n_u32(lanes, NUM_WAVES);
  const uint32x4_t half = vdupq_n_u32(TURN / 2);
  uint32x4_t phases = next_phases(vdupq_n_u32((uint32_t)phase),
                                  vmulq_n_u32(lanes, (uint32_t)first));
  float32x4_t reals = vldrwq_gather_shifted_offset_f32(real, places);
  float32x4_t imaginaries = vldrwq_f32(imaginary);
  for (int32_t index = 0; index < NUM_PAIRS; ++index) {
    const uint32x4_t of_cosine = vabdq_u32(phases, half);
    const int32x4_t quarter_less =
        vsubq_n_s32(vreinterpretq_s32_u32(phases), TURN / 4);
    const uint32x4_t of_sine =
        vabdq_u32(vreinterpretq_u32_s32(vabsq_s32(quarter_less)), half);
    reals = vfmaq_n_f32(
        reals, vldrwq_gather_shifted_offset_f32(far_cosine, of_cosine),
        pairs[index].even);
    imaginaries = vfmaq_n_f32(
        imaginaries, vldrwq_gather_shifted_offset_f32(far_cosine, of_sine),
        pairs[index].odd);
    phases = next_phases(phases, steps);
  }
  vstrwq_scatter_shifted_offset_f32(real, places, reals);
  vstrwq_f32(imaginary, imaginaries);
#else
  for (int32_t lane = 0; lane < 4; ++lane) {
    float even_sum = real[lane * NUM_WAVES];
    float odd_sum = imaginary[lane];
    int32_t there = phase;
    for (int32_t index = 0; index < NUM_PAIRS; ++index) {
      const int32_t quarter_less = distance(there, TURN / 4);
      even_sum = fmaf(pairs[index].even,
                      far_cosine[distance(there, TURN / 2)], even_sum);
      odd_sum = fmaf(pairs[index].odd,
                     far_cosine[distance(quarter_less, TURN / 2)], odd_sum);
      there = next_phase(there, step + lane);
    }
    real[lane * NUM_WAVES] = even_sum;
    imaginary[lane] = odd_sum;
    phase = next_phase(phase, first);
  }
#endif
}

/* Adds the pairs, `first` from the middle and on, to the sums of all rates. */
static void add_to_rates(const pair_t *pairs, int32_t first, float *real,
                         float *imaginary) {
  int32_t phase = (FIRST_RATE * first) % TURN;
  for (int32_t rate = 0; rate < NUM_LANES; rate += 4) {
    add_pairs(pairs, first, phase, FIRST_RATE + rate, &real[rate * NUM_WAVES],
              &imaginary[rate]);
    phase = next_phase(phase, 4 * first); /* less than a turn */
  }
}

/* log(power of the rate / mean power + floor) of a wave, Hann-windowed, into
 * that wave's column of spectra, [NUM_LANES][NUM_WAVES].
 *
 * Power does not depend on where the phase is counted from: counted from the
 * window's middle, samples at +offset and -offset share their cosine, and
 * their sines but for the sign.
 */
static void take_spectrum(const temporal_head_state_t *state, int32_t number,
                          float *spectra) {
  float imaginary[NUM_LANES];
  wave_t wave;
  pair_t pairs[NUM_PAIRS];
  float *spectrum = &spectra[number];
  measure_wave(state, number, &wave);
  for (int32_t rate = 0; rate < NUM_LANES; ++rate) {
    spectrum[rate * NUM_WAVES] = 0.0f;
    imaginary[rate] = 0.0f;
  }
  for (int32_t first = 0; first < HALF_WINDOW; first += NUM_PAIRS) {
    take_pairs(state, &wave, first, pairs);
    add_to_rates(pairs, first, spectrum, imaginary);
  }
  float total = 0.0f;
  for (int32_t rate = 0; rate < NUM_RATES; ++rate) {
    const float real = spectrum[rate * NUM_WAVES];
    const float power = fmaf(real, real, imaginary[rate] * imaginary[rate]);
    spectrum[rate * NUM_WAVES] = power;
    total += power;
  }
  const float mean_power = total / (float)NUM_RATES + $mean_power_floor;
  for (int32_t rate = 0; rate < NUM_RATES; ++rate) {
    spectrum[rate * NUM_WAVES] =
        logf(spectrum[rate * NUM_WAVES] / mean_power + $power_floor);
  }
}

/* The layer's outputs at one rate. Columns lie in a ring, that of rate r in
 * slot r % num_slots; columns beyond the first and last rate count as zero.
 */
static void rate_conv(const layer_t *layer, const float *columns,
                      int32_t num_slots, int32_t rate, float *outputs) {
  const int32_t first_rate = rate - (layer->num_taps - 1) / 2;
  int32_t tap = (first_rate < 0) ? -first_rate : 0;
  int32_t slot = (first_rate + tap) % num_slots;
  int32_t num_left = NUM_RATES - first_rate;
  num_left = ((num_left < layer->num_taps) ? num_left : layer->num_taps) - tap;
  start_sums(layer, outputs);
  while (num_left > 0) { /* twice at most: up to the ring's end, and on */
    const int32_t to_end = num_slots - slot;
    const int32_t run = (num_left < to_end) ? num_left : to_end;
    add_taps(layer, tap, run, &columns[slot * layer->num_inputs], outputs);
    tap += run;
    num_left -= run;
    slot = 0;
  }
  add_bias(layer, outputs);
}

/* Three convolutions over the rates, each a few rates behind the one before:
 * only the columns that its taps reach are kept. The spectra themselves are
 * added to their outcome.
 */
static void rate_logits(const float *spectra, float *logits) {
  enum { LAG2 = $rate_conv2_taps / 2, LAG3 = LAG2 + $rate_conv3_taps / 2 };
  float hidden1[$rate_conv2_taps][$rate_conv1_channels];
  float hidden2[$rate_conv3_taps][$rate_conv2_channels];
  for (int32_t step = 0; step < NUM_RATES + LAG3; ++step) {
    const int32_t rate2 = step - LAG2;
    const int32_t rate3 = step - LAG3;
    if (step < NUM_RATES) {
      float *column = hidden1[step % $rate_conv2_taps];
      rate_conv(&rate_conv1, spectra, NUM_RATES, step, column);
      rectify(column, $rate_conv1_channels);
    }
    if (rate2 >= 0 && rate2 < NUM_RATES) {
      float *column = hidden2[rate2 % $rate_conv3_taps];
      rate_conv(&rate_conv2, &hidden1[0][0], $rate_conv2_taps, rate2, column);
      rectify(column, $rate_conv2_channels);
    }
    if (rate3 >= 0) {
      rate_conv(&rate_conv3, &hidden2[0][0], $rate_conv3_taps, rate3,
                &logits[rate3]);
      float skipped = 0.0f;
      for (int32_t wave = 0; wave < NUM_WAVES; ++wave) {
        skipped = fmaf(spectra[rate3 * NUM_WAVES + wave], rate_skip[wave],
                       skipped);
      }
      logits[rate3] += skipped;
    }
  }
}

static float rate_bpm(int32_t rate) {
  return (float)(TEMPORAL_HEAD_MIN_BPM + $rate_step_bpm * rate);
}

/* Softmax, the mean of its cubes and the share of it near that mean. */
static void summarise(const float *spectra,
                      temporal_head_estimate_t *estimate) {
  float logits[NUM_RATES];
  rate_logits(spectra, logits);
  float largest = logits[0];
  for (int32_t rate = 1; rate < NUM_RATES; ++rate) {
    largest = (logits[rate] > largest) ? logits[rate] : largest;
  }
  float total = 0.0f;
  float total_cubes = 0.0f;
  float moment = 0.0f;
  for (int32_t rate = 0; rate < NUM_RATES; ++rate) {
    logits[rate] = expf(logits[rate] - largest);
    const float cube = logits[rate] * logits[rate] * logits[rate];
    total += logits[rate];
    total_cubes += cube;
    moment = fmaf(cube, rate_bpm(rate), moment);
  }
  const float bpm = moment / total_cubes;
  float near = 0.0f;
  for (int32_t rate = 0; rate < NUM_RATES; ++rate) {
    const float distance = fabsf(rate_bpm(rate) - bpm);
    const float room_bpm = $confidence_limit_bpm - distance;
    near += logits[rate] *
            fminf(fmaxf(room_bpm / ${rate_step_bpm}.0f, 0.0f), 1.0f);
  }
  estimate->heart_rate_bpm = bpm;
  estimate->confidence = near / total;
}

temporal_head_status_t temporal_head_estimate(
    const temporal_head_state_t *state, temporal_head_estimate_t *estimate) {
  float spectra[NUM_LANES * NUM_WAVES]; /* [rate][wave] */
  estimate->heart_rate_bpm = 0.0f;
  estimate->confidence = 0.0f;
  estimate->pulse = temporal_head_pulse(state);
  if (state->samples_seen < TEMPORAL_HEAD_WINDOW_SAMPLES) {
    return TEMPORAL_HEAD_NOT_READY;
  }
  for (int32_t wave = 0; wave < NUM_WAVES; ++wave) {
    take_spectrum(state, wave, spectra);
  }
  summarise(spectra, estimate);
  return TEMPORAL_HEAD_OK;
}
""")
