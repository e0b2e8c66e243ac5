"""Feature frames on the 30 Hz grid → pulse wave → heart rate, confidence.

Two stages, both causal and both cheap to run frame by frame:

  52 features → running standardisation → 3 causal convolutions → one pulse
  sample a frame;
  last 10 s of the pulse, and of two waves that nobody trained, POS and CHROM
  of the chrominance → Hann-windowed power at 40, 42, ... 180 BPM → logarithm,
  plus 3 small convolutions over it → distribution over rates → mean of its
  cubes (BPM) and the probability near that (confidence).

The waves of colour bear witness for or against the trained one: where motion
or a face unlike any in training misleads it, they often still hold the pulse.

`build_pulse_head` is the batch form that trains; `PulseStream` computes the
same pulse one frame at a time, which is what the emitted C does.
"""

from rppg_tf import contract
from rppg_tf.keras_compat import keras
from rppg_tf.model import pulse_layers
from rppg_tf.signals import pulse_constants

_RATE_KERNEL_SIZES = (9, 9, 5)
_RATE_CHANNELS = 8
_PULSE_CHANNELS = 16
# What the spectra's logarithms weigh in the logits before training: the head
# begins as a soft choice of the highest peak, and learns when not to.
_RATE_SKIP = (1.0, 0.5, 0.5)
# How often training puts another recording's spectrum in a wave's place. On
# recordings like those trained on the trained wave is nearly always right, and
# the head would learn to believe it alone.
_EXCHANGED = (0.1, 0.1, 0.1)


def build_pulse_head(
  window_stride: int = contract.WINDOW_STRIDE_S * contract.GRID_RATE_HZ,
  width: int = 1,
) -> keras.Model:
  """Builds the head over a feature sequence of at least 300 samples.

  Args:
    window_stride: grid samples from one 10 s window to the next.
    width: how many times the channels below the hidden layers have; more than
      1 is for teachers.

  Returns:
    Model float32 [batch, samples, 52] → {'pulse': [batch, samples],
    'rate_probability': [batch, windows, 71], 'heart_rate_bpm': [batch,
    windows], 'confidence': [batch, windows] in [0, 1]}, all float32.
  """
  features = keras.Input((None, contract.NUM_FRAME_FEATURES), name='features')
  x = pulse_layers.RunningStandardisation(name='standardise')(features)
  # [batch, samples, 52]
  for name in pulse_constants.PULSE_LAYERS[:-1]:
    x = _causal_conv(width * _PULSE_CHANNELS, 'relu', name)(x)
    # [batch, samples, 16 * width]
  x = _causal_conv(1, None, pulse_constants.PULSE_LAYERS[-1])(
    x
  )  # [batch, samples, 1]
  pulse = keras.layers.Reshape((-1,), name='pulse_wave')(x)
  # [batch, samples]
  chrominance = pulse_layers.Chrominance(name='chrominance')(features)
  # [batch, samples, 4]
  x = keras.layers.Concatenate(name='wave_samples')([x, chrominance])
  # [batch, samples, 5]
  x = pulse_layers.LastSeconds(window_stride, name='last_seconds')(x)
  # [batch, windows, 300, 5]
  x = pulse_layers.PulseWaves(name='waves')(x)  # [batch, windows, 300, 3]
  spectra = pulse_layers.WaveSpectra(name='spectra')(x)
  spectra = pulse_layers.ExchangeSpectra(_EXCHANGED, name='exchange')(spectra)
  # [batch, windows, 71, 3]
  x = spectra
  for number, kernel_size in enumerate(_RATE_KERNEL_SIZES, 1):
    last = number == len(_RATE_KERNEL_SIZES)
    x = keras.layers.Conv1D(
      1 if last else width * _RATE_CHANNELS,
      kernel_size,
      padding='same',
      activation=None if last else 'relu',
      name=f'rate_conv{number}',
    )(x)  # [batch, windows, 71, 8 * width], at last [batch, windows, 71, 1]
  skip = keras.layers.Conv1D(
    1,
    1,
    use_bias=False,
    kernel_initializer=keras.initializers.Constant(_RATE_SKIP),
    name=pulse_constants.RATE_SKIP_LAYER,
  )(spectra)  # [batch, windows, 71, 1]
  x = keras.layers.Add(name='rate_scores')([x, skip])
  x = keras.layers.Reshape((-1, contract.NUM_RATES), name='rate_logits')(x)
  probability = keras.layers.Softmax(name='rate_probability')(x)
  # [batch, windows, 71]
  bpm = pulse_layers.ExpectedRate(name='heart_rate')(
    probability
  )  # [batch, windows]
  confidence = pulse_layers.ProbabilityNear(name='confidence')(
    [probability, bpm]
  )
  outputs = {
    'pulse': pulse,
    'rate_probability': probability,
    'heart_rate_bpm': bpm,
    'confidence': confidence,
  }
  return keras.Model(features, outputs, name='pulse_head')


def _causal_conv(channels: int, activation: str | None, name: str):
  return keras.layers.Conv1D(
    channels,
    pulse_constants.KERNEL_SIZE,
    padding='causal',
    activation=activation,
    name=name,
  )
