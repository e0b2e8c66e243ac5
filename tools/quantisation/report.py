"""The comparison as text: Markdown tables and the verdict."""

from rppg_tf import contract
from tools import markdown
from tools.quantisation.case import PTQ_IMAGES
from tools.quantisation.codes import Usage
from tools.quantisation.layers import LAYERS
from tools.quantisation.sweep import by_size

# What QAT may cost, in MAE.
MAX_ABOVE_PTQ_BPM = 0.02
MAX_ABOVE_FLOAT_BPM = 0.1
_VARIANT_NAMES = {'float': 'float', 'ptq': 'PTQ', 'qat': 'QAT'}


def text(results: dict, usage: dict[str, Usage]) -> str:
  """Returns all tables but the verdict.

  Args:
    results: of quantisation_results.results.
    usage: of codes, by what uses them.
  """
  files = results['files']
  parts = [
    f'{len(results["test_subjects"])} test subjects, '
    f'{results["forms"]["float"]["windows"]} windows of 10 s; PTQ calibrated '
    f'on {PTQ_IMAGES} ROI frames of training subjects, stratified by heart '
    'rate',
    error_table(results['forms']),
    difference_table(results['differences']),
    '\n'.join(_file_line(name, file) for name, file in files.items()),
    layer_table({name: file['layers'] for name, file in files.items()}),
    noise_table(results['noise_db']),
    usage_table(usage),
    '\n'.join(
      f'pulse below one code, {_VARIANT_NAMES[name]}, feature of 16 each: '
      f'{called_out(usage[name])}'
      for name in files
    ),
  ]
  if results['sweep']:
    parts.append(sweep_table(by_size(results['sweep'])))
  if results['raw_forms']:
    parts.append('the raw run, same windows:')
    parts.append(error_table(results['raw_forms']))
  return '\n\n'.join(parts) + '\n'


def _file_line(name: str, file: dict) -> str:
  operators = ', '.join(layer['operator'] for layer in file['layers'][1:])
  return (
    f'{_VARIANT_NAMES[name]}: {file["bytes"]:,} bytes, '
    f'{file["weight_bytes"]:,} of weights; {operators}'
  )


def error_table(summaries: dict[str, dict]) -> str:
  """Returns the errors over all windows, a variant a line.

  Args:
    summaries: pulse_correlation.summarise, by variant.
  """
  rows = []
  for name, errors in summaries.items():
    low, high = errors['mae_interval_bpm']
    rows.append(
      [
        _VARIANT_NAMES.get(name, name),
        f'{errors["mae_bpm"]:.3f}',
        f'{low:.2f} to {high:.2f}',
        f'{errors["rmse_bpm"]:.3f}',
        f'{errors["pearson_r"]:.4f}',
        _or_dash(errors.get('pulse_r'), '.4f'),
        _or_dash(errors.get('snr_db'), '.2f'),
      ]
    )
  header = ['BPM', 'MAE', '95 %', 'RMSE', 'r', 'pulse with PPG, r', 'SNR dB']
  return markdown.table(header, rows)


def _or_dash(value: float | None, spec: str) -> str:
  return '-' if value is None else format(value, spec)


def difference_table(differences: dict[str, dict]) -> str:
  """Returns the paired differences, `NAME-OTHER` a line."""
  rows = []
  for name, difference in differences.items():
    low, high = difference['interval_bpm']
    rows.append(
      [
        ' minus '.join(_VARIANT_NAMES[variant] for variant in name.split('-')),
        f'{difference["mae_difference_bpm"]:+.3f}',
        f'{low:+.3f} to {high:+.3f}',
      ]
    )
  return markdown.table(['MAE, BPM', 'difference', '95 %, over subjects'], rows)


def layer_table(layers: dict[str, list[dict]]) -> str:
  """Returns shape and quantisation of each layer, variants side by side.

  Args:
    layers: quantisation_layers.describe, by variant.
  """
  rows = []
  for entries in zip(*layers.values(), strict=True):
    first = entries[0]
    shape = ' x '.join(map(str, first['output_shape']))
    cells = [first['layer'], first['operator'], shape]
    for entry in entries:
      cells += [f'{entry["scale"]:.6g}', str(entry['zero_point'])]
      scales = entry.get('weight_scales')
      cells.append(
        '-' if not scales else ' to '.join(f'{s:.2g}' for s in scales)
      )
    rows.append(cells)
  header = ['layer', 'operator', 'output']
  for name in layers:
    variant = _VARIANT_NAMES[name]
    header += [f'{variant} scale', 'zero-point', 'weight scales']
  return markdown.table(header, rows)


def noise_table(noise: dict[str, dict[str, list[float]]]) -> str:
  """Returns signal to quantisation noise, dB, a layer a line.

  Args:
    noise: quantisation_layers.noise_by_layer, by variant.
  """
  columns = [
    (f'{_VARIANT_NAMES[variant]} against {words}', references[kind])
    for kind, words in (('float', 'float'), ('same_weights', 'own weights'))
    for variant, references in noise.items()
  ]
  rows = [
    [layer, *(f'{values[index]:.1f}' for _, values in columns)]
    for index, layer in enumerate(LAYERS)
  ]
  return markdown.table(['SQNR, dB', *(title for title, _ in columns)], rows)


def usage_table(usage: dict[str, Usage]) -> str:
  """Returns how features use their codes, an INT8 CNN a line."""
  rows = []
  for name, used in usage.items():
    summary = used.summary()
    rows.append(
      [
        name,
        f'{summary["median_deviation_codes"]:.2f}',
        f'{summary["median_range_codes"]:.1f}',
        f'{summary["median_pulse_codes"]:.2f}',
        f'{summary["largest_pulse_codes"]:.2f}',
        f'{summary["pulse_below_one_code"]} of {summary["features"]}',
        str(summary['dead']),
        str(summary['clipped']),
      ]
    )
  header = ['codes', 'deviation in time', 'range', 'pulse, peak to peak']
  header += ['largest', 'pulse below 1 code', 'dead', 'clipped']
  return markdown.table(header, rows)


def called_out(usage: Usage) -> str:
  """Returns the features that the pulse moves by less than one code."""
  lost = usage.is_lost.reshape(contract.NUM_ROIS, -1)
  named = [
    f'{roi} {", ".join(map(str, channels.nonzero()[0]))}'
    for roi, channels in zip(contract.ROI_NAMES, lost, strict=True)
    if channels.any()
  ]
  return '; '.join(named) or 'none'


def sweep_table(groups: list[dict]) -> str:
  """Returns PTQ's errors by calibration set.

  Args:
    groups: quantisation_sweep.by_size.
  """
  rows = [
    [
      str(group['num_images']),
      group['draw'],
      str(group['seeds']),
      _spread(group['mae_bpm'], '.3f'),
      _spread(group['features_db'], '.1f'),
    ]
    for group in groups
  ]
  header = ['ROI frames', 'drawn', 'seeds', 'MAE, BPM', 'features SQNR, dB']
  return markdown.table(header, rows)


def _spread(values: list[float], spec: str) -> str:
  low, mean, high = (format(value, spec) for value in values)
  return f'{mean} ({low} to {high})'


def verdict(summaries: dict[str, dict]) -> dict:
  """Says whether QAT is worth its training.

  Args:
    summaries: pulse_correlation.summarise of float, ptq and qat.

  Returns:
    {above_ptq_bpm, above_float_bpm, is_met, line}.
  """
  mae_bpm = {name: summaries[name]['mae_bpm'] for name in _VARIANT_NAMES}
  above_ptq_bpm = mae_bpm['qat'] - mae_bpm['ptq']
  above_float_bpm = mae_bpm['qat'] - mae_bpm['float']
  met = {
    f'PTQ + {MAX_ABOVE_PTQ_BPM}': above_ptq_bpm <= MAX_ABOVE_PTQ_BPM,
    f'float + {MAX_ABOVE_FLOAT_BPM}': above_float_bpm <= MAX_ABOVE_FLOAT_BPM,
  }
  missed = [limit for limit, is_met in met.items() if not is_met]
  words = (
    f'QAT exceeds {" and ".join(missed)}'
    if missed
    else f'QAT is within {" and ".join(met)}'
  )
  figures = ', '.join(
    f'{_VARIANT_NAMES[name]} {mae_bpm[name]:.2f}'
    for name in ('qat', 'ptq', 'float')
  )
  return {
    'above_ptq_bpm': above_ptq_bpm,
    'above_float_bpm': above_float_bpm,
    'is_met': not missed,
    'line': f'verdict: {figures} BPM: {words}',
  }
