"""Errors of heads that were trained on different patches → table, plot."""

import pathlib
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas
from matplotlib.figure import Figure

from rppg_tf.evaluation import metrics, tables, windows
from rppg_tf.reporting import charts
from tools import markdown
from tools.quantisation import plots

_SIZE_IN = (7.2, 4.8)


def results(
  rows: Mapping[str, Sequence[pandas.DataFrame]], recordings_dir: str
) -> dict[str, dict]:
  """Sums up, holding each against the first.

  Args:
    rows: of windows.window_rows, by what the heads were trained on and by
      seed; all of the same windows.
    recordings_dir: the --output_dir of tools.render_recordings.

  Returns:
    By what they were trained on, {mae_bpm: {normal, strong, both: the mean of
    the seeds}, seeds_mae_bpm: of both, seed by seed, difference_bpm: to the
    first, interval_bpm: [low, high], its 95 % interval by bootstrap over
    subjects}.
  """
  some = next(iter(rows.values()))[0]
  by_motion = tables.groups_of_rows(some, recordings_dir)
  levels = {
    motion: some['subject'].isin(found['subject']).to_numpy()
    for motion, found in by_motion['by_motion'].items()
  }
  levels['both'] = np.ones(len(some), bool)
  found, first = {}, None
  for name, seeds in rows.items():
    errors = np.array([windows.absolute_error_bpm(s, 'model') for s in seeds])
    mean = errors.mean(axis=0)
    first = mean if first is None else first
    found[name] = {
      'mae_bpm': {
        level: float(mean[of].mean()) for level, of in levels.items()
      },
      'seeds_mae_bpm': errors.mean(axis=1).tolist(),
      'difference_bpm': float((mean - first).mean()),
      'interval_bpm': metrics.bootstrap_mae_interval_bpm(
        mean - first, some['subject'].to_numpy()
      ),
    }
  return found


def table(found: Mapping[str, Mapping]) -> str:
  """Returns a Markdown table of what `results` gives."""
  first, *others = found
  levels = list(found[first]['mae_bpm'])
  heads = [
    'MAE, BPM, head trained on',
    *levels,
    'seeds',
    f'minus {first} (95 %)',
  ]
  rows = []
  for name in (first, *others):
    one = found[name]
    low, high = one['interval_bpm']
    rows.append(
      [
        name,
        *(f'{one["mae_bpm"][level]:.2f}' for level in levels),
        ', '.join(f'{value:.2f}' for value in one['seeds_mae_bpm']),
        f'{one["difference_bpm"]:+.2f} ({low:+.2f} to {high:+.2f})'
        if name != first
        else '-',
      ]
    )
  return f'{markdown.table(heads, rows)}\n'


def plot(path: pathlib.Path, found: Mapping[str, Mapping]) -> None:
  """Draws the differences to the first, with 95 % intervals."""
  first, *others = found
  with matplotlib.rc_context(charts.STYLE):
    figure = Figure(figsize=_SIZE_IN, layout='constrained')
    axes = figure.subplots()
    colour = charts.COLOURS['model']
    for place, name in enumerate(others):
      one = found[name]
      axes.hlines(place, *one['interval_bpm'], color=colour, linewidth=2)
      axes.plot(one['difference_bpm'], place, 'o', color=colour)
    axes.axvline(0, color=charts.INK, linewidth=0.8)
    axes.set_yticks(range(len(others)), others)
    axes.invert_yaxis()
    axes.set_xlabel(f'MAE minus that of {first}, BPM; right of 0 is worse')
    plots.save_png(figure, path)
