"""The plain trainer in PyTorch: every window encoded whole."""

import numpy as np
import torch

from rppg_tf.training import losses, objective
from tools.benchmarks.process import now
from tools.pytorch_bridge.ultralight_rppg import UltraLightRPPG


def train(
  windows: np.ndarray,
  labels_bpm: np.ndarray,
  batch_windows: int,
  learning_rate: float,
  num_steps: int,
) -> list[np.ndarray]:
  """Trains UltraLightRPPG on random windows by a DataLoader.

  Model, loss and optimiser are those of rppg_tf.train, save that gradients
  are not clipped.

  Args:
    windows: float32 (n, 8, 3, 36, 36, 3) in [0, 1].
    labels_bpm: float32 (n,).
    batch_windows: in a step.
    learning_rate: of Adam.
    num_steps: of load, forward, backward, update.

  Returns:
    process.now at the end of each step.
  """
  model = UltraLightRPPG(conv_bias=False)
  optimiser = torch.optim.Adam(model.parameters(), learning_rate)
  data = torch.utils.data.TensorDataset(
    torch.from_numpy(windows), torch.from_numpy(labels_bpm)
  )
  sampler = torch.utils.data.RandomSampler(
    data, replacement=True, num_samples=batch_windows * num_steps
  )
  ends_s = []
  for batch, batch_bpm in torch.utils.data.DataLoader(
    data, batch_windows, sampler=sampler
  ):
    optimiser.zero_grad()
    loss(model(batch), batch_bpm).backward()
    optimiser.step()
    ends_s.append(now())
  return ends_s


def loss(estimates_bpm: torch.Tensor, labels_bpm: torch.Tensor) -> torch.Tensor:
  """losses.HuberBpm with its weight, the mean of a batch."""
  delta_bpm = losses.HUBER_DELTA_BPM
  huber = torch.nn.functional.huber_loss(
    estimates_bpm, labels_bpm, delta=delta_bpm
  )
  return objective.HEART_RATE_LOSS_WEIGHT * huber / delta_bpm
