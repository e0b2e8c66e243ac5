"""ONNX files run by onnxruntime, beside Keras and TFLite."""

from collections.abc import Iterable

import numpy as np
import onnxruntime

from rppg_tf import contract
from rppg_tf.evaluation import metrics, windows
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.inference import estimators as inference_estimators
from rppg_tf.inference.int8_cnn import Int8SpatialCnn
from rppg_tf.keras_compat import keras
from rppg_tf.quantisation import calibration
from rppg_tf.signals import chrominance
from tools.onnx_export import head as onnx_head
from tools.onnx_export import spatial_cnn

# Roundings of float32 sums in another order; a wrong weight or layout is off by
# far more. Features as a share of the largest; BPM, pulse and confidence.
MAX_FEATURE_DIFFERENCE = 1e-5
MAX_HEAD_DIFFERENCE = 1e-2
# TFLite rounds a rescaled sum twice, in fixed point, ONNX once: now and then
# that is the next code.
MAX_CODE_DIFFERENCE = 1


def session(content: bytes) -> onnxruntime.InferenceSession:
  """Opens an ONNX file on one core of the CPU.

  Without VNNI (AVX2 alone) onnxruntime's int8 products saturate at 16 bit
  unless it is told to be precise: up to 21 codes off.
  """
  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = 1
  options.add_session_config_entry('session.x64quantprecision', '1')
  return onnxruntime.InferenceSession(
    content, options, providers=['CPUExecutionProvider']
  )


class OnnxSpatialCnn:
  """spatial_cnn.onnx or spatial_cnn_qdq.onnx, run frame by frame."""

  def __init__(self, content: bytes, input_quantisation: tuple[float, int]):
    """Opens it.

    Args:
      content: the file.
      input_quantisation: (scale, zero_point) of the int8 codes.
    """
    self._session = session(content)
    self._quantisation = input_quantisation

  def frame_features(self, codes: np.ndarray) -> np.ndarray:
    """Encodes int8 [frames, 3, 36, 36, 3] codes → float32 [frames, 48]."""
    images = codes.reshape(-1, *contract.ROI_FRAME_SHAPE)
    images = calibration.values(images, self._quantisation)
    images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    found = [
      self._session.run(None, {spatial_cnn.INPUT: images[i : i + 1]})[0]
      for i in range(len(images))
    ]
    return np.concatenate(found).reshape(-1, contract.NUM_ROI_FEATURES)


def code_differences(
  int8_cnn: Int8SpatialCnn, qdq_cnn: OnnxSpatialCnn, codes: np.ndarray
) -> np.ndarray:
  """Returns by how many codes each feature differs, int64 [frames, 48].

  Args:
    int8_cnn: the TFLite file.
    qdq_cnn: spatial_cnn_qdq.onnx, made of it.
    codes: int8 [frames, 3, 36, 36, 3].
  """
  expected = int8_cnn.frame_features(codes).astype(np.int64)
  features = qdq_cnn.frame_features(codes)
  found = np.rint(features / np.float32(int8_cnn.output_scale))
  return np.abs(found.astype(np.int64) + int8_cnn.output_zero_point - expected)


def pulse_correlations(
  examples: Iterable[dict],
  mode: str,
  head: keras.Model,
  int8_cnn: Int8SpatialCnn,
  qdq_cnn: OnnxSpatialCnn,
) -> list[float]:
  """Correlates the pulses that one head makes of both CNNs' features.

  Args:
    examples: recordings of tfds_ubfc as NumPy; those under 10 s are left out.
    mode: one of background.MODES.
    head: a pulse head.
    int8_cnn: the TFLite file.
    qdq_cnn: spatial_cnn_qdq.onnx, made of it.

  Returns:
    Pearson's r over each recording; NaN where a pulse stands still.
  """

  def of_qdq(recording):
    features = qdq_cnn.frame_features(recording['codes'])
    features = chrominance.append(features, recording['chrominance'])
    return inference_estimators.head_estimates(
      head, features, recording['timestamp_s']
    )

  estimators = {
    'tflite': inference_estimators.int8_estimator(int8_cnn, head),
    'qdq': of_qdq,
  }
  correlations = []
  for _, found in windows.estimated(examples, mode, estimators):
    tflite, qdq = found['tflite'].pulse, found['qdq'].pulse
    assert tflite is not None and qdq is not None  # of a pulse head
    correlations.append(metrics.pearson_r(tflite, qdq))
  return correlations


def head_window(content: bytes, features: np.ndarray) -> dict[str, np.ndarray]:
  """Runs <name>.onnx over float32 [samples, features]; outputs by name."""
  model = session(content)
  names = [output.name for output in model.get_outputs()]
  found = model.run(names, {'features': features[np.newaxis]})
  return dict(zip(names, found, strict=True))


def head_stream(
  content: bytes, head: keras.Model, features: np.ndarray
) -> dict[str, np.ndarray]:
  """Runs <name>_step.onnx over a recording, sample by sample.

  Args:
    content: the file.
    head: what it was made of; knows the state's shapes.
    features: float32 [samples, 52].

  Returns:
    {pulse, heart_rate_bpm, confidence}, float32 [samples] each.
  """
  model = session(content)
  names = [output.name for output in model.get_outputs()]
  shapes = onnx_head.state_shapes(head)
  state = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
  rows = []
  for column in features:
    found = model.run(names, {'features': column[np.newaxis], **state})
    found = dict(zip(names, found, strict=True))
    state = {name: found.pop(f'next_{name}') for name in state}
    rows.append({name: value[0, 0] for name, value in found.items()})
  return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def random_codes(num_frames: int) -> np.ndarray:
  """Returns noise over all codes, int8 [num_frames, 3, 36, 36, 3]."""
  rng = np.random.default_rng(1)
  shape = (num_frames, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)
  codes = np.clip(rng.normal(0, 40, shape), -128, 127)
  return np.rint(codes).astype(np.int8)


def random_features(num_samples: int, num_features: int) -> np.ndarray:
  """Returns noise with a pulse of 72 BPM, float32 [samples, features]."""
  rng = np.random.default_rng(2)
  time_s = np.arange(num_samples) / contract.GRID_RATE_HZ
  pulse = np.sin(2 * np.pi * 1.2 * time_s)[:, np.newaxis]
  swing = rng.normal(0, 0.05, num_features)
  noise = rng.normal(0, 0.02, (num_samples, num_features))
  return (0.5 + swing * pulse + noise).astype(np.float32)


def head_differences(
  head: keras.Model, content: bytes, features: np.ndarray
) -> dict[str, float]:
  """Returns the largest |ONNX - Keras| of every output of a head's file.

  Args:
    head: what the file was made of.
    content: the file of one window, not that of one step.
    features: float32 [T or 300, features], the window.
  """
  found = head_window(content, features)
  if head.name == 'window_head':
    # Between the window's frames lie those that its stride passes over.
    stride = head.get_layer('windows').stride
    features = np.repeat(features, stride, axis=0)[: 1 - stride or None]
  expected = head(features[np.newaxis], training=False)
  return {
    name: float(np.max(np.abs(values - np.asarray(expected[name]))))
    for name, values in found.items()
  }


def step_differences(
  head: keras.Model, content: bytes, features: np.ndarray
) -> dict[str, float]:
  """Returns the largest |ONNX - Keras| of every output of <name>_step.onnx.

  Args:
    head: a pulse head, what the file was made of.
    content: the file.
    features: float32 [samples, 52], at least 300; an estimate every second is
      compared.
  """
  found = head_stream(content, head, features)
  expected = head(features[np.newaxis], training=False)
  ends = inference_estimates.window_ends(len(features))
  estimates = ('heart_rate_bpm', 'confidence')
  found |= {name: found[name][ends] for name in estimates}
  return {
    name: float(np.max(np.abs(values - np.asarray(expected[name])[0])))
    for name, values in found.items()
  }
