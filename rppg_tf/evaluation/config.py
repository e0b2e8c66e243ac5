"""What one evaluation looks at: the flags of rppg_tf.evaluate, frozen."""

import dataclasses
import pathlib

from rppg_tf import run_directory
from rppg_tf.errors import InputError

SPLITS = ('train', 'validation', 'test', 'all')
PROTOCOLS = ('subject', 'window')


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
  """What one evaluation looks at.

  The attributes are the flags of `python -m rppg_tf.evaluate --help`, which
  says what each of them does.

  Raises:
    InputError: a value is unknown, or two do not go together.
  """

  data_dir: str
  run_dir: str | None = None
  split: str | None = None
  json: str | None = None
  recordings_dir: str | None = None
  folds: int = 0
  split_by: str = 'subject'

  def __post_init__(self):
    for name, choices in (('split', (None, *SPLITS)), ('split_by', PROTOCOLS)):
      if getattr(self, name) not in choices:
        raise InputError(
          f'--{name}={getattr(self, name)}: expected one of '
          f'{", ".join(filter(None, choices))}'
        )
    if self.folds < 0:
      raise InputError(f'--folds={self.folds}: expected 0 or more')
    if self.folds or self.split_by == 'window':
      _check_protocol(self)
    if not self.run_dir and not run_directory.PRETRAINED.is_dir():
      raise InputError(
        f'{run_directory.PRETRAINED}: no model ships with this checkout; give '
        '--run_dir'
      )

  @property
  def root_dir(self) -> pathlib.Path:
    """The run directory, or the folder that those of all folds are in."""
    return pathlib.Path(self.run_dir or run_directory.PRETRAINED)

  @property
  def run_dirs(self) -> list[pathlib.Path]:
    """The run directories to evaluate."""
    if not self.folds:
      return [self.root_dir]
    return run_directory.fold_dirs(self.root_dir, self.folds)

  @property
  def tested(self) -> str:
    """The split whose subjects are looked at."""
    return self.split or ('test' if self.run_dir else 'all')

  @property
  def json_path(self) -> pathlib.Path | None:
    """Where the errors are written; None for nowhere."""
    if self.json:
      return pathlib.Path(self.json)
    return self.root_dir / run_directory.EVALUATION if self.run_dir else None


def _check_protocol(config: EvaluateConfig) -> None:
  leaky = config.split_by == 'window'
  flag = '--split_by=window' if leaky else '--folds'
  if leaky and config.folds:
    raise InputError('--folds is by subject: not with --split_by=window')
  if config.split:
    raise InputError(f'--split: not with {flag}, which says what is tested')
  if leaky and config.recordings_dir:
    raise InputError(f'--recordings_dir: no such tables with {flag}')
  if not config.run_dir:
    raise InputError(f'{flag}: needs --run_dir')
