"""Files as UltraLightRPPG's preparation writes them, for the tests."""

import functools

import numpy as np
import torch

from rppg_tf.synthesis import patches

# Recording 2 loses its windows 40-59, and so is in two pieces; three of them
# are long enough to train, validate and test on.
NUM_FRAMES = (345, 120, 345, 120, 345, 120)
LOST_WINDOWS = {0: range(100, 104), 1: range(40, 60), 3: range(10, 11)}
BREAK = (1, 40, 60)


@functools.cache
def recordings() -> tuple[dict, ...]:
  """Six rendered recordings: frames uint8, labels all known."""
  source = patches.PatchSource(
    seed=3, duration_s=16, without=frozenset({'pulse_less'})
  )
  found = []
  for index, num_frames in enumerate(NUM_FRAMES):
    rendered = patches.render_recording(source, index)
    rates = rendered['heart_rate_bpm'][:num_frames]
    found.append(
      {
        'frames': rendered['frames'][:num_frames],
        'heart_rate_bpm': np.where(np.isfinite(rates), rates, np.float32(70)),
      }
    )
  return tuple(found)


def windows(stride: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
  """Cuts all recordings; filtered windows are missing.

  Returns:
    samples float32 (N, 8, 3, 36, 36, 3), labels float32 (N,), whose each is.
  """
  samples, labels, names = [], [], []
  for index, recording in enumerate(recordings()):
    frames, rates = recording['frames'], recording['heart_rate_bpm']
    for start in range(0, len(frames) - 7, stride):
      if start in LOST_WINDOWS.get(index, ()):
        continue
      samples.append(frames[start : start + 8].astype(np.float32) / 255)
      labels.append(rates[start + 4])
      names.append(f'subject{101 + index}')
  return np.stack(samples), np.array(labels, np.float32), names


def save(path, samples: np.ndarray, labels: np.ndarray) -> None:
  content = {'samples': torch.from_numpy(samples)}
  torch.save(content | {'labels': torch.from_numpy(labels)}, path)
