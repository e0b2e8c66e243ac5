"""UltraLightRPPG in PyTorch: what its state_dicts are checked against.

Layer names and shapes are the original's; `model/spatial_cnn.py` and
`model/window_head.py` are the same network in Keras.
"""

import torch

from rppg_tf import contract
from rppg_tf.model.spatial_cnn import CONV_CHANNELS

_TEMPORAL_CHANNELS = (32, 16)
_HIDDEN = 32


class UltraLightRPPG(torch.nn.Module):
  """Windows of T frames of three ROIs → BPM."""

  def __init__(
    self, window: int = contract.SEED_WINDOW_FRAMES, conv_bias: bool = True
  ):
    """Builds the network.

    Args:
      window: T, frames in a window.
      conv_bias: whether the convolutions before batch norm have a bias.
    """
    super().__init__()
    layers = []
    inputs = contract.NUM_CHANNELS
    for number, outputs in enumerate(CONV_CHANNELS, 1):
      layers += [
        torch.nn.Conv2d(inputs, outputs, 3, padding=1, bias=conv_bias),
        torch.nn.BatchNorm2d(outputs),
        torch.nn.ReLU(),
      ]
      last = number == len(CONV_CHANNELS)
      layers.append(
        torch.nn.AdaptiveAvgPool2d(1) if last else torch.nn.MaxPool2d(2)
      )
      inputs = outputs
    self.spatial = torch.nn.Sequential(*layers)
    first, second = _TEMPORAL_CHANNELS
    self.temporal = torch.nn.Sequential(
      torch.nn.Conv1d(contract.NUM_ROI_FEATURES, first, 3, padding=1),
      torch.nn.ReLU(),
      torch.nn.Conv1d(first, second, 3, padding=1),
      torch.nn.ReLU(),
    )
    self.fc = torch.nn.Sequential(
      torch.nn.Linear(second * window, _HIDDEN),
      torch.nn.ReLU(),
      torch.nn.Linear(_HIDDEN, 1),
    )

  def forward(self, windows: torch.Tensor) -> torch.Tensor:
    """Estimates.

    Args:
      windows: float32 (N, T, 3, 36, 36, 3), pixels / 255, channels last.

    Returns:
      float32 (N,), BPM in (30, 180).
    """
    count, length = windows.shape[:2]
    images = windows.reshape(-1, *contract.ROI_FRAME_SHAPE)
    features = self.spatial(images.permute(0, 3, 1, 2))  # (N·T·3, 16, 1, 1)
    features = features.reshape(count, length, contract.NUM_ROI_FEATURES)
    features = self.temporal(features.transpose(1, 2))  # (N, 16, T)
    logit = self.fc(features.flatten(1))[:, 0]  # channel by channel
    return (
      torch.sigmoid(logit) * contract.SEED_OUTPUT_SPAN_BPM
      + contract.SEED_OUTPUT_MIN_BPM
    )
