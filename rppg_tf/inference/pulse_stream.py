"""The pulse wave of a trained head, one sample of the 30 Hz grid at a time."""

import numpy as np

from rppg_tf import contract
from rppg_tf.signals import pulse_constants


class PulseStream:
  """The pulse wave of a head, one grid sample at a time, in float32.

  Args:
    layers: (kernel float32 [taps, inputs, outputs], bias float32 [outputs])
      of the three causal convolutions.
  """

  def __init__(self, layers: list[tuple[np.ndarray, np.ndarray]]):
    self._layers = layers
    self._columns = [
      np.zeros(kernel.shape[:2], np.float32) for kernel, _ in layers
    ]
    self._mean = np.zeros(contract.NUM_FRAME_FEATURES, np.float32)
    self._variance = np.zeros(contract.NUM_FRAME_FEATURES, np.float32)
    self._samples_seen = 0

  @classmethod
  def from_keras(cls, head) -> 'PulseStream':
    """Returns the stream of a Keras model of build_pulse_head."""
    return cls(
      [
        head.get_layer(name).get_weights()
        for name in pulse_constants.PULSE_LAYERS
      ]
    )

  def push(self, features: np.ndarray) -> np.float32:
    """Takes float32 [52] features of one grid time, returns its pulse."""
    column = self._standardise(features)
    for index, (kernel, bias) in enumerate(self._layers):
      past = self._columns[index]
      past[:-1] = past[1:]
      past[-1] = column
      column = np.tensordot(past, kernel, 2) + bias
      if index < len(self._layers) - 1:
        column = np.maximum(column, 0)
    return column[0]

  def _standardise(self, features: np.ndarray) -> np.ndarray:
    self._samples_seen += 1
    weight = max(
      pulse_constants.standardisation_weight(),
      np.float32(1) / np.float32(self._samples_seen),
    )
    deviation = features - self._mean
    self._mean += weight * deviation
    self._variance += weight * deviation * deviation
    self._variance *= np.float32(1) - weight
    floor = np.float32(pulse_constants.VARIANCE_FLOOR)
    return (features - self._mean) / np.sqrt(self._variance + floor)
