"""Heart rate from a camera: `measure` a video, or push frames to a `Meter`."""

import importlib

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest
if TYPE_CHECKING:  # what `__getattr__` gives
  from rppg_tf.measurement import (
    Estimate,
    Measurement,
    Meter,
    NoFaceError,
    measure,
  )

__version__ = '0.2.0'
__all__ = ['Estimate', 'Measurement', 'Meter', 'NoFaceError', 'measure']


def __getattr__(name: str):
  # OpenCV and LiteRT take half a second to load: only for those who measure.
  if name in __all__:
    return getattr(importlib.import_module('rppg_tf.measurement'), name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
  return sorted([*globals(), *__all__])
