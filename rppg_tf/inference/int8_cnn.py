"""The INT8 spatial CNN on the host, by LiteRT."""

import pathlib

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from rppg_tf import contract
from rppg_tf.errors import InputError

_BATCH = 96


class Int8SpatialCnn:
  """spatial_int8.tflite, run on many ROI frames at once.

  The file keeps the batch of 1 that STM32N6 demands; on the host the input
  is resized, which changes no byte of the result.

  Attributes:
    input_scale, input_zero_point, output_scale, output_zero_point: the
      quantisation of the file's two ends.
  """

  def __init__(self, path: pathlib.Path | str, num_threads: int = 2):
    if not pathlib.Path(path).is_file():
      raise InputError(
        f'{path}: not there; run `python -m tools.export_tflite` in a '
        'checkout first'
      )
    # Without XNNPACK: its rounding differs from the reference kernels'.
    self._interpreter = Interpreter(
      model_path=str(path),
      num_threads=num_threads,
      experimental_op_resolver_type=(
        OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
      ),
    )
    self._input = self._interpreter.get_input_details()[0]
    self._output = self._interpreter.get_output_details()[0]
    self._resize(_BATCH)
    self.input_scale, self.input_zero_point = self._input['quantization']
    self.output_scale, self.output_zero_point = self._output['quantization']

  def _resize(self, batch: int) -> None:
    shape = [batch, *contract.ROI_FRAME_SHAPE]
    self._interpreter.resize_tensor_input(self._input['index'], shape)
    self._interpreter.allocate_tensors()
    self._batch = batch

  def frame_features(self, codes: np.ndarray) -> np.ndarray:
    """Encodes video frames.

    Args:
      codes: int8 [num_frames, 3, 36, 36, 3] (signals/background.py).

    Returns:
      int8 [num_frames, 48] feature codes.
    """
    images = codes.reshape(-1, *contract.ROI_FRAME_SHAPE)
    features = np.empty((len(images), contract.NUM_SPATIAL_FEATURES), np.int8)
    for start in range(0, len(images), _BATCH):
      part = images[start : start + _BATCH]
      if len(part) != self._batch:
        self._resize(len(part))
      self._interpreter.set_tensor(self._input['index'], part)
      self._interpreter.invoke()
      features[start : start + len(part)] = self._interpreter.get_tensor(
        self._output['index']
      )
    return features.reshape(-1, contract.NUM_ROI_FEATURES)

  def dequantise(self, features: np.ndarray) -> np.ndarray:
    """Turns int8 feature codes into float32 features."""
    shifted = features.astype(np.float32) - np.float32(self.output_zero_point)
    return shifted * np.float32(self.output_scale)
