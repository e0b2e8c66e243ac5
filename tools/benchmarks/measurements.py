"""All measurements of tools/benchmark, each in a process of its own."""

import importlib.util
import os
import pathlib
import shutil
import sys
import tempfile

from tools.benchmarks import process

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
