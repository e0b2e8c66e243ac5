"""The pulse head in NumPy, for machines without a C compiler.

The board and predict run the emitted C. NumPy computes the same head from the
weights that `tools.emit_temporal_head` writes beside the C: heart rates agree
within 0.01 BPM. No TensorFlow here.
"""

import io
import pathlib
import zipfile

import numpy as np

from rppg_tf import contract, run_directory
from rppg_tf.errors import InputError
from rppg_tf.inference.estimates import HeadRun
from rppg_tf.inference.pulse_stream import PulseStream
from rppg_tf.signals import pulse_constants, resampling, spectrum

_STRIDE = contract.WINDOW_STRIDE_S * contract.GRID_RATE_HZ


class NumpyHead:
  """The weights of a pulse head.

  Attributes:
    has_pulse: True.
    input_scale: float32, of the feature codes that it was emitted for.
    input_zero_point: of those codes.
    pulse_layers, rate_layers: (kernel float32 [taps, inputs, outputs], bias
      float32 [outputs]) of each convolution.
    rate_skip: float32 [3], weights of the spectra in the logits.
  """

  has_pulse = True

  def __init__(self, c_dir: pathlib.Path | str):
    """Reads the weights.

    Args:
      c_dir: folder that holds temporal_head.npz.

    Raises:
      InputError: the file is missing or damaged.
    """
    weights = _read(pathlib.Path(c_dir) / run_directory.HEAD_TABLE)
    self.input_scale = np.float32(weights['input_scale'])
    self.input_zero_point = int(weights['input_zero_point'])
    self.rate_skip = weights['rate_skip']
    self.pulse_layers = [
      _layer(weights, name) for name in pulse_constants.PULSE_LAYERS
    ]
    self.rate_layers = [
      _layer(weights, name) for name in pulse_constants.RATE_LAYERS
    ]

  def stream(self) -> 'NumpyHeadStream':
    """Returns a fresh state to push frames to."""
    return NumpyHeadStream(self)


class NumpyHeadStream:
  """A pulse head over frames as they come, in bounded memory.

  However the frames are cut into pushes, the results joined are those of one
  push of all.
  """

  def __init__(self, head: NumpyHead):
    """Starts; call NumpyHead.stream instead."""
    self._head = head
    self._pulse = PulseStream(head.pulse_layers)
    self._grid = resampling.GridStream()
    self._window = np.zeros(
      (contract.WINDOW_SAMPLES, 1 + contract.NUM_CHROMINANCE), np.float32
    )
    self._until_next = contract.WINDOW_SAMPLES

  def push(self, feature_codes: np.ndarray, timestamp_s: np.ndarray) -> HeadRun:
    """Takes the next frames; see c_head.HeadStream.push."""
    chunk = self._grid.push(feature_codes, timestamp_s)
    pulse, rates = [], []
    for features in self._on_grid(chunk):
      pulse.append(self._pulse.push(features))
      self._window[:-1] = self._window[1:]
      self._window[-1, 0] = pulse[-1]
      self._window[-1, 1:] = features[contract.NUM_ROI_FEATURES :]
      self._until_next -= 1
      if self._until_next == 0:
        self._until_next = _STRIDE
        rates.append(self._estimate())
    rates = np.array(rates, np.float32).reshape(-1, 2)
    return HeadRun(np.array(pulse, np.float32), rates[:, 0], rates[:, 1])

  def _on_grid(self, chunk: resampling.GridChunk):
    """Yields float32 [52] features, an array for each grid sample."""
    for older, newer, fraction in zip(*chunk[1:], strict=True):
      start = self._decoded(chunk.values[older])
      yield start + fraction * (self._decoded(chunk.values[newer]) - start)

  def _decoded(self, codes: np.ndarray) -> np.ndarray:
    features = codes.astype(np.float32)
    cnn = features[: contract.NUM_ROI_FEATURES]
    cnn -= np.float32(self._head.input_zero_point)
    cnn *= self._head.input_scale
    features[contract.NUM_ROI_FEATURES :] *= np.float32(
      contract.CHROMINANCE_SCALE
    )
    return features

  def _estimate(self) -> tuple[np.float32, np.float32]:
    """Returns heart rate in BPM and confidence of the last 10 s."""
    spectra = _log_power(_waves(self._window))
    levels = spectra
    for index, (kernel, bias) in enumerate(self._head.rate_layers):
      levels = _same_conv(levels, kernel) + bias
      if index < len(self._head.rate_layers) - 1:
        levels = np.maximum(levels, 0)
    return _rate_and_confidence(levels[:, 0] + spectra @ self._head.rate_skip)


def _waves(samples: np.ndarray) -> np.ndarray:
  """Pulse, POS and CHROM of 10 s; see model/pulse_layers.PulseWaves.

  Args:
    samples: float32 [300, 5], pulse and chrominance.

  Returns:
    float32 [300, 3].
  """
  length = pulse_constants.PART_SAMPLES
  starts = np.arange(0, len(samples) - length + 1, pulse_constants.PART_STRIDE)
  index = starts[:, np.newaxis] + np.arange(length)
  parts = samples[index, 1:]  # [22, 48, 4]
  parts = parts - parts.mean(axis=1, keepdims=True)
  deviation = np.sqrt(np.mean(parts**2, axis=1, keepdims=True))
  s1, s2, x, y = np.moveaxis(parts, -1, 0)
  of_s1, of_s2, of_x, of_y = np.moveaxis(deviation, -1, 0)
  floor = np.float32(pulse_constants.DEVIATION_FLOOR)
  colour = np.stack(
    [s1 + of_s1 / (of_s2 + floor) * s2, x - of_x / (of_y + floor) * y], -1
  )  # [22, 48, 2]
  waves = np.zeros((len(samples), 3), np.float32)
  waves[:, 0] = samples[:, 0]
  hann = spectrum.hann(length)[:, np.newaxis]
  for start, part in zip(starts, colour, strict=True):
    waves[start : start + length, 1:] += part * hann
  return waves


def _log_power(waves: np.ndarray) -> np.ndarray:
  """Takes the spectra as model/pulse_layers.WaveSpectra, float32 [71, n]."""
  waves = (waves - waves.mean(axis=0)) * spectrum.hann(len(waves))[
    :, np.newaxis
  ]
  real, imaginary = np.split(spectrum.fourier_basis().T @ waves, 2)
  power = real**2 + imaginary**2
  mean_power = power.mean(axis=0) + np.float32(pulse_constants.MEAN_POWER_FLOOR)
  return np.log(power / mean_power + np.float32(pulse_constants.POWER_FLOOR))


def _same_conv(columns: np.ndarray, kernel: np.ndarray) -> np.ndarray:
  """Convolves [rates, inputs] with [taps, inputs, outputs], zeros beyond."""
  taps = len(kernel)
  padded = np.pad(columns, ((taps // 2, taps // 2), (0, 0)))
  windows = np.lib.stride_tricks.sliding_window_view(padded, taps, axis=0)
  return np.einsum('rit,tio->ro', windows, kernel)


def _rate_and_confidence(
  logits: np.ndarray,
) -> tuple[np.float32, np.float32]:
  """See ExpectedRate and ProbabilityNear of model/pulse_layers."""
  probability = np.exp(logits - logits.max())
  probability /= probability.sum()
  rates = spectrum.rates_bpm()
  cubes = probability**3
  bpm = cubes @ rates / cubes.sum()
  room_bpm = pulse_constants.confidence_limit_bpm() - np.abs(rates - bpm)
  near = np.clip(room_bpm / contract.RATE_STEP_BPM, 0, 1)
  return np.float32(bpm), np.float32(probability @ near)


def _layer(weights, name: str) -> tuple[np.ndarray, np.ndarray]:
  return weights[f'{name}_kernel'], weights[f'{name}_bias']


def content(head, scale: float, zero_point: int) -> bytes:
  """Returns the content of temporal_head.npz, the same bytes each time.

  Args:
    head: Keras model of build_pulse_head.
    scale, zero_point: of the CNN's int8 features.
  """
  arrays = {
    'input_scale': np.float32(scale),
    'input_zero_point': np.int32(zero_point),
  }
  for name in (*pulse_constants.PULSE_LAYERS, *pulse_constants.RATE_LAYERS):
    kernel, bias = head.get_layer(name).get_weights()
    arrays |= {f'{name}_kernel': kernel, f'{name}_bias': bias}
  (skip,) = head.get_layer(pulse_constants.RATE_SKIP_LAYER).get_weights()
  arrays['rate_skip'] = skip.ravel()
  file = io.BytesIO()
  np.savez(file, **arrays)
  return file.getvalue()


def _read(path: pathlib.Path):
  try:
    with np.load(path, allow_pickle=False) as file:
      return dict(file)
  except FileNotFoundError:
    raise InputError(
      f'{path}: not there, and no C compiler that works; install gcc or '
      'clang, or run tools.emit_temporal_head of a checkout again'
    ) from None
  except (ValueError, OSError, zipfile.BadZipFile) as error:
    raise InputError(
      f'{path}: damaged ({error}); run tools.emit_temporal_head of a checkout '
      'again'
    ) from None
