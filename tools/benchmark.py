"""How fast, how small: data preparation, training, prediction.

  python -m tools.benchmark --output=build/bench/benchmark.json

Every measurement runs in a process of its own, so that its peak memory is
its own. Beside ours stands the plain way: cascade on every whole frame,
loaded anew for each, windows as float32; a trainer that encodes all 24 ROI
frames of every window. Ratios are of one run. Takes some minutes, many more
on a machine that works on something else too.
"""

import importlib.util
import os
import pathlib
import shutil
import sys
import tempfile
from typing import NamedTuple

from absl import flags

from rppg_tf import files
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from tools import markdown
from tools.benchmarks import process

_OUTPUT = flags.DEFINE_string(
  'output', None, 'Where to write the figures as JSON.', required=True
)
_RECORDINGS_DIR = flags.DEFINE_string(
  'recordings_dir',
  None,
  "Recordings in the layout of UBFC's DATASET_2, of 12 s or more; default: "
  'four of 20 s, rendered once beside --output.',
)

_RENDERED = (
  '--num_recordings=4',
  '--duration_s=20',
  '--fps=30',
  '--seed=77',
  '--first_subject=5401',
)
_BUILD = 'tools.benchmarks.build'
_STAGES = ('plain', 'roi', 'decode', 'detect', 'cut', 'labels')
_TRAINING = 'tools.benchmarks.training'
_PREDICT = 'tools.benchmarks.predict'
# Not measured where PyTorch is not installed.
_OF_PYTORCH = ('plain_pytorch_windows_per_s', 'plain_pytorch_cpu_ms_per_window')


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


def main() -> None:
  """Measures, writes, prints."""
  output = pathlib.Path(_OUTPUT.value)
  if not output.parent.is_dir():
    raise InputError(f'--output={output}: no folder {output.parent}')
  if _RECORDINGS_DIR.value is None:
    recordings_dir = rendered(output.parent / 'benchmark_recordings')
  else:
    recordings_dir = pathlib.Path(_RECORDINGS_DIR.value)
  figures = measure(recordings_dir)
  files.write_json(output, figures)
  print(table(figures))
  print(f'written: {output}')


def rendered(folder: pathlib.Path) -> pathlib.Path:
  """Returns the folder, with recordings in it; what is half made is made anew.

  Args:
    folder: kept for the next run.
  """
  stamp = folder / 'rendered'
  if not stamp.exists():
    _tell('rendering recordings')
    shutil.rmtree(folder, ignore_errors=True)
    process.run_well(
      'tools.render_recordings', f'--output_dir={folder}', *_RENDERED
    )
    stamp.touch()
  return folder


def measure(recordings_dir: pathlib.Path) -> dict:
  """Takes all measurements.

  Args:
    recordings_dir: in the layout of UBFC's DATASET_2.

  Returns:
    What benchmark.json holds.

  Raises:
    InputError: one of them failed; the line says which and why.
  """
  figures: dict = dict.fromkeys(_OF_PYTORCH)
  peaks = {}
  with tempfile.TemporaryDirectory() as data_dir:
    for module, function, *folders in _plan(
      recordings_dir, pathlib.Path(data_dir)
    ):
      name = f'{module.removeprefix("tools.benchmarks.")} {function}'
      result, done = process.measure(module, function, *folders)
      _tell(f'{name}: {result}')
      figures |= result
      peaks[name] = done.peak_memory_mb
  build_s, cpu_s = figures.pop('build_s'), figures.pop('build_cpu_s')
  return figures | {
    'build_frames_per_s': figures['frames'] / build_s,
    'build_cpu_ms_per_frame': 1e3 * cpu_s / figures['frames'],
    'peak_memory_mb': peaks,
    'num_cores': os.cpu_count(),
    'load_average': os.getloadavg()[0],
  }


def _tell(line: str) -> None:
  print(line, file=sys.stderr, flush=True)


def _plan(recordings_dir: pathlib.Path, data_dir: pathlib.Path) -> list[tuple]:
  """Module, function and folders of each measurement, in their order."""
  trainers = ['ours', 'plain_keras', 'plain_pytorch', 'float_pulse']
  if importlib.util.find_spec('torch') is None:
    trainers.remove('plain_pytorch')
  return [
    *((_BUILD, stage, recordings_dir) for stage in _STAGES),
    (_BUILD, 'build', recordings_dir, data_dir),
    (_BUILD, 'read', data_dir),
    *((_TRAINING, trainer, data_dir) for trainer in (*trainers, 'qat_pulse')),
    (_PREDICT, 'startup', recordings_dir),
    (_PREDICT, 'realtime', recordings_dir),
    (_PREDICT, 'int8'),
  ]


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


if __name__ == '__main__':
  run(main)
