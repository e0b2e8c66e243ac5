"""The Keras model in a stream says what it says of the whole recording."""

import numpy as np

from rppg_tf import contract
from rppg_tf.inference import estimates, estimators, keras_stream
from rppg_tf.keras_compat import keras
from rppg_tf.model.pulse_head import build_pulse_head
from rppg_tf.model.spatial_cnn import build_spatial_cnn
from rppg_tf.signals import background, chrominance


def test_keras_stream_is_the_whole_keras_model():
  keras.utils.set_random_seed(5)
  cnn, head = build_spatial_cnn(), build_pulse_head()
  random = np.random.default_rng(6)
  shape = (400, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE)
  codes = random.integers(-128, 128, shape, np.int8, endpoint=False)
  time_s = np.arange(400) / 29
  quantisation = background.input_quantisation('normalise')
  colour = random.integers(-1024, 1024, (400, 4), np.int16)
  features = estimators.float_features(cnn, quantisation, codes)
  features = chrominance.append(features, colour)
  whole = estimators.head_estimates(head, features, time_s)
  stream = keras_stream.KerasStream(cnn, head, quantisation)
  parts = [
    stream.push(codes[part], colour[part], time_s[part])
    for part in (slice(0, 150), slice(150, 300), slice(300, 400))
  ]
  # Keras standardises by another recursion, with roundings of its own.
  for name in estimates.HeadRun._fields:
    joined = np.concatenate([getattr(part, name) for part in parts])
    assert len(joined)
    np.testing.assert_allclose(
      joined, getattr(whole, name), rtol=1e-4, atol=1e-4
    )
