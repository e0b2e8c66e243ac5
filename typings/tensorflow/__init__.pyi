# TensorFlow has no types of its own. Those that pyright ships know neither
# tf.random.experimental nor that a dataset's elements can be dictionaries.
from typing import Any

def __getattr__(name: str) -> Any: ...
