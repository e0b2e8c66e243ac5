"""C text of the pulse head's estimate: waves, spectra, distribution.

The part of pulse_head_templates.BODY that follows the push.
"""

ESTIMATE = """\
enum {
  NUM_RATES = $num_rates,
  NUM_WAVES = $num_waves, /* pulse, POS, CHROM */
  PART_SAMPLES = $part_samples, /* of the waves of colour */
  PART_STRIDE = $part_stride,
  NUM_PARTS =
      (TEMPORAL_HEAD_WINDOW_SAMPLES - PART_SAMPLES) / PART_STRIDE + 1,
  THINNING = $thinning,
  LOW_PASS_SPAN = $low_pass_span, /* thinned samples that one sample reaches */
  NUM_THINNED = $num_thinned, /* even */
  RATES_AT_ONCE = 4,
  /* Columns of zeros around the spectra, as far as taps reach. */
  NUM_BEFORE = ($rate_conv1_taps - 1) / 2,
  NUM_COLUMNS =
      (NUM_RATES + RATES_AT_ONCE - 1) / RATES_AT_ONCE * RATES_AT_ONCE +
      $rate_conv1_taps - 1
};

static const float zeros[4] = {0.0f, 0.0f, 0.0f, 0.0f};

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

/* A sample minus the mean: of the sum of the parts that overlap there, the
 * oldest of them first; `place` is within that one.
 */
static float colour_wave_at(const float *colour, const wave_t *wave,
                            int32_t oldest, int32_t newest, int32_t place) {
  const float first = colour[0];
  const float second = colour[1];
  float sum = 0.0f;
  for (int32_t number = oldest; number <= newest; ++number) {
    const part_t *part = &wave->parts[number];
    const float value = fmaf(part->gain, second, first) - part->mean;
    sum = fmaf(part_hann[place], value, sum);
    place -= PART_STRIDE;
  }
  return sum - wave->mean;
}

/* Samples of a wave, minus its mean: those of a stride of the parts, all of
 * which lie in the same parts.
 */
static void take_stride(const temporal_head_state_t *state, const wave_t *wave,
                        int32_t stride, float *samples) {
  const int32_t start = stride * PART_STRIDE;
  if (wave->number == 0) {
    for (int32_t n = 0; n < PART_STRIDE; ++n) {
      samples[n] = state->pulse[slot_of(state, start + n)] - wave->mean;
    }
    return;
  }
  const int32_t first = stride - (PART_SAMPLES / PART_STRIDE - 1);
  const int32_t oldest = (first > 0) ? first : 0;
  const int32_t newest = (stride < NUM_PARTS) ? stride : NUM_PARTS - 1;
  const float *colour = colour_at(state, wave->number, start);
  for (int32_t n = 0; n < PART_STRIDE; ++n) {
    samples[n] = colour_wave_at(colour, wave, oldest, newest,
                                start - oldest * PART_STRIDE + n);
    colour = next_colour(state, colour);
  }
}

/* The Hann-windowed wave, low-passed and brought down to every third sample
 * and beyond its ends, which is all that the band needs: what folds into it
 * is 139 dB below.
 */
static void thin_out(const temporal_head_state_t *state, int32_t number,
                     float *thinned) {
  wave_t wave;
  measure_wave(state, number, &wave);
  memset(thinned, 0, NUM_THINNED * sizeof *thinned);
  for (int32_t stride = 0; stride < TEMPORAL_HEAD_WINDOW_SAMPLES / PART_STRIDE;
       ++stride) {
    float samples[PART_STRIDE];
    take_stride(state, &wave, stride, samples);
    for (int32_t n = 0; n < PART_STRIDE; ++n) {
      const int32_t sample = stride * PART_STRIDE + n;
      const int32_t mirrored = TEMPORAL_HEAD_WINDOW_SAMPLES - sample;
      samples[n] *= rising_hann[(sample < mirrored) ? sample : mirrored];
    }
    for (int32_t n = 0; n < PART_STRIDE; n += THINNING) {
      accumulate(&samples[n], THINNING, low_pass, LOW_PASS_SPAN, thinned);
      ++thinned;
    }
  }
}

/* sample + twice * newer - older, of four */
static inline four_t resonate(float sample, four_t twice, four_t newer,
                              four_t older) {
#if HAS_HELIUM
  return vfmaq_f32(vsubq_f32(vdupq_n_f32(sample), older), twice, newer);
#else
  older.number0 = fmaf(twice.number0, newer.number0, sample - older.number0);
  older.number1 = fmaf(twice.number1, newer.number1, sample - older.number1);
  older.number2 = fmaf(twice.number2, newer.number2, sample - older.number2);
  older.number3 = fmaf(twice.number3, newer.number3, sample - older.number3);
  return older;
#endif
}

/* The last two states of four resonators, each tuned to a rate (Goertzel 1958):
 * a state is sample + 2 cos(rate) * newer - older.
 */
static void run_resonators(const float *thinned, const float *cosines,
                           float *newers, float *olders) {
  const four_t zero = load_four(zeros);
  const four_t twice = add_scaled(zero, load_four(cosines), 2.0f);
  four_t newer = zero;
  four_t older = zero;
  for (int32_t index = 0; index < NUM_THINNED; index += 2) {
    older = resonate(thinned[index], twice, newer, older);
    newer = resonate(thinned[index + 1], twice, older, newer);
  }
  store_four(newers, newer);
  store_four(olders, older);
}

/* Powers of four rates, `first` and on, of which there are `num_rates`. */
static void take_powers(const float *thinned, int32_t first, int32_t num_rates,
                        float *powers) {
  float newers[4];
  float olders[4];
  run_resonators(thinned, &rate_cosines[first], newers, olders);
  for (int32_t lane = 0; lane < num_rates; ++lane) {
    const float cosine = rate_cosines[first + lane];
    const float real = fmaf(-cosine, olders[lane], newers[lane]);
    const float square = olders[lane] * olders[lane];
    const float sine_square = fmaf(-cosine, cosine, 1.0f);
    powers[lane * NUM_WAVES] = thinning_loss[first + lane] *
                               fmaf(real, real, square * sine_square);
  }
}

/* log(power of the rate / mean power + floor) of a wave, Hann-windowed, into
 * that wave's column of spectra, [rate][NUM_WAVES].
 */
static void take_spectrum(const temporal_head_state_t *state, int32_t number,
                          float *spectra) {
  float thinned[NUM_THINNED];
  float *spectrum = &spectra[number];
  float total = 0.0f;
  thin_out(state, number, thinned);
  for (int32_t rate = 0; rate < NUM_RATES; rate += 4) {
    const int32_t left = NUM_RATES - rate;
    take_powers(thinned, rate, (left < 4) ? left : 4,
                &spectrum[rate * NUM_WAVES]);
  }
  for (int32_t rate = 0; rate < NUM_RATES; ++rate) {
    total += spectrum[rate * NUM_WAVES];
  }
  const float mean_power = total / (float)NUM_RATES + $mean_power_floor;
  for (int32_t rate = 0; rate < NUM_RATES; ++rate) {
    spectrum[rate * NUM_WAVES] =
        logf(spectrum[rate * NUM_WAVES] / mean_power + $power_floor);
  }
}

/* Four outputs of a layer at RATES_AT_ONCE rates, without the bias; `columns`
 * begin with the first tap of the first rate.
 */
static void sum_four_outputs(const layer_t *layer, const float *columns,
                             const float *weight, float *outputs) {
  const int32_t num_outputs = layer->num_outputs;
  const int32_t next = layer->num_inputs;
  four_t sum0 = load_four(zeros);
  four_t sum1 = sum0;
  four_t sum2 = sum0;
  four_t sum3 = sum0;
  for (int32_t left = layer->num_taps * next; left > 0; --left) {
    const four_t weights = load_four(weight);
    sum0 = add_scaled(sum0, weights, columns[0]);
    sum1 = add_scaled(sum1, weights, columns[next]);
    sum2 = add_scaled(sum2, weights, columns[2 * next]);
    sum3 = add_scaled(sum3, weights, columns[3 * next]);
    ++columns;
    weight += num_outputs;
  }
  store_four(&outputs[0], sum0);
  store_four(&outputs[num_outputs], sum1);
  store_four(&outputs[2 * num_outputs], sum2);
  store_four(&outputs[3 * num_outputs], sum3);
}

/* The same of one output. */
static void sum_output(const layer_t *layer, const float *columns,
                       const float *weight, float *outputs) {
  const int32_t num_outputs = layer->num_outputs;
  const int32_t next = layer->num_inputs;
  float sum0 = 0.0f;
  float sum1 = 0.0f;
  float sum2 = 0.0f;
  float sum3 = 0.0f;
  for (int32_t left = layer->num_taps * next; left > 0; --left) {
    sum0 = fmaf(columns[0], *weight, sum0);
    sum1 = fmaf(columns[next], *weight, sum1);
    sum2 = fmaf(columns[2 * next], *weight, sum2);
    sum3 = fmaf(columns[3 * next], *weight, sum3);
    ++columns;
    weight += num_outputs;
  }
  outputs[0] = sum0;
  outputs[num_outputs] = sum1;
  outputs[2 * num_outputs] = sum2;
  outputs[3 * num_outputs] = sum3;
}

static void sum_outputs(const layer_t *layer, const float *columns,
                        float *outputs) {
  int32_t output = 0;
  for (; output + 4 <= layer->num_outputs; output += 4) {
    sum_four_outputs(layer, columns, &layer->weights[output],
                     &outputs[output]);
  }
  for (; output < layer->num_outputs; ++output) {
    sum_output(layer, columns, &layer->weights[output], &outputs[output]);
  }
}

/* The layer's outputs at `rate` and those after it, with nothing below
 * `least`; zero where there is no such rate, as the next layer takes it.
 */
static void rate_conv(const layer_t *layer, const float *columns, int32_t rate,
                      float least, float *outputs) {
  if (rate > -RATES_AT_ONCE && rate < NUM_RATES) {
    sum_outputs(layer, columns, outputs);
  }
  for (int32_t next = 0; next < RATES_AT_ONCE; ++next) {
    const int32_t is_rate = (rate + next >= 0 && rate + next < NUM_RATES);
    for (int32_t output = 0; output < layer->num_outputs; ++output) {
      const float sum = outputs[output] + layer->bias[output];
      outputs[output] = is_rate ? ((sum > least) ? sum : least) : 0.0f;
    }
    outputs += layer->num_outputs;
  }
}

/* Three convolutions over the rates, each a few rates behind the one before:
 * only the columns that its taps reach are kept. The spectra themselves are
 * added to their outcome.
 *
 * Columns of spectra come in, the first of them before the first rate; logits
 * take the place of those that no tap reaches any more.
 */
static void rate_logits(float *columns) {
  enum {
    OLD2 = $rate_conv2_taps - 1, /* rows that are kept */
    OLD3 = $rate_conv3_taps - 1,
    LAG2 = $rate_conv2_taps / 2,
    LAG3 = LAG2 + $rate_conv3_taps / 2
  };
  float hidden1[OLD2 + RATES_AT_ONCE][$rate_conv1_channels];
  float hidden2[OLD3 + RATES_AT_ONCE][$rate_conv2_channels];
  memset(hidden1, 0, sizeof hidden1);
  memset(hidden2, 0, sizeof hidden2);
  for (int32_t rate = 0; rate < NUM_RATES + LAG3; rate += RATES_AT_ONCE) {
    for (int32_t row = 0; row < OLD2; ++row) {
      memcpy(hidden1[row], hidden1[row + RATES_AT_ONCE], sizeof hidden1[row]);
    }
    rate_conv(&rate_conv1, &columns[rate * NUM_WAVES], rate, 0.0f,
              hidden1[OLD2]);
    for (int32_t row = 0; row < OLD3; ++row) {
      memcpy(hidden2[row], hidden2[row + RATES_AT_ONCE], sizeof hidden2[row]);
    }
    rate_conv(&rate_conv2, hidden1[0], rate - LAG2, 0.0f, hidden2[OLD3]);
    float outcome[RATES_AT_ONCE];
    rate_conv(&rate_conv3, hidden2[0], rate - LAG3, -INFINITY, outcome);
    for (int32_t next = 0; next < RATES_AT_ONCE; ++next) {
      const int32_t rate3 = rate - LAG3 + next;
      if (rate3 >= 0 && rate3 < NUM_RATES) {
        const float *spectra = &columns[(NUM_BEFORE + rate3) * NUM_WAVES];
        float skipped = 0.0f;
        for (int32_t wave = 0; wave < NUM_WAVES; ++wave) {
          skipped = fmaf(spectra[wave], rate_skip[wave], skipped);
        }
        columns[rate3] = outcome[next] + skipped;
      }
    }
  }
}

static float rate_bpm(int32_t rate) {
  return (float)(TEMPORAL_HEAD_MIN_BPM + $rate_step_bpm * rate);
}

/* Softmax, the mean of its cubes and the share of it near that mean. */
static void summarise(float *logits, temporal_head_estimate_t *estimate) {
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
  float columns[NUM_COLUMNS * NUM_WAVES]; /* [rate][wave] */
  estimate->heart_rate_bpm = 0.0f;
  estimate->confidence = 0.0f;
  estimate->pulse = temporal_head_pulse(state);
  if (state->samples_seen < TEMPORAL_HEAD_WINDOW_SAMPLES) {
    return TEMPORAL_HEAD_NOT_READY;
  }
  memset(columns, 0, sizeof columns);
  for (int32_t wave = 0; wave < NUM_WAVES; ++wave) {
    take_spectrum(state, wave, &columns[NUM_BEFORE * NUM_WAVES]);
  }
  rate_logits(columns);
  summarise(columns, estimate);
  return TEMPORAL_HEAD_OK;
}
"""
