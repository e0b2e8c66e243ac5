"""Training: what is trained (TrainConfig), and how (train, train_folds)."""

from rppg_tf.training.config import TrainConfig
from rppg_tf.training.cross_validation import train_folds
from rppg_tf.training.loop import train

__all__ = ['TrainConfig', 'train', 'train_folds']
