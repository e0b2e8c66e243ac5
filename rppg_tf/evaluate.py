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
"""

import csv
import dataclasses
import io
import pathlib

import numpy as np
from absl import flags

from rppg_tf import (
  baselines,
  clips,
  confidence,
  evaluation,
  evaluation_tables,
  run_directory,
  window_lengths,
)
from rppg_tf.compiled_head import CompiledHead
from rppg_tf.entry_point import InputError, run
from rppg_tf.int8_cnn import Int8SpatialCnn

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
  '--output_dir of tools.render_recordings: adds tables by motion and by '
  'amplitude.',
)

_SPLIT_WORDS = {
  'test': 'subjects never trained on',
  'validation': 'subjects that chose the best epoch',
  'train': 'subjects that it was trained on',
  'all': 'subjects, all that the data hold',
}


@dataclasses.dataclass
class Collected:
  """What one pass over the recordings gives; lists grow by recording."""

  rows: list[dict] = dataclasses.field(default_factory=list)
  length_rows: list[dict] = dataclasses.field(default_factory=list)
  first_estimates_s: list[float] = dataclasses.field(default_factory=list)


def main() -> None:
  """Evaluates, writes, prints the tables."""
  run_dir, json_path = _paths()
  split = _SPLIT.value or ('test' if _RUN_DIR.value else 'all')
  subjects = _subjects(run_dir, split)
  forms = run_estimators(run_dir)
  collected = _collect(run_dir, subjects, {**forms, **baselines.estimators()})
  evaluation.check_any(collected.rows)
  names = [*forms, *baselines.estimators(), 'train_mean']
  groups = {}
  if _RECORDINGS_DIR.value:
    groups = evaluation_tables.groups_of_rows(
      collected.rows, _RECORDINGS_DIR.value
    )
  summaries = {name: _summary(collected.rows, groups, name) for name in names}
  lengths = window_lengths.summarise(collected.length_rows)
  threshold = _threshold(run_dir, forms, split, collected.rows)
  first_s = float(np.mean(collected.first_estimates_s))
  run_directory.write_json(
    json_path,
    {
      **summaries,
      'confidence_threshold': threshold and threshold['threshold'],
      'first_estimate_s': first_s,
      'window_length': lengths,
    },
  )
  csv_path = json_path.with_name('windows.csv')
  _write_csv(csv_path, collected.rows)
  print(f'{split}: {len(subjects)} {_SPLIT_WORDS[split]}, 10 s windows, BPM')
  _print_tables(summaries, list(groups), lengths)
  _print_confidence(summaries, collected.rows, threshold)
  print(f'\nfirst estimate: {first_s:.2f} s after the first frame')
  print(f'written: {json_path}, {csv_path}')


def run_estimators(run_dir: pathlib.Path) -> dict[str, evaluation.Estimator]:
  """Returns an estimator for each form of the model that is there."""
  quantisation = run_directory.input_quantisation(run_dir)
  estimators = {
    'model': evaluation.float_estimator(
      *run_directory.load_float(run_dir), quantisation
    )
  }
  if (run_dir / run_directory.INT8_MODEL).is_file():
    int8_cnn = Int8SpatialCnn(run_dir / run_directory.INT8_MODEL)
    estimators['int8'] = evaluation.int8_estimator(
      int8_cnn, run_directory.load_int8_head(run_dir)
    )
    if (run_dir / 'temporal_head.c').is_file():
      estimators['int8_c'] = evaluation.int8_c_estimator(
        int8_cnn, CompiledHead(run_dir)
      )
  return estimators


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


def _subjects(run_dir: pathlib.Path, split: str) -> list[str]:
  geometry = run_directory.read_flags(run_dir)['roi_geometry']
  if split == 'all':
    by_split = clips.subjects_by_split(_DATA_DIR.value, geometry)
    return sorted(name for names in by_split.values() for name in names)
  subjects = run_directory.read_json(run_dir / run_directory.SPLIT).get(split)
  if not subjects:
    raise InputError(f'{run_dir}: its split {split!r} has no subject')
  return subjects


def _collect(run_dir, subjects: list[str], estimators) -> Collected:
  """Runs all estimators over the recordings of some subjects."""
  values = run_directory.read_flags(run_dir)
  run_metrics = run_directory.read_json(run_dir / 'metrics.json')
  examples = clips.load_recordings(
    _DATA_DIR.value, values['roi_geometry'], subjects
  )
  collected = Collected()
  for recording, estimates in evaluation.estimated(
    examples.as_numpy_iterator(), values['background'], estimators
  ):
    collected.rows += evaluation.window_rows(
      recording, estimates, run_metrics['train_mean_bpm']
    )
    collected.length_rows += window_lengths.window_rows(recording, estimates)
    collected.first_estimates_s.append(
      evaluation.first_estimate_s(recording['timestamp_s'])
    )
  return collected


def _summary(rows: list[dict], groups: dict, name: str) -> dict:
  """Returns all errors of one estimator."""
  summary = evaluation.summarise(rows, name)
  summary |= evaluation_tables.errors_by_group(groups, name)
  if f'{name}_confidence' in rows[0]:
    summary['coverage'] = confidence.errors_by_coverage(
      evaluation.column(rows, f'{name}_confidence'),
      evaluation.absolute_error_bpm(rows, name),
    )
  return summary


def _threshold(run_dir, forms, split: str, rows: list[dict]) -> dict | None:
  """Chooses the confidence threshold on validation subjects, writes it.

  Of the form that is nearest to what the board runs. With --split=all nothing
  is chosen: the run's own threshold is read, if it has one.

  Returns:
    What confidence.json holds; None if there is no threshold.
  """
  path = run_dir / confidence.FILE
  if split == 'all':
    return run_directory.read_json(path) if path.is_file() else None
  form = list(forms)[-1]
  subjects = run_directory.read_json(run_dir / run_directory.SPLIT)
  subjects = subjects.get('validation', [])
  if f'{form}_confidence' not in rows[0] or not subjects:
    return None
  if split != 'validation':
    rows = _collect(run_dir, subjects, {form: forms[form]}).rows
  if not rows:
    return None
  chosen = confidence.choose_threshold(
    evaluation.column(rows, f'{form}_confidence'),
    evaluation.absolute_error_bpm(rows, form),
  )
  chosen |= {'form': form, 'subjects': len(subjects)}
  run_directory.write_json(path, chosen)
  return chosen


def _print_tables(summaries: dict, groups: list[str], lengths: dict) -> None:
  print(evaluation_tables.error_table(summaries))
  print()
  print(
    evaluation_tables.subject_table(
      {n: s for n, s in summaries.items() if not n.endswith('_rois')}
    )
  )
  for group in groups:
    print()
    print(evaluation_tables.group_table(summaries, group, group[3:]))
  print('\nMAE by window length, highest peak of each pulse wave:')
  print(evaluation_tables.length_table(lengths))


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
  print(evaluation_tables.coverage_table(coverages))
  if not threshold:
    print(
      '\nno confidence threshold: the run has no validation subject of 10 s '
      f'and no {confidence.FILE}'
    )
    return
  print(f'\nconfidence threshold {threshold["threshold"]:.3f}', end='')
  if 'good_windows' in threshold:
    print(_how_chosen(threshold), end='')
  form = list(coverages)[-1]
  here = confidence.errors_at_threshold(
    evaluation.column(rows, f'{form}_confidence'),
    evaluation.absolute_error_bpm(rows, form),
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
  run_directory.write_bytes(path, text.getvalue().encode())


if __name__ == '__main__':
  run(main)
