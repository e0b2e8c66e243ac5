"""The shipped model against POS and CHROM, ours and vitallens', on videos.

`make bench`: prints the tables of docs/results.md. Seeds, people and motion
were never trained on. All waves of the same 10 s windows of the same files are
read alike, by their beats and by their spectra (of the unsupervised methods the
highest peak in 40-180 BPM); vitallens finds the face and makes its wave by
itself.
"""

import math

import numpy as np
import pandas
import pytest

from rppg_tf import contract, files, run_directory
from rppg_tf.data import ubfc
from rppg_tf.evaluation import confidence, tables, windows
from rppg_tf.inference import estimates
from rppg_tf.signals import resampling, spectrum
from tests.support import bench_data, commands, vitallens_venv

pytestmark = pytest.mark.bench

_MODEL = 'int8_c'
_PEERS = ('pos', 'chrom', 'vitallens_pos', 'vitallens_chrom')
_NAMES = {
  'model': 'float',
  'int8': 'INT8',
  'int8_c': '**INT8 + C head**',
  'pos': 'POS',
  'chrom': 'CHROM',
  'vitallens_pos': 'vitallens POS',
  'vitallens_chrom': 'vitallens CHROM',
  'train_mean': 'training mean',
}


@pytest.mark.parametrize('name', ['made_up', 'real_ppg'])
def test_the_shipped_model_on_fresh_videos(name):
  recordings_dir = getattr(bench_data, name)()
  rows = _rows(recordings_dir)
  groups = tables.groups_of_rows(rows, str(recordings_dir))
  levels = {**groups['by_motion'], 'both': rows}
  print(f'\n\n### {name}: {recordings_dir}\n')
  print(_error_table(levels))
  print(_coverage_table(levels))
  for level in ('normal', 'strong'):
    mae_bpm = {
      variant: windows.errors(levels[level], variant)['mae_bpm']
      for variant in ('model', _MODEL, *_PEERS)
    }
    assert abs(mae_bpm[_MODEL] - mae_bpm['model']) <= 0.1, level
    assert mae_bpm[_MODEL] < min(mae_bpm[peer] for peer in _PEERS), level


def _rows(recordings_dir) -> pandas.DataFrame:
  """Evaluates; returns windows.csv with vitallens' columns."""
  out_dir = recordings_dir.parent / 'evaluation'
  done = commands.run(
    'rppg_tf.evaluate',
    f'--data_dir={bench_data.built(recordings_dir)}',
    f'--json={out_dir / "evaluation.json"}',
    f'--recordings_dir={recordings_dir}',
    timeout_s=3600,
  )
  assert done.returncode == 0, done.stderr
  rows = pandas.read_csv(out_dir / 'windows.csv')
  peers_dir = recordings_dir.parent / 'vitallens'
  vitallens_venv.run('videos', recordings_dir / 'DATASET_2', peers_dir)
  columns = {
    folder.name: _vitallens_columns(folder, peers_dir)
    for folder in bench_data.folders(recordings_dir)
  }
  window = (rows['time_s'] - contract.WINDOW_S) / contract.WINDOW_STRIDE_S
  places = list(zip(rows['subject'], window.round().astype(int), strict=True))
  for column in columns[rows['subject'][0]]:
    rows[column] = [
      float(columns[subject][column][at]) for subject, at in places
    ]
  return rows


def _vitallens_columns(folder, peers_dir) -> dict[str, np.ndarray]:
  """Columns of one recording's windows, as windows.estimator_columns."""
  time_s = ubfc.parse_ground_truth(folder / ubfc.GROUND_TRUTH_NAME).timestamp_s
  columns = {}
  with np.load(peers_dir / f'{folder.name}.npz') as waves:
    for method in waves.files:
      pulse = resampling.to_grid(waves[method], time_s)
      peak_bpm = spectrum.peak_bpm(estimates.pulse_windows(pulse))
      columns |= windows.estimator_columns(
        f'vitallens_{method}',
        estimates.Estimates(peak_bpm, pulse),
        np.full(len(peak_bpm), np.nan),
      )
  return columns


def _error_table(levels: dict[str, pandas.DataFrame]) -> str:
  heads = ' | '.join(f'{level} | by spectrum | r' for level in levels)
  lines = [
    f'| MAE, BPM (95 %) | {heads} |',
    '|---' * (1 + 3 * len(levels)) + '|',
  ]
  for variant, shown in _NAMES.items():
    cells = []
    for rows in levels.values():
      found = windows.summarise(rows, variant)
      low, high = found['mae_interval_bpm']
      cells += [
        f'{found["mae_bpm"]:.2f} ({low:.2f} - {high:.2f})',
        f'{found["spectrum_mae_bpm"]:.2f}'
        if 'spectrum_mae_bpm' in found
        else '-',
        '-' if math.isnan(found['pearson_r']) else f'{found["pearson_r"]:.3f}',
      ]
    lines.append(f'| {shown} | {" | ".join(cells)} |')
  counts = (
    f'{rows["subject"].nunique()} videos, {len(rows)} windows | |'
    for rows in levels.values()
  )
  return '\n'.join([*lines, f'| of | {" | ".join(counts)} |', ''])


def _coverage_table(levels: dict[str, pandas.DataFrame]) -> str:
  """MAE of the most confident windows, and what the threshold keeps."""
  threshold = files.read_json(
    run_directory.PRETRAINED / run_directory.CONFIDENCE
  )['threshold']
  shares = ' | '.join(f'{share} %' for share in confidence.COVERAGES_PERCENT)
  lines = [
    f'| MAE, BPM, of the most confident | {shares} | threshold keeps | of good '
    '| kept | rejected |',
    '|---' * (5 + len(confidence.COVERAGES_PERCENT)) + '|',
  ]
  for level, rows in levels.items():
    values = rows[f'{_MODEL}_confidence'].to_numpy()
    error_bpm = windows.absolute_error_bpm(rows, _MODEL)
    points = confidence.errors_by_coverage(values, error_bpm)
    at = confidence.errors_at_threshold(values, error_bpm, threshold)
    good = values[error_bpm <= confidence.GOOD_BPM]
    cells = [f'{point["mae_bpm"]:.2f}' for point in points]
    cells += [
      f'{at["kept_percent"]:.0f} %',
      f'{100 * np.mean(good >= threshold):.0f} %',
      f'{at["kept_mae_bpm"]:.2f}',
      f'{at["rejected_mae_bpm"]:.2f}',
    ]
    lines.append(f'| {level} | {" | ".join(cells)} |')
  return '\n'.join([*lines, ''])
