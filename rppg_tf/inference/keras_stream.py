"""The float Keras model over frames as they come, in bounded memory.

The head is taken apart: its pulse sample by sample in NumPy (PulseStream),
and Keras from the last 10 s of pulse and chrominance on. Differs from the whole
head by roundings only.
"""

import numpy as np

from rppg_tf import contract
from rppg_tf.inference import estimators
from rppg_tf.inference.estimates import HeadRun
from rppg_tf.inference.pulse_stream import PulseStream
from rppg_tf.keras_compat import keras, tf
from rppg_tf.signals import chrominance, resampling

_STRIDE = contract.WINDOW_STRIDE_S * contract.GRID_RATE_HZ


class KerasStream:
  """Codes of frames → pulse and estimates; as HeadStream, but from pixels."""

  def __init__(
    self,
    spatial_cnn: keras.Model,
    head: keras.Model,
    input_quantisation: tuple[float, int],
  ):
    """Starts.

    Args:
      spatial_cnn: float32 [n, 36, 36, 3] → [n, 16].
      head: of build_pulse_head.
      input_quantisation: (scale, zero_point) of the int8 codes.

    Raises:
      ValueError: another head, which has no pulse.
    """
    if head.name != 'pulse_head':
      raise ValueError(f'head: expected the pulse head, got {head.name!r}')
    self._encode = tf.function(spatial_cnn, reduce_retracing=True)
    self._rate = keras.Model(
      head.get_layer('wave_samples').output,
      [head.get_layer(name).output for name in ('heart_rate', 'confidence')],
    )
    self._quantisation = input_quantisation
    self._grid = resampling.GridStream()
    self._pulse_stream = PulseStream.from_keras(head)
    self._samples = np.empty((0, 1 + contract.NUM_CHROMINANCE), np.float32)
    self._until_next = contract.WINDOW_SAMPLES

  def push(
    self,
    codes: np.ndarray,
    colour: np.ndarray,
    timestamp_s: np.ndarray,
  ) -> HeadRun:
    """Takes the next frames.

    Args:
      codes: int8 [num_frames, 3, 36, 36, 3] (signals/background.py).
      colour: int16 [num_frames, 4] (signals/chrominance.py).
      timestamp_s: float64 [num_frames], seconds, never decreasing, from push
        to push neither.

    Returns:
      The pulse of the grid samples that these frames complete, and the
      estimates that fall due, every second.
    """
    features = estimators.float_features(
      self._encode, self._quantisation, codes
    )
    features = chrominance.append(features, colour)
    chunk = self._grid.push(features, timestamp_s)
    start = chunk.values[chunk.older]
    fraction = chunk.fraction[:, np.newaxis]
    columns = start + fraction * (chunk.values[chunk.newer] - start)
    pulse = np.array(
      [self._pulse_stream.push(column) for column in columns], np.float32
    )
    samples = np.column_stack([pulse, columns[:, contract.NUM_ROI_FEATURES :]])
    estimates = [self._estimate(window) for window in self._due(samples)]
    bpm, confidence = np.array(estimates, np.float32).reshape(-1, 2).T
    return HeadRun(pulse, bpm, confidence)

  def _due(self, samples: np.ndarray):
    """Takes in the samples; yields whenever the window is one to estimate."""
    for sample in samples:
      self._samples = np.vstack([self._samples, sample])
      self._samples = self._samples[-contract.WINDOW_SAMPLES :]
      self._until_next -= 1
      if not self._until_next:
        self._until_next = _STRIDE
        yield self._samples

  def _estimate(self, window: np.ndarray) -> tuple[float, float]:
    bpm, confidence = self._rate(window[np.newaxis], training=False)
    return float(bpm[0, 0]), float(confidence[0, 0])
