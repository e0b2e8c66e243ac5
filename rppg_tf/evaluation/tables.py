"""The evaluation as text: one table a question, BPM throughout."""

import json
import math
import pathlib
from collections.abc import Iterable

import numpy as np
import pandas

from rppg_tf.data import provenance
from rppg_tf.errors import InputError
from rppg_tf.evaluation import windows

_AMPLITUDE_TERCILES = (1 / 3, 2 / 3)


def error_table(summaries: dict[str, dict]) -> str:
  """Returns the errors over all windows, an estimator a line.

  `spectrum` is the MAE of the same waves read by their spectra.
  """
  lines = [
    f'{"":13}{"MAE":>7}{"95 % interval":>16}{"spectrum":>10}{"RMSE":>7}'
    f'{"MAPE %":>8}'
    f'{"r":>8}{"+- s.e.":>8}{"<=3 %":>7}{"<=5 %":>7}{"SNR dB":>8}{"windows":>9}'
  ]
  for name, errors in summaries.items():
    low, high = errors['mae_interval_bpm']
    lines.append(
      f'{name:13}{errors["mae_bpm"]:7.2f}{low:8.2f} -{high:6.2f}'
      f'{errors.get("spectrum_mae_bpm", float("nan")):10.2f}'
      f'{errors["rmse_bpm"]:7.2f}{errors["mape_percent"]:8.2f}'
      f'{errors["pearson_r"]:8.3f}{errors["pearson_r_standard_error"]:8.3f}'
      f'{errors["within_3_bpm_percent"]:7.1f}'
      f'{errors["within_5_bpm_percent"]:7.1f}'
      f'{errors.get("snr_db", float("nan")):8.1f}{errors["windows"]:9d}'
    )
  return '\n'.join(lines)


def group_table(summaries: dict[str, dict], group: str, title: str) -> str:
  """Returns MAEs, an estimator a line and a member of `group` a column.

  Args:
    summaries: by estimator; each holds {group: {label: errors}}.
    group: `per_subject`, `by_motion` or `by_amplitude`.
    title: heads the table.
  """
  members = next(iter(summaries.values()))[group]
  width = max(11, *(len(label) + 2 for label in members))
  lines = [f'{title:13}' + ''.join(f'{label:>{width}}' for label in members)]
  for name, summary in summaries.items():
    cells = (
      f'{summary[group][label]["mae_bpm"]:{width}.2f}' for label in members
    )
    lines.append(f'{name:13}' + ''.join(cells))
  counts = (f'{errors["windows"]:{width}d}' for errors in members.values())
  return '\n'.join([*lines, f'{"windows":13}' + ''.join(counts)])


def subject_table(summaries: dict[str, dict]) -> str:
  """Returns MAEs, a subject a line and an estimator a column."""
  lines = [f'{"MAE of":12}' + ''.join(f'{n:>13}' for n in summaries)]
  for subject in next(iter(summaries.values()))['per_subject']:
    cells = (
      f'{errors["per_subject"][subject]["mae_bpm"]:13.2f}'
      for errors in summaries.values()
    )
    lines.append(f'{subject:12}' + ''.join(cells))
  return '\n'.join(lines)


def coverage_table(coverages: dict[str, list[dict]]) -> str:
  """Returns MAE and threshold where the least confident are rejected."""
  first = next(iter(coverages.values()))
  lines = [
    f'{"coverage":13}'
    + ''.join(f'{point["coverage_percent"]:>11d} %' for point in first)
  ]
  for name, points in coverages.items():
    cells = (
      f'{point["mae_bpm"]:6.2f} @{point["threshold"]:5.3f}' for point in points
    )
    lines.append(f'{name:13}' + ''.join(cells))
  return '\n'.join(lines)


def beat_table(summaries: dict[str, dict]) -> str:
  """Returns how well beats are found, an estimator with a pulse a line."""
  heads = {
    'recall_percent': 'recall %',
    'precision_percent': 'precision %',
    'median_error_ms': 'error ms',
    'median_delay_ms': 'delay ms',
    'median_rmssd_error_ms': 'RMSSD error ms',
  }
  lines = [f'{"":13}' + ''.join(f'{head:>16}' for head in heads.values())]
  for name, summary in summaries.items():
    if 'beats' in summary:
      cells = (summary['beats'][key] for key in heads)
      lines.append(
        f'{name:13}'
        + ''.join(f'{math.nan if c is None else c:16.1f}' for c in cells)
      )
  return '\n'.join(lines)


def length_table(summary: dict[str, dict]) -> str:
  """Returns MAEs by window length, an estimator a line."""
  lengths = next(iter(summary.values()))
  lines = [
    f'{"window":13}' + ''.join(f'{length:>9} s' for length in lengths),
    *(
      f'{name:13}' + ''.join(f'{e["mae_bpm"]:11.2f}' for e in errors.values())
      for name, errors in summary.items()
    ),
    f'{"windows":13}'
    + ''.join(f'{e["windows"]:11d}' for e in lengths.values()),
  ]
  return '\n'.join(lines)


def groups_of_rows(
  rows: pandas.DataFrame, recordings_dir: str
) -> dict[str, dict[str, pandas.DataFrame]]:
  """Sorts windows by what the renderer knows of their recordings.

  Args:
    rows: of windows.window_rows; `subject` is looked at.
    recordings_dir: the --output_dir of tools.render_recordings.

  Returns:
    {'by_motion': {'normal': rows, ...}, 'by_amplitude': terciles of the
    subjects' pulse_rms, weakest first, in percent of the skin's green}.

  Raises:
    InputError: a subject has no render.json there, or two.
  """
  subjects = sorted(rows['subject'].unique())
  parameters = {
    subject: _render_parameters(pathlib.Path(recordings_dir), subject)
    for subject in subjects
  }
  amplitudes = [100 * parameters[subject]['pulse_rms'] for subject in subjects]
  bounds = np.quantile(amplitudes, _AMPLITUDE_TERCILES)
  labels = (
    f'<={bounds[0]:.3f} %',
    f'<={bounds[1]:.3f} %',
    f'>{bounds[1]:.3f} %',
  )
  terciles = np.searchsorted(bounds, amplitudes)
  amplitude_of = {
    subject: labels[tercile]
    for subject, tercile in zip(subjects, terciles, strict=True)
  }
  motion_of = {name: parameters[name]['motion'] for name in subjects}
  return {
    'by_motion': _grouped(rows, motion_of, sorted({*motion_of.values()})),
    'by_amplitude': _grouped(rows, amplitude_of, labels),
  }


def errors_by_group(
  groups: dict[str, dict[str, pandas.DataFrame]], name: str
) -> dict[str, dict[str, dict]]:
  """Returns the errors of one estimator for every group of rows."""
  return {
    group: {
      label: windows.errors(rows, name) for label, rows in members.items()
    }
    for group, members in groups.items()
  }


def _grouped(
  rows: pandas.DataFrame, label_of: dict[str, str], labels: Iterable[str]
) -> dict[str, pandas.DataFrame]:
  label = rows['subject'].map(label_of)
  members = {name: rows[label == name] for name in labels}
  return {name: found for name, found in members.items() if len(found)}


def _render_parameters(folder: pathlib.Path, subject: str) -> dict:
  found = sorted(folder.glob(f'**/{subject}/{provenance.RENDER_PARAMETERS}'))
  if len(found) != 1:
    raise InputError(
      f'{folder}: expected one {subject}/{provenance.RENDER_PARAMETERS} at '
      f'any depth, got {len(found)}; give the --output_dir of '
      'tools.render_recordings of a checkout'
    )
  try:
    parameters = json.loads(found[0].read_text(encoding='utf-8'))
    return {name: parameters[name] for name in ('motion', 'pulse_rms')}
  except (ValueError, KeyError, TypeError) as error:
    raise InputError(
      f'{found[0]}: no motion and pulse_rms ({error}); render it again'
    ) from None
