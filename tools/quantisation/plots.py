"""The comparison as PNG; matplotlib, no display."""

import io
import pathlib

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from rppg_tf import files
from rppg_tf.reporting import charts
from tools.quantisation.codes import Usage
from tools.quantisation.layers import LAYERS

_COLOURS = {
  'float': charts.COLOURS['reference'],
  'ptq': charts.COLOURS['model'],
  'qat': charts.COLOURS['int8'],
}
_SIZE_IN = (6.4, 3.6)
_DOTS_PER_INCH = 130


def write_all(
  folder: pathlib.Path, results: dict, usage: dict[str, Usage]
) -> None:
  """Writes errors.png, layers.png, codes.png and calibration.png.

  Args:
    folder: where to.
    results: of quantisation_results.results.
    usage: of features, by what uses them.
  """
  errors_plot(folder / 'errors.png', results['forms'], results['differences'])
  noise_plot(folder / 'layers.png', results['noise_db'])
  codes_plot(folder / 'codes.png', usage)
  if results['sweep']:
    sweep_plot(folder / 'calibration.png', results['sweep'])


def errors_plot(
  path: pathlib.Path, summaries: dict[str, dict], differences: dict[str, dict]
) -> None:
  """Draws MAEs and their paired differences, with 95 % intervals."""
  with matplotlib.rc_context(charts.STYLE):
    figure = Figure(figsize=_SIZE_IN, layout='constrained')
    left, right = figure.subplots(1, 2)
    for index, (name, errors) in enumerate(summaries.items()):
      _interval(
        left, index, errors['mae_bpm'], errors['mae_interval_bpm'], name
      )
    left.set_xticks(range(len(summaries)), list(summaries))
    left.set_ylabel('MAE, BPM')
    for index, (name, difference) in enumerate(differences.items()):
      value = difference['mae_difference_bpm']
      variant = name.partition('-')[0]
      _interval(right, index, value, difference['interval_bpm'], variant)
    right.axhline(0, color=charts.INK, linewidth=0.8)
    right.set_xticks(
      range(len(differences)),
      [name.replace('-', '\nminus ') for name in differences],
      fontsize=8,
    )
    right.set_ylabel('difference of MAEs, BPM')
    for axes in (left, right):
      axes.margins(x=0.3)
    save_png(figure, path)


def _interval(axes, x: int, value: float, interval, name: str) -> None:
  colour = _COLOURS.get(name, charts.INK)
  axes.vlines(x, *interval, color=colour, linewidth=2)
  axes.plot(x, value, 'o', color=colour, markersize=8)


def noise_plot(
  path: pathlib.Path, noise: dict[str, dict[str, list[float]]]
) -> None:
  """Draws signal to quantisation noise of every layer."""
  places = np.arange(len(LAYERS))
  with matplotlib.rc_context(charts.STYLE):
    figure = Figure(figsize=_SIZE_IN, layout='constrained')
    axes = figure.add_subplot()
    for variant, references in noise.items():
      for kind, line in (('float', '-'), ('same_weights', '--')):
        against = 'float' if kind == 'float' else 'its own weights in float'
        axes.plot(
          places,
          references[kind],
          line,
          marker='o',
          color=_COLOURS[variant],
          label=f'{variant} against {against}',
        )
    axes.set_xticks(places, LAYERS)
    axes.set_ylabel('signal to quantisation noise, dB')
    axes.legend(fontsize=8)
    save_png(figure, path)


def codes_plot(path: pathlib.Path, usage: dict[str, Usage]) -> None:
  """Draws by how many codes the pulse moves each feature, sorted."""
  with matplotlib.rc_context(charts.STYLE):
    figure = Figure(figsize=_SIZE_IN, layout='constrained')
    axes = figure.add_subplot()
    for index, (name, used) in enumerate(usage.items()):
      mark = charts.subject_mark(index)
      # A logarithmic axis has no place for 0.
      swing = np.maximum(np.sort(used.pulse_codes)[::-1], 1e-3)
      axes.plot(
        np.arange(1, len(swing) + 1),
        swing,
        marker=mark['marker'],
        markersize=3,
        linewidth=1.2,
        color=mark['colour'],
        label=name,
      )
    axes.axhline(1, color=charts.INK, linewidth=1.2, linestyle='--')
    axes.set_yscale('log')
    axes.set_xlabel('feature, strongest pulse first')
    axes.set_ylabel('pulse, codes peak to peak')
    axes.legend(fontsize=8)
    save_png(figure, path)


def sweep_plot(path: pathlib.Path, results: list[dict]) -> None:
  """Draws MAE and noise of PTQ over the size of the calibration set.

  Args:
    results: {num_images, draw, seed, mae_bpm, features_db} a trial.
  """
  with matplotlib.rc_context(charts.STYLE):
    figure = Figure(figsize=_SIZE_IN, layout='constrained')
    for axes, name, label in zip(
      figure.subplots(1, 2),
      ('mae_bpm', 'features_db'),
      ('MAE, BPM', 'features SQNR, dB'),
      strict=True,
    ):
      for index, draw in enumerate(dict.fromkeys(r['draw'] for r in results)):
        mark = charts.subject_mark(index)
        points = [
          (result['num_images'], result[name])
          for result in results
          if result['draw'] == draw
        ]
        x, y = zip(*points, strict=True)
        # Beside each other, not on top.
        shifted = np.array(x) * (0.93 + 0.14 * index)
        axes.plot(shifted, y, 'os'[index], color=mark['colour'], label=draw)
      axes.set_xscale('log')
      sizes = sorted({result['num_images'] for result in results})
      axes.set_xticks(sizes, [str(size) for size in sizes])
      axes.minorticks_off()
      axes.set_xlabel('ROI frames to calibrate with')
      axes.set_ylabel(label)
    figure.axes[0].legend(fontsize=8)
    save_png(figure, path)


def save_png(figure: Figure, path: pathlib.Path) -> None:
  """Writes a figure, whole or not at all; the same one gives the same file."""
  content = io.BytesIO()
  figure.savefig(
    content, format='png', dpi=_DOTS_PER_INCH, metadata={'Software': None}
  )
  files.write_bytes(path, content.getvalue())
