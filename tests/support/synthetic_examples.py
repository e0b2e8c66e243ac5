"""Examples of tfds_ubfc made of noise, as NumPy, for the tests."""

import numpy as np
import tensorflow as tf

NUM_FRAMES = 360
TIMES_S = np.arange(NUM_FRAMES) / 30


def example(
  seed: int = 1, num_frames: int = NUM_FRAMES, subject: str = 'subject1'
):
  """12 s at 30 Hz: noise for frames, a PPG of 80 BPM."""
  rng = np.random.default_rng(seed)
  timestamp_s = np.arange(num_frames) / 30
  return {
    'frames': rng.integers(0, 256, (num_frames, 3, 36, 36, 3), np.uint8),
    'timestamp_s': timestamp_s,
    'face_found': np.ones(num_frames, bool),
    'mid_face_rgb': rng.uniform(90, 110, (num_frames, 3)).astype(np.float32),
    'ppg': np.sin(2 * np.pi * 80 / 60 * timestamp_s).astype(np.float32),
    'heart_rate_bpm': np.full(num_frames, 80, np.float32),
    'subject': subject.encode(),
  }


def dataset(examples: list[dict]) -> tf.data.Dataset:
  """As clips.load_recordings gives them."""
  joined = tf.data.Dataset.from_tensors(examples[0])
  for one in examples[1:]:
    joined = joined.concatenate(tf.data.Dataset.from_tensors(one))
  return joined
