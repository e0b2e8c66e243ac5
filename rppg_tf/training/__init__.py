"""Training: what is trained (TrainConfig), and how (train)."""

from rppg_tf.training.config import TrainConfig
from rppg_tf.training.loop import train

__all__ = ['TrainConfig', 'train']
