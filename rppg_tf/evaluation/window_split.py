"""The leaky protocol: windows, not people, are split at random.

Of every recording, windows that end at some frames train, those that end at
others validate and test. Next to almost every test window lies a training
window of the same person that shares all frames but one; a network that
remembers faces reads their heart rates off its memory. Published errors of
4-5 BPM from 8 frames come about like this (docs/architecture.md). This module
exists to make that number again, never to judge a model.
"""

import numpy as np
import pandas

from rppg_tf import contract
from rppg_tf.data import clips, window_split
from rppg_tf.data.clips import ClipShape
from rppg_tf.evaluation import windows
from rppg_tf.inference import estimates as inference_estimates
from rppg_tf.inference import estimators
from rppg_tf.keras_compat import tf
from rppg_tf.signals import chrominance, resampling, spectrum


def float_estimator(
  spatial_cnn, head, input_quantisation: tuple[float, int]
) -> inference_estimates.Estimator:
  """Returns the Keras model, estimating on every window of its own length."""
  encode = tf.function(spatial_cnn, reduce_retracing=True)

  def estimate(recording):
    features = estimators.float_features(
      encode, input_quantisation, recording['codes']
    )
    features = chrominance.append(features, recording['chrominance'])
    outputs = estimators.head_outputs(head, features, recording['timestamp_s'])
    return inference_estimates.Estimates(outputs['heart_rate_bpm'])

  return estimate


def window_rows(
  recording: dict,
  estimates: dict[str, inference_estimates.Estimates],
  shape: ClipShape,
  training_mean_bpm: float,
) -> pandas.DataFrame:
  """Returns a row for each test window of the head's own length.

  Pulse waves are read by their highest peak over the 10 s up to the window's
  end, so that windows of the first 10 s are left out.

  Args:
    recording: an example of tfds_ubfc as NumPy.
    estimates: by name; `model` as float_estimator gives it, the others with
      pulses.
    shape: of the head's windows.
    training_mean_bpm: what the training-mean predictor says.

  Returns:
    Columns subject, time_s, reference_bpm, subject_was_trained_on (1: always),
    train_mean, subject_mean (the mean of the same person's training windows:
    what remembering a face comes to), and the BPM by name. No row of a
    recording that has no window to test, or none to remember.
  """
  labels, tested, trained, ends = _labelled(recording, shape)
  chosen = np.flatnonzero(tested & (ends + 1 >= contract.WINDOW_SAMPLES))
  if not chosen.size or not np.any(trained):
    return pandas.DataFrame()
  before = ends[chosen, np.newaxis] + np.arange(1 - contract.WINDOW_SAMPLES, 1)
  columns = {
    'time_s': (ends[chosen] + 1) / contract.GRID_RATE_HZ,
    'reference_bpm': labels[chosen],
    'subject_was_trained_on': np.ones(len(chosen)),
    'train_mean': np.full(len(chosen), training_mean_bpm),
    'subject_mean': np.full(len(chosen), np.mean(labels[trained])),
  }
  for name, estimate in estimates.items():
    if estimate.pulse is None:
      columns[name] = estimate.heart_rate_bpm[chosen]
    else:
      columns[name] = spectrum.peak_bpm(estimate.pulse[before])
  return windows.table(recording, columns, np.arange(len(chosen)))


def _labelled(recording: dict, shape: ClipShape):
  """Returns labels, whether to test, whether to train, and last samples."""
  timestamp_s = recording['timestamp_s']
  rates = resampling.to_grid(recording['heart_rate_bpm'], timestamp_s)
  labels, weights = clips.window_labels(rates, shape)
  known = weights.numpy() > 0
  ends = window_split.window_ends(len(known), shape).numpy()
  _, newer, _ = resampling.grid_positions(timestamp_s)
  end_s = timestamp_s[newer[ends]]
  tested, trained = (
    known & window_split.is_in(split, end_s).numpy()
    for split in ('test', 'train')
  )
  return labels.numpy(), tested, trained, ends
