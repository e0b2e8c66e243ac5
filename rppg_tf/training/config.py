"""What one training does: the flags of rppg_tf.train as a frozen value."""

import dataclasses
import os

from absl import flags

from rppg_tf.errors import InputError
from rppg_tf.model import network
from rppg_tf.signals import background
from rppg_tf.training import distribution, sources

# Of the types of attributes; the others are text.
_DEFINE = {
  int: flags.DEFINE_integer,
  float: flags.DEFINE_float,
}
_CHOICES = {
  'head': network.HEADS,
  'background': background.MODES,
  'roi_geometry': ('inner', 'original'),
  'split_by': ('subject', 'window'),
  'cache': sources.CACHES,
  'distribution': distribution.KINDS,
}
_AT_LEAST = {
  **dict.fromkeys(
    ('width', 'window', 'frame_stride', 'epochs', 'batch_size'), 1
  ),
  'clips_per_recording': 1,
  **dict.fromkeys(('num_folds', 'fold', 'head_epochs', 'patch_recordings'), 0),
  **dict.fromkeys(
    ('learning_rate', 'pulse_loss_weight', 'rate_loss_weight'), 0.0
  ),
  'teacher_weight': 0.0,
  'teacher_temperature': 0.1,
  'teacher_feature_weight': 0.0,
}


@dataclasses.dataclass(frozen=True)
class TrainConfig:
  """What one training does.

  The attributes are the flags of `python -m rppg_tf.train --help`, which says
  what each of them does. A run directory keeps them in flags.json.

  Raises:
    InputError: a value is out of its range, or two do not go together.
  """

  data_dir: str
  run_dir: str
  head: str = 'pulse'
  width: int = 1
  window: int = 8
  frame_stride: int = 1
  background: str = 'normalise'
  roi_geometry: str = 'inner'
  num_folds: int = 0
  fold: int = 0
  split_by: str = 'subject'
  epochs: int = 12
  head_epochs: int = 0
  batch_size: int = 4
  clips_per_recording: int = 1
  learning_rate: float = 2e-3
  pulse_loss_weight: float = 2.0
  rate_loss_weight: float = 1.0
  teacher: str | None = None
  teacher_weight: float = 0.5
  teacher_temperature: float = 2.0
  teacher_feature_weight: float = 0.5
  patch_recordings: int = 0
  texture_dir: str | None = None
  ground_truth_dir: str | None = None
  seed: int = 1
  cache: str = 'memory'
  distribution: str = 'none'

  @classmethod
  def from_flagfile(cls, path: str | os.PathLike, **values) -> 'TrainConfig':
    """Reads a flagfile of rppg_tf.train.

    Args:
      path: as for --flagfile.
      values: win over those of the file.

    Raises:
      InputError: the file cannot be read, or holds another flag.
    """
    found = flags.FlagValues()
    for field in dataclasses.fields(cls):
      define = _DEFINE.get(field.type, flags.DEFINE_string)
      define(field.name, None, '', flag_values=found)
    try:
      found(['', f'--flagfile={os.fspath(path)}'])
    except flags.Error as error:
      raise InputError(f'{os.fspath(path)}: {error}') from None
    given = {
      name: value
      for name, value in found.flag_values_dict().items()
      if value is not None
    }
    return cls(**(given | values))

  def __post_init__(self):
    for name, choices in _CHOICES.items():
      if getattr(self, name) not in choices:
        raise InputError(
          f'--{name}={getattr(self, name)}: expected one of '
          f'{", ".join(choices)}'
        )
    for name, least in _AT_LEAST.items():
      if getattr(self, name) < least:
        raise InputError(
          f'--{name}={getattr(self, name)}: expected {least} or more'
        )
    if self.teacher_weight > 1:
      raise InputError(f'--teacher_weight={self.teacher_weight}: at most 1')
    _check_together(self)
    if self.split_by == 'window':
      _check_split_by_window(self)


def _check_together(config: TrainConfig) -> None:
  if config.patch_recordings and not config.head_epochs:
    raise InputError('--patch_recordings: needs --head_epochs')
  if config.head_epochs and config.distribution == 'multi_worker':
    raise InputError(
      '--head_epochs: not with --distribution=multi_worker; give '
      '--head_epochs=0, and train the head by the same command with '
      '--distribution=none afterwards'
    )


def _check_split_by_window(config: TrainConfig) -> None:
  if config.head != 'window':
    raise InputError(
      '--split_by=window: only with --head=window; windows of 10 s are too '
      'few to be split so'
    )
  if config.cache == 'none':
    raise InputError('--cache=none: not with --split_by=window')
  if config.head_epochs:
    raise InputError('--head_epochs: not with --split_by=window')
  if config.num_folds:
    raise InputError('--num_folds is by subject: not with --split_by=window')
  if config.teacher:
    raise InputError('--teacher: not with --split_by=window')
