"""The only import of Keras: Keras 2 (tf_keras), which tfmot needs.

tensorflow-model-optimization sets TF_USE_LEGACY_KERAS itself when imported;
set here first, so that the order of imports elsewhere does not matter.
"""

import os

os.environ['TF_USE_LEGACY_KERAS'] = '1'
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import tf_keras as keras

__all__ = ['keras']
