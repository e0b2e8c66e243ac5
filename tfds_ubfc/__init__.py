"""UBFC-rPPG DATASET_2 as a TensorFlow Dataset: `tfds.load('tfds_ubfc')`."""

from tfds_ubfc.tfds_ubfc_dataset_builder import Builder

__all__ = ['Builder']
