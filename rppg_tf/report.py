"""One page that shows what a run is worth, and its numbers as JSON.

  python -m rppg_tf.report --run_dir=build/demo/run \
    --html=build/demo/report.html --summary=build/demo/summary.json

Reads what rppg_tf.train and rppg_tf.evaluate wrote into the run. The page
holds its charts itself and loads nothing, so it can be mailed and read offline.
"""

import json
import pathlib

import jinja2
import numpy as np
from absl import flags

from rppg_tf import contract, files
from rppg_tf.entry_point import run
from rppg_tf.reporting import charts as report_charts
from rppg_tf.reporting import run_data
from rppg_tf.reporting.run_data import Run

_RUN_DIR = flags.DEFINE_string(
  'run_dir', None, 'Run of rppg_tf.train, evaluated.', required=True
)
_HTML = flags.DEFINE_string(
  'html', None, 'Where to write the page; default RUN_DIR/report.html.'
)
_SUMMARY = flags.DEFINE_string(
  'summary', None, 'Where to write the JSON; default RUN_DIR/summary.json.'
)

_TEMPLATE = pathlib.Path(__file__).parent / 'reporting/report_template.html'
_NO_NUMBER = '\N{EN DASH}'
_VARIANT_NAMES = {
  'model': 'Float model',
  'int8': 'INT8 model',
  'int8_c': 'INT8 model + C head',
  'pos': 'POS',
  'chrom': 'CHROM',
  'green': 'GREEN',
  'train_mean': 'Training mean',
}
_SHORT_NAMES = {
  'model': 'Float',
  'int8': 'INT8',
  'int8_c': 'INT8\N{NO-BREAK SPACE}+\N{NO-BREAK SPACE}C',
  'pos': 'POS',
  'chrom': 'CHROM',
  'green': 'GREEN',
  'train_mean': 'Training mean',
}
_VARIANT_WORDS = {
  'model': 'Spatial CNN and head in float32, as Keras trained them.',
  'int8': 'Spatial CNN in int8, the file for the NPU; head in Keras.',
  'int8_c': 'The same int8 CNN; head in C. What a board would run.',
  'pos': 'No network: face-mean RGB trace, after Wang (2017).',
  'chrom': 'No network: the same trace, after de Haan (2013).',
  'green': 'No network: the same in green alone, after Verkruysse (2008).',
  'train_mean': 'Looks at no face: always says the mean heart rate of the '
  'training subjects. A model must beat it.',
}
_CURVE_TITLES = {
  run_data.TRAINING_MAE: 'Mean absolute error, BPM',
  'loss': 'Loss, all parts together',
  'heart_rate_bpm_loss': 'Heart rate: Huber loss',
  'pulse_loss': 'Pulse: 1 \N{EN DASH} Pearson',
  'rate_probability_loss': 'Rates: cross entropy',
}
# A chart of heart rates spans no less, lest 1 BPM look like a leap.
_MIN_SPAN_BPM = 20.0


def main() -> None:
  """Writes the page and the summary, prints the numbers."""
  run_dir = pathlib.Path(_RUN_DIR.value)
  content = run_data.load(run_dir)
  summary = run_data.summary(content)
  html_path = pathlib.Path(_HTML.value or run_dir / 'report.html')
  summary_path = pathlib.Path(_SUMMARY.value or run_dir / 'summary.json')
  for path in (html_path, summary_path):
    path.parent.mkdir(parents=True, exist_ok=True)
  page = render(content, summary, str(run_dir))
  files.write_bytes(html_path, page.encode())
  files.write_json(summary_path, summary)
  print(f'written: {html_path}, {summary_path}')
  print(last_line(content, summary, html_path))


def last_line(content: Run, summary: dict, html_path: pathlib.Path) -> str:
  """Returns the line with all numbers."""
  errors = ', '.join(
    f'{words} {_bpm(summary[name])}'
    for words, name in (
      ('float', 'float_mae_bpm'),
      ('INT8', 'int8_mae_bpm'),
      ('INT8 + C head', 'int8_c_mae_bpm'),
      ('training mean', 'train_mean_mae_bpm'),
    )
  )
  split = run_data.evaluated_split(content) or 'mixed splits'
  parts = [f'{split} MAE, BPM: {errors}']
  if summary['c_head_max_abs_diff_bpm'] is not None:
    difference = f'{summary["c_head_max_abs_diff_bpm"]:.2g}'
    parts.append(f'C head within {difference} BPM of Keras')
  size = f'{summary["parameters"]:,} parameters'
  if summary['tflite_bytes'] is not None:
    size = f'spatial_int8.tflite {summary["tflite_bytes"]:,} bytes, {size}'
  return '; '.join([*parts, size, f'report: {html_path}'])


def render(content: Run, summary: dict, title: str) -> str:
  """Returns the page as HTML; every name in it is escaped."""
  return _template().render(
    title=title,
    run=content,
    summary=summary,
    contract=contract,
    headline=_headline(content),
    comparison=_comparison(content),
    origin=_origin(content),
    split=run_data.evaluated_split(content),
    variant_names=_VARIANT_NAMES,
    short_names=_SHORT_NAMES,
    variant_words=_VARIANT_WORDS,
    colours=report_charts.COLOURS,
    marks=[
      (name, report_charts.subject_mark(index))
      for index, name in enumerate(content.subjects)
    ],
    mean_reference_bpm={
      name: float(np.mean(content.windows['reference_bpm'][mask]))
      for name, mask in _masks(content)
    },
    heart_rates=_heart_rates(content),
    agreement=_agreement(content),
    confidence=_confidence(content),
    histories=_histories(content),
  )


def _template() -> jinja2.Template:
  environment = jinja2.Environment(
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.filters.update(
    bpm=_bpm,
    fixed=_fixed,
    json=_json,
    signed=report_charts.signed,
    two_digits=_two_digits,
  )
  return environment.from_string(_TEMPLATE.read_text(encoding='utf-8'))


def _headline(content: Run) -> str:
  variant = content.variant
  mae_bpm = run_data.finite(content.evaluation[variant]['mae_bpm'])
  count = len(content.subjects)
  people = f'{count} subject' if count == 1 else f'{count} subjects'
  people += {
    'test': ' never trained on',
    'validation': ' that chose the best epoch',
    'train': ' that were trained on',
    None: ' of more than one split',
  }[run_data.evaluated_split(content)]
  name = _VARIANT_NAMES[variant].replace('+', 'with')
  name = name[0].lower() + name[1:] if variant == 'model' else name
  if mae_bpm is None:
    return f'On {people}, the {name} gives no number for some windows.'
  return f'On {people}, the {name} is off by {_bpm(mae_bpm)} BPM on average.'


def _comparison(content: Run) -> str:
  """Says how that compares with knowing nothing of the face."""
  mae_bpm = run_data.finite(content.evaluation[content.variant]['mae_bpm'])
  guess_bpm = content.evaluation['train_mean']['mae_bpm']
  guess = (
    'Always answering the mean heart rate of the training subjects is off by '
    f'{_bpm(guess_bpm)} BPM'
  )
  if mae_bpm is None or mae_bpm >= guess_bpm:
    return f'{guess}: this model is no better.'
  if mae_bpm < 0.5 * guess_bpm:
    return f'{guess}, {guess_bpm / max(mae_bpm, 0.01):.1f} times as much.'
  return f'{guess}.'


def _origin(content: Run) -> str:
  """Says where the recordings come from, as far as the data tell."""
  if not content.num_rendered:
    return 'The recordings it was tested on are of unknown origin.'
  if content.num_rendered == len(content.subjects):
    return (
      'The recordings it was tested on are rendered, not filmed: these '
      'figures say nothing of people before a camera.'
    )
  return (
    f'{content.num_rendered} of the {len(content.subjects)} subjects it was '
    'tested on are rendered, not filmed; the others are of unknown origin.'
  )


def _masks(content: Run) -> list[tuple[str, np.ndarray]]:
  """Returns (subject, its windows: bool [windows])."""
  return [(name, content.subject == name) for name in content.subjects]


def _heart_rates(content: Run) -> list[dict]:
  """A chart for each subject; all span the same number of BPM."""
  variants = list(dict.fromkeys(['model', content.variant]))
  names = ['reference_bpm', *variants]
  masks = _masks(content)
  middles, spans = [], []
  for _, mask in masks:
    values = np.concatenate([content.windows[name][mask] for name in names])
    values = values[np.isfinite(values)]
    middles.append((values.min() + values.max()) / 2)
    spans.append(np.ptp(values))
  half_bpm = max(_MIN_SPAN_BPM, 1.15 * max(spans)) / 2
  charts = []
  for index, (subject, mask) in enumerate(masks):
    curves = {name: content.windows[name][mask] for name in variants}
    reference_bpm = content.windows['reference_bpm'][mask]
    mae_bpm = content.evaluation[content.variant]['per_subject'][subject]
    words = (
      f'{subject}: reference from {reference_bpm.min():.0f} to '
      f'{reference_bpm.max():.0f} BPM; {_VARIANT_NAMES[content.variant]} is '
      f'off by {_bpm(mae_bpm["mae_bpm"])} BPM on average.'
    )
    svg = report_charts.heart_rate_chart(
      f'rate{index}',
      words,
      content.windows['time_s'][mask],
      {'reference': reference_bpm, **curves},
      (middles[index] - half_bpm, middles[index] + half_bpm),
    )
    charts.append({'subject': subject, 'svg': svg, **mae_bpm})
  return charts


def _agreement(content: Run) -> dict | None:
  """Bland-Altman of the variant that is nearest to the board."""
  estimate_bpm = content.windows[content.variant]
  reference_bpm = content.windows['reference_bpm']
  known = np.isfinite(estimate_bpm)
  if not known.any():
    return None
  limits = run_data.agreement(reference_bpm[known], estimate_bpm[known])
  words = (
    f'Differences between {_VARIANT_NAMES[content.variant]} and reference over '
    f'their mean: bias {report_charts.signed(limits["bias_bpm"])} BPM.'
  )
  pairs = [
    (reference_bpm[mask & known], estimate_bpm[mask & known])
    for _, mask in _masks(content)
  ]
  svg = report_charts.bland_altman_chart('agreement', words, pairs, limits)
  return {'svg': svg, 'unknown': int(np.sum(~known)), **limits}


def _confidence(content: Run) -> dict | None:
  """Errors by confidence; None if the head has no confidence."""
  column = f'{content.variant}_confidence'
  if column not in content.windows:
    return None
  confidence = content.windows[column]
  error_bpm = np.abs(
    content.windows[content.variant] - content.windows['reference_bpm']
  )
  known = np.isfinite(confidence) & np.isfinite(error_bpm)
  if not known.any():
    return None
  halves = run_data.mae_by_confidence(confidence[known], error_bpm[known])
  words = 'Absolute error over confidence, a mark for each window.'
  if halves:
    words += (
      f' Mean absolute error of the less confident half {halves[0]:.2f} BPM, '
      f'of the more confident half {halves[1]:.2f} BPM.'
    )
  pairs = [
    (confidence[mask & known], error_bpm[mask & known])
    for _, mask in _masks(content)
  ]
  svg = report_charts.confidence_chart('confidence', words, pairs)
  return {'svg': svg, 'halves': halves}


def _histories(content: Run) -> list[dict]:
  """A chart for each quantity that training logged."""
  epoch = content.history['epoch'] + 1
  charts = []
  for index, (column, title) in enumerate(_CURVE_TITLES.items()):
    columns = {'train': column, 'validation': f'val_{column}'}
    curves = {
      curve: content.history[name]
      for curve, name in columns.items()
      if np.isfinite(content.history.get(name, np.nan)).any()
    }
    if not curves:
      continue
    best = None
    if column == run_data.TRAINING_MAE and 'validation' in curves:
      best = _kept(content, epoch, curves['validation'])
    last = ', '.join(
      f'{curve} from {values[0]:.3g} to {values[-1]:.3g}'
      for curve, values in curves.items()
    )
    words = f'{title}, over {epoch.size} epochs: {last}.'
    svg = report_charts.history_chart(
      f'history{index}', words, epoch, curves, best
    )
    charts.append({'title': title, 'svg': svg, 'best': best})
  return charts


def _kept(content: Run, epoch, validation_mae_bpm):
  """Returns (epoch, MAE) of the weights that were kept.

  None if that epoch is not in the history: a resume has run it again.
  """
  kept_bpm = content.metrics['validation_mae_bpm']
  at = int(np.nanargmin(np.abs(np.asarray(validation_mae_bpm) - kept_bpm)))
  if not np.isclose(validation_mae_bpm[at], kept_bpm):
    return None
  return epoch[at], validation_mae_bpm[at]


def _bpm(value: float | None) -> str:
  """Three digits or so of a BPM."""
  if value is None or run_data.finite(value) is None:
    return 'n/a'
  return f'{value:.2f}' if abs(value) < 10 else f'{value:.1f}'


def _fixed(value: float | None, digits: int) -> str:
  if run_data.finite(value) is None:
    return _NO_NUMBER
  return f'{value:.{digits}f}'


def _two_digits(value: float) -> str:
  return np.format_float_positional(
    value, precision=2, fractional=False, trim='-'
  )


def _json(value) -> str:
  return value if isinstance(value, str) else json.dumps(value)


if __name__ == '__main__':
  run(main)
