"""The two protocols: by subject, over one run or pooled folds, and by window.

By subject is how a model is judged. By window is leaky: see window_split.
"""

import pathlib

import numpy as np
import pandas

from rppg_tf import files, run_directory
from rppg_tf.data import dataset, provenance
from rppg_tf.data import window_split as data_window_split
from rppg_tf.evaluation import (
  beat_errors,
  confidence,
  runs,
  tables,
  unsupervised_methods,
  window_lengths,
  windows,
)
from rppg_tf.evaluation.config import EvaluateConfig
from rppg_tf.evaluation.result import Evaluation

# A first rate that does not keep people waiting.
_EARLY_S = 6

_SPLIT_WORDS = {
  'test': 'subjects never trained on',
  'validation': 'subjects that chose the best epoch',
  'train': 'subjects that it was trained on',
  'all': 'subjects, all that the data hold',
}


def evaluate(config: EvaluateConfig) -> Evaluation:
  """Evaluates trained runs beside the unsupervised methods.

  Writes config.json_path, windows.csv and provenance.json beside it, if it says
  where, and, where validation subjects choose a threshold, confidence.json into
  the run.

  Raises:
    InputError: a run or the data are not there, or no window has a label.
  """
  path = config.json_path
  # Before all the work, not after it.
  if path and config.json:
    path.parent.mkdir(parents=True, exist_ok=True)
  if config.split_by == 'window':
    found = _by_window(config)
  else:
    found = _by_subject(config)
  if path:
    found.write(path)
  return found


def _by_subject(config: EvaluateConfig) -> Evaluation:
  """Pools what one run, or every fold's, says of its test subjects."""
  split = config.tested
  collected, validation = runs.Collected(), []
  num_subjects, variants = 0, {}
  for run_dir in config.run_dirs:
    runs.check_split_by(run_dir, 'subject')
    subjects = runs.subjects_of(run_dir, config.data_dir, split)
    num_subjects += len(subjects)
    variants = runs.run_estimators(run_dir)
    found = runs.collect(
      run_dir,
      config.data_dir,
      subjects,
      {**variants, **unsupervised_methods.estimators()},
    )
    collected.add(found)
    validation += _validation_parts(config, run_dir, variants, found.parts)
  threshold = _threshold(config, list(variants)[-1], validation)
  names = [*variants, *unsupervised_methods.estimators(), 'train_mean']
  title = f'{split}: {num_subjects} {_SPLIT_WORDS[split]}, 10 s windows, BPM'
  if config.folds:
    title = f'{config.folds} folds, {title}'
  return _pooled(config, title, names, collected, threshold)


def _validation_parts(
  config: EvaluateConfig,
  run_dir: pathlib.Path,
  variants: dict,
  parts: list[pandas.DataFrame],
) -> list[pandas.DataFrame]:
  """Returns the windows that the confidence threshold is chosen on.

  Of the variant that is nearest to what the board runs; none with --split=all.

  Args:
    config: says whose windows `parts` are.
    run_dir: has the validation subjects.
    variants: estimators by name.
    parts: windows of the subjects that are tested, by recording.
  """
  variant = list(variants)[-1]
  if config.tested == 'validation':
    return parts
  subjects = files.read_json(run_dir / run_directory.SPLIT)
  subjects = subjects.get('validation', [])
  known = any(f'{variant}_confidence' in part for part in parts)
  if config.tested == 'all' or not known or not subjects:
    return []
  return runs.collect(
    run_dir, config.data_dir, subjects, {variant: variants[variant]}
  ).parts


def _threshold(
  config: EvaluateConfig, variant: str, parts: list[pandas.DataFrame]
) -> dict | None:
  """Chooses the confidence threshold on validation windows, writes it.

  With --split=all nothing is chosen: the run's own threshold is read, if it
  has one.

  Returns:
    What confidence.json holds; None if there is no threshold.
  """
  path = config.root_dir / run_directory.CONFIDENCE
  if config.tested == 'all':
    return files.read_json(path) if path.is_file() else None
  if not any(len(part) for part in parts):
    return None
  rows = windows.joined(parts)
  if f'{variant}_confidence' not in rows:
    return None
  chosen = confidence.choose_threshold(
    rows[f'{variant}_confidence'].to_numpy(),
    windows.absolute_error_bpm(rows, variant),
  )
  chosen |= {'form': variant, 'subjects': rows['subject'].nunique()}
  files.write_json(path, chosen)
  return chosen


def _pooled(
  config: EvaluateConfig,
  title: str,
  names: list[str],
  collected: runs.Collected,
  threshold: dict | None,
) -> Evaluation:
  """Sums up an evaluation by subject."""
  rows = collected.rows
  groups = {}
  if config.recordings_dir:
    groups = tables.groups_of_rows(rows, config.recordings_dir)
  summaries = {name: _summary(rows, groups, name) for name in names}
  for name in dict.fromkeys(row['estimator'] for row in collected.beat_rows):
    summaries[name]['beats'] = beat_errors.summarise(collected.beat_rows, name)
  lengths = window_lengths.summarise(collected.length_rows)
  about = {
    'split_by': 'subject',
    'folds': config.folds,
    'confidence_threshold': threshold and threshold['threshold'],
    'first_rate_s': collected.first_rates_s,
    'window_length': lengths,
  }
  text = '\n\n'.join(
    [
      f'{title}\n{tables.error_table(summaries)}',
      tables.subject_table(
        {n: s for n, s in summaries.items() if not n.endswith('_rois')}
      ),
      *(tables.group_table(summaries, group, group[3:]) for group in groups),
      'MAE by window length, highest peak of each pulse wave:\n'
      + tables.length_table(lengths),
      'Beats against those of the contact PPG, within 100 ms but for the delay '
      'of each recording:\n' + tables.beat_table(summaries),
      *_confidence_text(summaries, rows, threshold),
      _first_rate_text(collected.first_rates_s),
    ]
  )
  return Evaluation(summaries, about, rows, text, _origins(config, rows))


def _first_rate_text(first_rates_s: list[int]) -> str:
  if not first_rates_s:
    return 'first rate: after 10 s'
  early = np.mean(np.array(first_rates_s) <= _EARLY_S)
  return (
    f'first rate: after {np.median(first_rates_s):.0f} s (median), within '
    f'{_EARLY_S} s in {100 * early:.0f} % of {len(first_rates_s)} recordings'
  )


def _origins(config: EvaluateConfig, rows: pandas.DataFrame) -> dict[str, str]:
  """Returns where the recordings come from that the windows are of."""
  # All folds have the flags of the first.
  geometry = run_directory.read_flags(config.run_dirs[0])['roi_geometry']
  known = dataset.origins(config.data_dir, geometry)
  return {
    name: known.get(name, provenance.UNKNOWN)
    for name in rows['subject'].unique()
  }


def _summary(rows: pandas.DataFrame, groups: dict, name: str) -> dict:
  """Returns all errors of one estimator."""
  summary = windows.summarise(rows, name)
  summary |= tables.errors_by_group(groups, name)
  if f'{name}_confidence' in rows:
    summary['coverage'] = confidence.errors_by_coverage(
      rows[f'{name}_confidence'].to_numpy(),
      windows.absolute_error_bpm(rows, name),
    )
  return summary


def _confidence_text(
  summaries: dict, rows: pandas.DataFrame, threshold: dict | None
) -> list[str]:
  """Returns paragraphs on what rejecting estimates buys."""
  coverages = {
    name: summary['coverage']
    for name, summary in summaries.items()
    if 'coverage' in summary
  }
  if not coverages:
    return ['no confidence: this head gives none']
  table = (
    'MAE of the most confident windows @lowest confidence among them:\n'
    + tables.coverage_table(coverages)
  )
  if not threshold:
    return [
      table,
      'no confidence threshold: the run has no validation subject of 10 s '
      f'and no {run_directory.CONFIDENCE}',
    ]
  variant = list(coverages)[-1]
  here = confidence.errors_at_threshold(
    rows[f'{variant}_confidence'].to_numpy(),
    windows.absolute_error_bpm(rows, variant),
    threshold['threshold'],
  )
  return [
    table,
    f'confidence threshold {threshold["threshold"]:.3f}'
    f'{_how_chosen(threshold)}\n'
    f'here {variant} reports {here["kept_percent"]:.0f} % of the windows, MAE '
    f'{here["kept_mae_bpm"]:.2f}; rejected, MAE '
    f'{here["rejected_mae_bpm"]:.2f}',
  ]


def _how_chosen(threshold: dict) -> str:
  if 'good_windows' not in threshold:
    return ''
  others = threshold['windows'] - threshold['good_windows']
  return (
    f': keeps {_share(threshold["kept_good_percent"])} of the '
    f'{threshold["good_windows"]} windows within 5 BPM, of '
    f'{threshold["subjects"]} validation subjects, and '
    f'{_share(threshold["kept_bad_percent"])} of the {others} others'
  )


def _share(percent: float | None) -> str:
  return 'none' if percent is None else f'{percent:.0f} %'


def _by_window(config: EvaluateConfig) -> Evaluation:
  """Evaluates a run of the leaky protocol."""
  runs.check_split_by(config.root_dir, 'window')
  rows = runs.collect_split_by_window(config.root_dir, config.data_dir)
  summaries = {
    name: windows.summarise(rows, name)
    for name in (
      'model',
      *unsupervised_methods.METHODS,
      'subject_mean',
      'train_mean',
    )
  }
  about = {'split_by': 'window', 'warning': data_window_split.WARNING}
  text = '\n'.join(
    f'WARNING: {data_window_split.WARNING}\n{table}\n'
    for table in (
      tables.error_table(summaries),
      tables.subject_table(summaries),
    )
  )
  return Evaluation(summaries, about, rows, text, _origins(config, rows))
