"""What the figures of tools/benchmark are held against, and their table."""

from typing import NamedTuple

from tools import markdown


class Target(NamedTuple):
  """What a ratio or a figure is to be.

  Attributes:
    name: what is measured.
    value: of a run's figures; None if something of it could not be measured.
    limit: the least, or the most if `is_most`.
    by_cpu: the same of CPU times, which other work on the machine hardly
      changes; None where that means nothing.
    is_most: whether smaller is better.
  """

  name: str
  value: float | None
  limit: float
  by_cpu: float | None = None
  is_most: bool = False

  @property
  def is_met(self) -> bool:
    """Whether it was measured, and is within the limit."""
    if self.value is None:
      return False
    return (
      self.value <= self.limit if self.is_most else self.value >= self.limit
    )


def targets(figures: dict) -> list[Target]:
  """Returns what is to be shown, and what was.

  Args:
    figures: of `measure`.
  """

  def ratio(name: str, other: str) -> float | None:
    large, small = figures[name], figures[other]
    return None if None in (large, small) else large / small

  def training(plain: str, limit: float) -> Target:
    return Target(
      f'training, windows/s / {plain}',
      ratio('train_windows_per_s', f'{plain}_windows_per_s'),
      limit,
      ratio(f'{plain}_cpu_ms_per_window', 'train_cpu_ms_per_window'),
    )

  def most(name: str, figure: str, limit: float) -> Target:
    return Target(name, figures[figure], limit, is_most=True)

  return [
    Target(
      'build, frames/s / plain',
      ratio('build_frames_per_s', 'plain_build_frames_per_s'),
      25,
      ratio('plain_build_cpu_ms_per_frame', 'build_cpu_ms_per_frame'),
    ),
    Target(
      'bytes of float32 windows / bytes stored',
      ratio('plain_bytes_per_frame', 'bytes_per_frame'),
      32,
    ),
    most('ROI against looking at every frame, px', 'roi_distance_px', 2),
    training('plain_keras', 6),
    training('plain_pytorch', 20),
    most('predict, start-up, s', 'predict_startup_s', 1),
    Target('predict, x real time', figures['predict_realtime_factor'], 15),
  ]


def table(figures: dict) -> str:
  """Returns targets, figures and peak memory as Markdown.

  Args:
    figures: of `measure`.
  """
  shown = [
    (
      target.name,
      f'{"≤" if target.is_most else "≥"} {target.limit}',
      _cell(target.value),
      'met' if target.is_met else 'not met',
      _cell(target.by_cpu),
    )
    for target in targets(figures)
  ]
  peaks_mb = figures['peak_memory_mb'].items()
  others = sorted(figures.keys() - {'peak_memory_mb'})
  return '\n\n'.join(
    [
      markdown.table(
        ['to be shown', 'limit', 'measured', '', 'by CPU time'], shown
      ),
      markdown.table(
        ['figure', ''], [(name, _cell(figures[name])) for name in others]
      ),
      markdown.table(
        ['process', 'peak MB'], [(name, _cell(peak)) for name, peak in peaks_mb]
      ),
    ]
  )


def _cell(value: float | None) -> str:
  if value is None:
    return '-'
  return f'{value:,.0f}' if abs(value) >= 1000 else f'{value:.3g}'
