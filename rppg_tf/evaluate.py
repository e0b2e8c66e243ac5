"""Errors of a run in BPM, beside what a user would pick instead.

  python -m rppg_tf.evaluate --run_dir=build/demo/run \
    --data_dir=build/demo/data --recordings_dir=build/demo/recordings

Over 10 s windows every 1 s of the test subjects: every form of the model that
the run directory holds (`model` is float, `int8` has the INT8 CNN, `int8_c`
that and the C head), POS, CHROM and GREEN on the mid face (`pos`, `chrom`,
`green`) and on the ROIs (`pos_rois`, ...), and the mean heart rate of the
training subjects (`train_mean`).

Writes evaluation.json and windows.csv, and from the validation subjects
confidence.json: the confidence below which estimates are to be withheld.

Without --run_dir: the model that ships with the package, on all of the data.

Cross-validation by subject, of which every subject is tested once:

  python -m rppg_tf.evaluate --folds=5 --run_dir=R --data_dir=D \
    --train_flagfile=F

trains R/fold0 ... R/fold4 (a killed one is resumed, a finished one is kept)
and pools the windows of all of them. --split_by=window evaluates, or trains
with --train_flagfile, a run of the leaky protocol (evaluation/window_split.py).
"""

import contextlib
import csv
import io
import pathlib
import sys

import numpy as np
from absl import flags

from rppg_tf import files, run_directory
from rppg_tf.data import window_split as data_window_split
from rppg_tf.entry_point import run
from rppg_tf.errors import InputError
from rppg_tf.evaluation import (
  baselines,
  confidence,
  runs,
  tables,
  window_lengths,
  windows,
)

_RUN_DIR = flags.DEFINE_string(
  'run_dir',
  None,
  'Run of rppg_tf.train; default: the model that ships with the package.',
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Folder given to `tfds build --data_dir`.', required=True
)
_SPLIT = flags.DEFINE_enum(
  'split',
  None,
  ('train', 'validation', 'test', 'all'),
  'Which subjects; all: every one in --data_dir, whatever the run was trained '
  'on. Default: test; all without --run_dir.',
)
_JSON = flags.DEFINE_string(
  'json',
  None,
  'Where to write the errors, windows.csv beside it; default '
  'RUN_DIR/evaluation.json. Needed without --run_dir.',
)
_RECORDINGS_DIR = flags.DEFINE_string(
  'recordings_dir',
  None,
  'Recordings by tools.render_recordings of a checkout, its --output_dir: '
  'adds tables by motion and by amplitude.',
)

_FOLDS = flags.DEFINE_integer(
  'folds',
  0,
  'Cross-validation by subject: train this many runs, RUN_DIR/fold0 and so '
  'on, and pool their test windows; 0: evaluate RUN_DIR itself.',
  lower_bound=0,
)
_TRAIN_FLAGFILE = flags.DEFINE_string(
  'train_flagfile',
  None,
  'Flags of rppg_tf.train to train with first, for --folds and '
  '--split_by=window; default for the latter: RUN_DIR is there.',
)
_SPLIT_BY = flags.DEFINE_enum(
  'split_by',
  'subject',
  ('subject', 'window'),
  'window: the leaky protocol, which tests on people that were trained on; '
  'only to make a number of that kind again.',
)

_SPLIT_WORDS = {
  'test': 'subjects never trained on',
  'validation': 'subjects that chose the best epoch',
  'train': 'subjects that it was trained on',
  'all': 'subjects, all that the data hold',
}


def main() -> None:
  """Evaluates, writes, prints the tables."""
  _check_flags()
  run_dir, json_path = _paths()
  if _SPLIT_BY.value == 'window':
    _evaluate_split_by_window(run_dir, json_path)
  else:
    _evaluate_by_subject(run_dir, json_path)


def _check_flags() -> None:
  leaky = _SPLIT_BY.value == 'window'
  if not (_FOLDS.value or leaky):
    if _TRAIN_FLAGFILE.value:
      raise InputError(
        '--train_flagfile is for --folds and --split_by=window; run '
        'rppg_tf.train'
      )
    return
  flag = '--split_by=window' if leaky else '--folds'
  if leaky and _FOLDS.value:
    raise InputError('--folds is by subject: not with --split_by=window')
  if _SPLIT.value:
    raise InputError(f'--split: not with {flag}, which says what is tested')
  if leaky and _RECORDINGS_DIR.value:
    raise InputError(f'--recordings_dir: no such tables with {flag}')
  if not _RUN_DIR.value:
    raise InputError(f'{flag}: needs --run_dir')
  if _FOLDS.value and not _TRAIN_FLAGFILE.value:
    raise InputError('--folds: needs --train_flagfile, for rppg_tf.train')


def _paths() -> tuple[pathlib.Path, pathlib.Path]:
  """Returns the run directory and where the JSON goes."""
  if not _RUN_DIR.value and not run_directory.PRETRAINED.is_dir():
    raise InputError(
      f'{run_directory.PRETRAINED}: no model ships with this checkout; give '
      '--run_dir'
    )
  if not _RUN_DIR.value and not _JSON.value:
    raise InputError(
      'without --run_dir, --json must say where the errors are to be written'
    )
  run_dir = pathlib.Path(_RUN_DIR.value or run_directory.PRETRAINED)
  json_path = pathlib.Path(_JSON.value or run_dir / 'evaluation.json')
  # Before all the work, not after it.
  if _JSON.value:
    json_path.parent.mkdir(parents=True, exist_ok=True)
  return run_dir, json_path


def _evaluate_by_subject(run_dir: pathlib.Path, json_path: pathlib.Path):
  """Pools what one run, or every fold's, says of its test subjects."""
  split = _SPLIT.value or ('test' if _RUN_DIR.value else 'all')
  collected, validation = runs.Collected(), []
  num_subjects, forms = 0, {}
  for each_dir in _run_dirs(run_dir):
    runs.check_split_by(each_dir, 'subject')
    subjects = runs.subjects_of(each_dir, _DATA_DIR.value, split)
    num_subjects += len(subjects)
    forms = runs.run_estimators(each_dir)
    found = runs.collect(
      each_dir, _DATA_DIR.value, subjects, {**forms, **baselines.estimators()}
    )
    collected.add(found)
    validation += _validation_rows(each_dir, forms, split, found.rows)
  windows.check_any(collected.rows)
  threshold = _threshold(run_dir, list(forms)[-1], split, validation)
  names = [*forms, *baselines.estimators(), 'train_mean']
  title = f'{split}: {num_subjects} {_SPLIT_WORDS[split]}, 10 s windows, BPM'
  if _FOLDS.value:
    title = f'{_FOLDS.value} folds, {title}'
  _report(title, names, collected, threshold, json_path)


def _run_dirs(run_dir: pathlib.Path):
  """Yields the run, or those of all folds, each trained when its turn comes."""
  if not _FOLDS.value:
    yield run_dir
  for fold in range(_FOLDS.value):
    fold_dir = run_dir / f'fold{fold}'
    _train(fold_dir, num_folds=_FOLDS.value, fold=fold, split_by='subject')
    yield fold_dir


def _train(run_dir: pathlib.Path, **values) -> None:
  """Trains a run, or resumes one that was killed; tells of it on stderr."""
  from rppg_tf import training

  config = training.TrainConfig.from_flagfile(
    _TRAIN_FLAGFILE.value,
    data_dir=_DATA_DIR.value,
    run_dir=str(run_dir),
    **values,
  )
  print(f'training {run_dir}', file=sys.stderr, flush=True)
  with contextlib.redirect_stdout(sys.stderr):
    training.train(config)


def _validation_rows(run_dir, forms, split: str, rows: list[dict]) -> list:
  """Returns the windows that the confidence threshold is chosen on.

  Of the form that is nearest to what the board runs; none with --split=all.
  """
  form = list(forms)[-1]
  if split == 'validation':
    return rows
  subjects = files.read_json(run_dir / run_directory.SPLIT)
  subjects = subjects.get('validation', [])
  known = rows and f'{form}_confidence' in rows[0]
  if split == 'all' or not known or not subjects:
    return []
  return runs.collect(
    run_dir, _DATA_DIR.value, subjects, {form: forms[form]}
  ).rows


def _threshold(
  run_dir: pathlib.Path, form: str, split: str, rows: list[dict]
) -> dict | None:
  """Chooses the confidence threshold on validation windows, writes it.

  With --split=all nothing is chosen: the run's own threshold is read, if it
  has one.

  Returns:
    What confidence.json holds; None if there is no threshold.
  """
  path = run_dir / run_directory.CONFIDENCE
  if split == 'all':
    return files.read_json(path) if path.is_file() else None
  if not rows or f'{form}_confidence' not in rows[0]:
    return None
  chosen = confidence.choose_threshold(
    windows.column(rows, f'{form}_confidence'),
    windows.absolute_error_bpm(rows, form),
  )
  subjects = {row['subject'] for row in rows}
  chosen |= {'form': form, 'subjects': len(subjects)}
  files.write_json(path, chosen)
  return chosen


def _report(
  title: str,
  names: list[str],
  collected: runs.Collected,
  threshold: dict | None,
  json_path: pathlib.Path,
) -> None:
  """Writes and prints an evaluation by subject."""
  rows = collected.rows
  groups = {}
  if _RECORDINGS_DIR.value:
    groups = tables.groups_of_rows(rows, _RECORDINGS_DIR.value)
  summaries = {name: _summary(rows, groups, name) for name in names}
  lengths = window_lengths.summarise(collected.length_rows)
  first_s = float(np.mean(collected.first_estimates_s))
  more = {
    'split_by': 'subject',
    'folds': _FOLDS.value,
    'confidence_threshold': threshold and threshold['threshold'],
    'first_estimate_s': first_s,
    'window_length': lengths,
  }
  written = _write(json_path, summaries | more, rows)
  print(title)
  _print_tables(summaries, list(groups), lengths)
  _print_confidence(summaries, rows, threshold)
  print(f'\nfirst estimate: {first_s:.2f} s after the first frame')
  print(written)


def _evaluate_split_by_window(run_dir: pathlib.Path, json_path: pathlib.Path):
  """Evaluates, writes and prints a run of the leaky protocol."""
  if _TRAIN_FLAGFILE.value:
    _train(run_dir, num_folds=0, split_by='window')
  runs.check_split_by(run_dir, 'window')
  rows = runs.collect_split_by_window(run_dir, _DATA_DIR.value)
  windows.check_any(rows)
  summaries = {
    name: windows.summarise(rows, name)
    for name in ('model', *baselines.METHODS, 'subject_mean', 'train_mean')
  }
  more = {'split_by': 'window', 'warning': data_window_split.WARNING}
  written = _write(json_path, summaries | more, rows)
  warning = f'WARNING: {data_window_split.WARNING}'
  for table in (
    tables.error_table(summaries),
    tables.subject_table(summaries),
  ):
    print(f'{warning}\n{table}\n')
  print(written)


def _write(json_path: pathlib.Path, content: dict, rows: list[dict]) -> str:
  """Writes the JSON and, beside it, windows.csv; returns what to say."""
  files.write_json(json_path, content)
  csv_path = json_path.with_name('windows.csv')
  _write_csv(csv_path, rows)
  return f'written: {json_path}, {csv_path}'


def _summary(rows: list[dict], groups: dict, name: str) -> dict:
  """Returns all errors of one estimator."""
  summary = windows.summarise(rows, name)
  summary |= tables.errors_by_group(groups, name)
  if f'{name}_confidence' in rows[0]:
    summary['coverage'] = confidence.errors_by_coverage(
      windows.column(rows, f'{name}_confidence'),
      windows.absolute_error_bpm(rows, name),
    )
  return summary


def _print_tables(summaries: dict, groups: list[str], lengths: dict) -> None:
  print(tables.error_table(summaries))
  print()
  print(
    tables.subject_table(
      {n: s for n, s in summaries.items() if not n.endswith('_rois')}
    )
  )
  for group in groups:
    print()
    print(tables.group_table(summaries, group, group[3:]))
  print('\nMAE by window length, highest peak of each pulse wave:')
  print(tables.length_table(lengths))


def _print_confidence(summaries, rows: list[dict], threshold) -> None:
  coverages = {
    name: summary['coverage']
    for name, summary in summaries.items()
    if 'coverage' in summary
  }
  if not coverages:
    print('\nno confidence: this head gives none')
    return
  print('\nMAE of the most confident windows @lowest confidence among them:')
  print(tables.coverage_table(coverages))
  if not threshold:
    print(
      '\nno confidence threshold: the run has no validation subject of 10 s '
      f'and no {run_directory.CONFIDENCE}'
    )
    return
  print(f'\nconfidence threshold {threshold["threshold"]:.3f}', end='')
  if 'good_windows' in threshold:
    print(_how_chosen(threshold), end='')
  form = list(coverages)[-1]
  here = confidence.errors_at_threshold(
    windows.column(rows, f'{form}_confidence'),
    windows.absolute_error_bpm(rows, form),
    threshold['threshold'],
  )
  print(
    f'\nhere {form} reports {here["kept_percent"]:.0f} % of the windows, MAE '
    f'{here["kept_mae_bpm"]:.2f}; withheld, MAE '
    f'{here["withheld_mae_bpm"]:.2f}'
  )


def _how_chosen(threshold: dict) -> str:
  others = threshold['windows'] - threshold['good_windows']
  return (
    f': keeps {_share(threshold["kept_good_percent"])} of the '
    f'{threshold["good_windows"]} windows within 5 BPM, of '
    f'{threshold["subjects"]} validation subjects, and '
    f'{_share(threshold["kept_bad_percent"])} of the {others} others'
  )


def _share(percent: float | None) -> str:
  return 'none' if percent is None else f'{percent:.0f} %'


def _write_csv(path: pathlib.Path, rows: list[dict]) -> None:
  text = io.StringIO()
  writer = csv.DictWriter(text, rows[0].keys(), lineterminator='\n')
  writer.writeheader()
  writer.writerows(rows)
  files.write_bytes(path, text.getvalue().encode())


if __name__ == '__main__':
  run(main)
