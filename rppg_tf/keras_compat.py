"""The only import of Keras: Keras 2 (tf_keras), which tfmot needs.

tensorflow-model-optimization sets TF_USE_LEGACY_KERAS itself when imported;
set here first, so that the order of imports elsewhere does not matter.

TensorFlow is told to keep the memory that it frees. malloc gives large blocks
back to Linux, which clears their pages again for the next step of a training:
a quarter of its CPU time (docs/results.md, Speed).
"""

import os

os.environ['TF_USE_LEGACY_KERAS'] = '1'
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
# Read when TensorFlow first computes.
os.environ.setdefault('TF_CPU_ALLOCATOR_USE_BFC', 'true')

import tf_keras as keras

__all__ = ['keras']
