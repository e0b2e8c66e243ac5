"""Memory of the import, on a file of 8 GB."""

import resource
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.support import commands

pytestmark = pytest.mark.bench

_GB = 1e9


def _write(path, num_repeats: int) -> int:
  """Windows of one sequence again and again; returns their number."""
  rng = np.random.default_rng(1)
  frames = rng.integers(0, 256, (500, 3, 36, 36, 3), np.uint8)
  index = np.arange(493)[:, np.newaxis] + np.arange(8)
  block = (frames[index].astype(np.float32) / np.float32(255)).tobytes()
  num_windows = 493 * num_repeats
  with FakeTensorMode():
    content = {
      'samples': torch.empty(num_windows, 8, 3, 36, 36, 3),
      'labels': torch.empty(num_windows),
    }
  # Laid out, not filled in.
  with torch.serialization.skip_data(materialize_fake_tensors=True):
    torch.save(content, path)
  with FakeTensorMode():
    laid_out = torch.load(path)
  offset = {
    name: tensor.untyped_storage()._checkpoint_offset
    for name, tensor in laid_out.items()
  }
  with open(path, 'r+b') as file:
    file.seek(offset['samples'])
    for _ in range(num_repeats):
      file.write(block)
    file.seek(offset['labels'])
    file.write(np.full(num_windows, 72, np.float32).tobytes())
  return num_windows


def test_memory_of_8_gb(tmp_path):
  path = tmp_path / 'big.pt'
  num_windows = _write(path, 44)
  size_gb = path.stat().st_size / _GB
  assert size_gb > 8
  start_s = time.monotonic()
  done = subprocess.run(
    [
      *(sys.executable, '-m', 'tools.import_pytorch', 'dataset'),
      *(f'--pt={path}', f'--data_dir={tmp_path / "data"}'),
    ],
    cwd=commands.ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  elapsed_s = time.monotonic() - start_s
  path.unlink()
  assert done.returncode == 0, done.stderr
  peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
  written = sum(file.stat().st_size for file in tmp_path.rglob('*tfrecord*'))
  print(
    f'\n{size_gb:.2f} GB, {num_windows:,} windows: peak '
    f'{peak_kib * 1024 / _GB:.2f} GB, {elapsed_s:.0f} s, '
    f'{written / _GB:.2f} GB written'
  )
  assert '44 recordings, 22,000 frames' in done.stdout
  assert peak_kib * 1024 <= 2 * _GB
