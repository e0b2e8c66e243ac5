"""Charts of a report as SVG that stands in HTML; matplotlib, no display.

No chart holds a name from outside: subjects are named in the HTML around it,
where they are escaped.
"""

import io
import re
from typing import Any

import markupsafe
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rppg_tf import contract

INK = '#1d2733'
# 3 : 1 on white and more, so that lines hold their own in print.
COLOURS = {
  'reference': '#86929e',
  'model': '#1f78c8',
  'int8': '#b8430f',
  'int8_c': '#b8430f',
  'train': '#1666a8',
  'validation': '#b8430f',
}
_SUBJECT_COLOURS = (
  '#1666a8',
  '#b8430f',
  '#2a7a4b',
  '#8a46a5',
  '#806400',
  '#b02a60',
  '#007080',
  '#56606c',
)
# matplotlib's marker → the same mark in a box of 10 by 10, for the legend.
_MARKS = {
  'o': 'M1 5a4 4 0 1 0 8 0a4 4 0 1 0-8 0z',
  's': 'M1.5 1.5h7v7h-7z',
  '^': 'M5 1l4.2 8h-8.4z',
  'D': 'M5 .5l4.5 4.5l-4.5 4.5l-4.5-4.5z',
}
STYLE: dict[Any, Any] = {
  'svg.fonttype': 'none',
  'svg.hashsalt': 'rppg_tf',
  'font.size': 10,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.edgecolor': '#8b97a3',
  'axes.labelcolor': INK,
  'axes.grid': True,
  'axes.axisbelow': True,
  'grid.color': '#e4e9ee',
  'grid.linewidth': 0.8,
  'xtick.color': '#8b97a3',
  'ytick.color': '#8b97a3',
  'xtick.labelcolor': INK,
  'ytick.labelcolor': INK,
}
_SMALL_IN = (4.3, 2.35)
_LARGE_IN = (4.8, 3.4)
_TICK_STEPS = (1, 2, 2.5, 5, 10)
# How near the labels of two lines may come, as a share of the chart's height.
_LABEL_SPACING = 0.11


def subject_mark(index: int) -> dict[str, str]:
  """Returns {colour, marker, path} of the n-th subject."""
  markers = tuple(_MARKS)
  marker = markers[index // len(_SUBJECT_COLOURS) % len(markers)]
  return {
    'colour': _SUBJECT_COLOURS[index % len(_SUBJECT_COLOURS)],
    'marker': marker,
    'path': _MARKS[marker],
  }


def signed(value: float) -> str:
  """Returns the number with its sign, as the ticks of charts have it."""
  return f'{value:+.2f}'.replace('-', '\N{MINUS SIGN}')


def history_chart(
  name: str,
  label: str,
  epoch: np.ndarray,
  curves: dict[str, np.ndarray],
  best: tuple[float, float] | None,
) -> markupsafe.Markup:
  """Draws curves over epochs.

  Args:
    name: unique in the page; prefixes the ids.
    label: says in words what is to be seen.
    epoch: float64 [epochs], from 1.
    curves: `train` and `validation`, float64 [epochs].
    best: (epoch, value) to be marked.
  """
  with matplotlib.rc_context(STYLE):
    figure, axes = _figure(_SMALL_IN)
    for curve, values in curves.items():
      axes.plot(
        epoch,
        values,
        color=COLOURS[curve],
        linewidth=1.8,
        linestyle='--' if curve == 'validation' else '-',
        marker='o',
        markersize=3 if epoch.size > 1 else 6,
      )
    if best is not None:
      axes.scatter(*best, s=100, facecolor='none', edgecolor=INK, clip_on=False)
    axes.set_xlabel('epoch')
    axes.set_xlim(epoch.min() - 0.5, epoch.max() + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_TICK_STEPS))
    return to_svg(figure, name, label)


def heart_rate_chart(
  name: str,
  label: str,
  time_s: np.ndarray,
  curves: dict[str, np.ndarray],
  range_bpm: tuple[float, float],
) -> markupsafe.Markup:
  """Draws heart rates of one subject over time.

  Args:
    name: unique in the page; prefixes the ids.
    label: says in words what is to be seen.
    time_s: float64 [windows], ends of the windows.
    curves: `reference` and variants of the model, float64 [windows], BPM.
    range_bpm: bottom and top of the chart.
  """
  widths = {'reference': 4.5, 'model': 2.6}
  with matplotlib.rc_context(STYLE):
    figure, axes = _figure(_SMALL_IN)
    for curve, values in curves.items():
      axes.plot(
        *_broken_at_gaps(time_s, values),
        color=COLOURS[curve],
        linewidth=widths.get(curve, 1.5),
        linestyle=(0, (4, 3)) if curve.startswith('int8') else '-',
        marker='.' if time_s.size < 5 else None,
        solid_capstyle='round',
      )
    axes.set_ylim(*range_bpm)
    axes.set_xlabel('time, s')
    axes.set_ylabel('BPM')
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_TICK_STEPS))
    return to_svg(figure, name, label)


def bland_altman_chart(
  name: str,
  label: str,
  subjects: list[tuple[np.ndarray, np.ndarray]],
  limits: dict[str, float],
) -> markupsafe.Markup:
  """Draws differences over means, with bias and limits of agreement.

  Args:
    name: unique in the page; prefixes the ids.
    label: says in words what is to be seen.
    subjects: (reference, estimate) of each, float64 [windows], BPM.
    limits: from report_data.agreement.
  """
  with matplotlib.rc_context(STYLE):
    figure, axes = _figure(_LARGE_IN)
    for index, (reference_bpm, estimate_bpm) in enumerate(subjects):
      mean_bpm = (reference_bpm + estimate_bpm) / 2
      _scatter(axes, index, mean_bpm, estimate_bpm - reference_bpm)
    axes.axhline(0, color='#8b97a3', linewidth=0.8)
    axes.axhline(limits['bias_bpm'], color=INK, linewidth=1.4)
    for limit in ('lower_bpm', 'upper_bpm'):
      if np.isfinite(limits[limit]):
        axes.axhline(limits[limit], color=INK, linewidth=1.2, linestyle='--')
    _label_limits(axes, limits)
    axes.set_xlabel('mean of reference and estimate, BPM')
    axes.set_ylabel('estimate minus reference, BPM')
    return to_svg(figure, name, label)


def confidence_chart(
  name: str, label: str, subjects: list[tuple[np.ndarray, np.ndarray]]
) -> markupsafe.Markup:
  """Draws absolute errors over the confidence that went with them.

  Args:
    name: unique in the page; prefixes the ids.
    label: says in words what is to be seen.
    subjects: (confidence, absolute error in BPM) of each, float64 [windows].
  """
  with matplotlib.rc_context(STYLE):
    figure, axes = _figure(_LARGE_IN)
    for index, (confidence, error_bpm) in enumerate(subjects):
      _scatter(axes, index, confidence, error_bpm)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(bottom=0)
    axes.set_xlabel('confidence')
    axes.set_ylabel('absolute error, BPM')
    return to_svg(figure, name, label)


def _figure(size_in: tuple[float, float]) -> tuple[Figure, Axes]:
  figure = Figure(figsize=size_in, layout='constrained')
  return figure, figure.add_subplot()


def _scatter(axes: Axes, index: int, x: np.ndarray, y: np.ndarray) -> None:
  mark = subject_mark(index)
  axes.scatter(
    x,
    y,
    s=20,
    color=mark['colour'],
    marker=mark['marker'],
    alpha=0.7,
    linewidths=0,
  )


def _label_limits(axes: Axes, limits: dict[str, float]) -> None:
  """Writes bias and limits beside their lines, apart from each other."""
  bottom, top = axes.get_ylim()
  axes.set_ylim(bottom, top)

  def height(limit):
    return (limits[limit] - bottom) / (top - bottom)

  bias = height('bias_bpm')
  heights = {
    'bias_bpm': ('bias', bias),
    'upper_bpm': (
      '+1.96 SD',
      max(height('upper_bpm'), bias + _LABEL_SPACING),
    ),
    'lower_bpm': (
      '\N{MINUS SIGN}1.96 SD',
      min(height('lower_bpm'), bias - _LABEL_SPACING),
    ),
  }
  for limit, (words, at) in heights.items():
    if np.isfinite(limits[limit]):
      axes.annotate(
        f'{words}\n{signed(limits[limit])}',
        (1.0, at),
        xycoords='axes fraction',
        xytext=(4, 0),
        textcoords='offset points',
        verticalalignment='center',
        fontsize=9,
        color=INK,
      )


def _broken_at_gaps(time_s: np.ndarray, values: np.ndarray):
  """Puts NaN where windows are missing, so that no line is drawn there."""
  gaps = np.flatnonzero(np.diff(time_s) > 1.5 * contract.WINDOW_STRIDE_S) + 1
  return np.insert(time_s, gaps, np.nan), np.insert(values, gaps, np.nan)


def to_svg(figure: Figure, name: str, label: str) -> markupsafe.Markup:
  """Returns the figure as an SVG element without any address in it."""
  content = io.StringIO()
  nothing = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))
  figure.savefig(content, format='svg', metadata=nothing)
  text = content.getvalue()
  text = text[text.index('<svg') :]
  # HTML knows both namespaces; matplotlib's style would be for all the page.
  text = re.sub(r'\sxmlns(:xlink)?="[^"]*"', '', text)
  text = re.sub(r'<style.*?</style>', '', text, flags=re.DOTALL)
  text = text.replace('xlink:href=', 'href=')
  # One page holds many charts: an id may be there only once.
  text = re.sub(r'(\bid="|href="#|url\(#)', rf'\g<1>{name}-', text)
  text = re.sub(r'\s(?:width|height)="[0-9.]+pt"', '', text, count=2)
  opening = f'<svg role="img" aria-label="{markupsafe.escape(label)}"'
  return markupsafe.Markup(text.replace('<svg', opening, 1))
