"""One measurement as a chart: PNG, or a page that needs nothing beside it.

Heart rate and confidence over time, and the intervals from beat to beat; of the
most confident estimate its pulse wave with the beats, the spectrum of that, and
a frame with the face box and the ROIs.
"""

import io

import cv2
import markupsafe
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from rppg_tf import contract
from rppg_tf.faces import rois
from rppg_tf.inference.meter import Excerpt
from rppg_tf.reporting import charts as report_charts
from rppg_tf.signals import spectrum
from rppg_tf.signals.beat_rate import MIN_QUALITY

_REPORTED = report_charts.COLOURS['model']
_WITHHELD = report_charts.COLOURS['reference']
_PULSE = report_charts.COLOURS['int8']
_SHADE = '#eef1f4'
_BOX_COLOUR = '#ffd23f'
_ROI_COLOURS = ('#4dd0e1', '#ff8a65', '#aed581')

_PAGE_IN = (11.0, 10.4)
_DPI = 110
_WIDE_IN = (9.6, 4.2)
_SMALL_IN = (4.6, 2.7)
_FRAME_WIDTH_PX = 480
_RATES_BPM = np.arange(contract.MIN_RATE_BPM, contract.MAX_RATE_BPM + 1.0)
# Nothing in the chart: what to say in its place.
_NO_EXCERPT = 'no estimate with a face in view'


def png(result: dict, excerpt: Excerpt) -> bytes:
  """Draws all on one sheet.

  Args:
    result: what --json holds.
    excerpt: of its best estimate.
  """
  with matplotlib.rc_context(report_charts.STYLE):
    figure = Figure(figsize=_PAGE_IN, layout='constrained')
    above, below = figure.subfigures(
      2, 1, squeeze=False, height_ratios=(6, 5)
    ).ravel()
    _draw_over_time(above, result)
    for axes, draw in zip(
      below.subplots(2, 2).ravel(), _SMALL_CHARTS.values(), strict=True
    ):
      draw(axes, result, excerpt)
    figure.suptitle(_headline(result), fontsize=14, fontweight='semibold')
    content = io.BytesIO()
    figure.savefig(content, format='png', dpi=_DPI)
  return content.getvalue()


def html(result: dict, excerpt: Excerpt) -> bytes:
  """Draws all on a page; arguments as `png`."""
  svg = {
    name: _svg(
      name,
      _SMALL_IN,
      lambda figure, draw=draw: draw(figure.add_subplot(), result, excerpt),
    )
    for name, draw in _SMALL_CHARTS.items()
  }
  svg['over_time'] = _svg(
    'over_time', _WIDE_IN, lambda figure: _draw_over_time(figure, result)
  )
  page = markupsafe.Markup(_PAGE).format(
    video=result['video'],
    headline=_headline(result),
    facts=_facts(result),
    rows=_rows(result),
    **svg,
  )
  return page.encode()


def _svg(name, size_in, draw) -> markupsafe.Markup:
  with matplotlib.rc_context(report_charts.STYLE):
    figure = Figure(figsize=size_in, layout='constrained')
    draw(figure)
    label = figure.axes[0].get_title(loc='left')
    return report_charts.to_svg(figure, name, label)


def _headline(result: dict) -> str:
  withheld = f'{100 * result["withheld_share"]:.0f} % of estimates withheld'
  if result['median_bpm'] is None:
    return f'No heart rate: {withheld}'
  return f'Median heart rate {result["median_bpm"]:.1f} BPM, {withheld}'


def _facts(result: dict) -> str:
  return (
    f'{result["duration_s"]:.1f} s, {result["frames"]:,} frames, a face in '
    f'{100 * result["face_found_share"]:.0f} % of them. '
    f'Backend {result["backend"]}, {result["realtime_factor"]:.1f} times '
    'real time.'
  )


def _rows(result: dict) -> markupsafe.Markup:
  row = markupsafe.Markup(
    '<tr><td>{:.0f}</td><td>{}</td><td>{:.1f}</td><td>{:.2f}</td></tr>\n'
  )
  return markupsafe.Markup().join(
    row.format(
      estimate['time_s'],
      'withheld' if estimate['bpm'] is None else f'{estimate["bpm"]:.1f}',
      estimate['raw_bpm'],
      estimate['confidence'],
    )
    for estimate in result['estimates']
  )


def _column(result: dict, name: str) -> np.ndarray:
  values = [estimate[name] for estimate in result['estimates']]
  return np.array(values, np.float64)  # None becomes NaN


def _shade_withheld(axes: Axes, result: dict) -> None:
  half_s = contract.WINDOW_STRIDE_S / 2
  time_s = _column(result, 'time_s')
  withheld_s = time_s[np.isnan(_column(result, 'bpm'))]
  axes.broken_barh(
    [(at_s - half_s, 2 * half_s) for at_s in withheld_s],
    (0, 1),
    transform=axes.get_xaxis_transform(),
    color=_SHADE,
    linewidth=0,
    zorder=0,
  )
  axes.set_xlim(time_s[0] - half_s, time_s[-1] + half_s)
  axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_over_time(figure: Figure | SubFigure, result: dict) -> None:
  rate_axes, confidence_axes = figure.subplots(
    2, 1, sharex=True, height_ratios=(5, 2)
  )
  _draw_rate(rate_axes, result)
  _draw_confidence(confidence_axes, result)


def _draw_rate(axes: Axes, result: dict) -> None:
  time_s = _column(result, 'time_s')
  _shade_withheld(axes, result)
  axes.plot(
    time_s,
    _column(result, 'raw_bpm'),
    '.:',
    color=_WITHHELD,
    linewidth=1.2,
    label='withheld (shaded)',
  )
  axes.plot(
    time_s,
    _column(result, 'bpm'),
    '.-',
    color=_REPORTED,
    linewidth=2,
    markersize=7,
    label='reported',
  )
  bottom, top = axes.get_ylim()
  middle = (bottom + top) / 2
  # A calm heart must not look like a wild one.
  half = max((top - bottom) / 2, 10)
  axes.set_ylim(middle - half, middle + half)
  axes.yaxis.set_major_locator(MaxNLocator(5))
  axes.set_ylabel('BPM')
  axes.set_title('Heart rate, each over the 10 s before', loc='left')
  axes.legend(frameon=False, ncols=2, loc='lower right', bbox_to_anchor=(1, 1))


def _draw_confidence(axes: Axes, result: dict) -> None:
  threshold = result['confidence_threshold']
  _shade_withheld(axes, result)
  axes.plot(
    _column(result, 'time_s'),
    _column(result, 'confidence'),
    '.-',
    color=report_charts.INK,
    linewidth=1.4,
  )
  axes.axhline(threshold, color=_PULSE, linewidth=1.2, linestyle='--')
  axes.set_ylim(-0.03, 1.03)
  axes.set_xlabel('time, s')
  axes.set_title(
    f'Confidence; withheld below {threshold:.2f} (dashed)', loc='left'
  )


def _draw_pulse(axes: Axes, result: dict, excerpt: Excerpt | None) -> None:
  if excerpt is None:
    _say(axes, 'Pulse wave', _NO_EXCERPT)
    return
  end_s = excerpt.estimate.time_s
  num_samples = len(excerpt.pulse)
  time_s = end_s + np.arange(-num_samples, 0) / contract.GRID_RATE_HZ
  axes.plot(time_s, excerpt.pulse, color=_PULSE, linewidth=1.3)
  beat_s = np.array([beat['time_s'] for beat in result['beats']])
  beat_s = beat_s[(beat_s >= time_s[0]) & (beat_s <= time_s[-1])]
  axes.plot(
    beat_s,
    np.interp(beat_s, time_s, excerpt.pulse),
    'o',
    color=_REPORTED,
    markersize=5,
  )
  axes.set_xlim(time_s[0], end_s)
  axes.set_yticks([])
  axes.set_xlabel('time, s')
  axes.set_title('Pulse wave and beats, most confident 10 s', loc='left')


def _draw_intervals(axes: Axes, result: dict, _: Excerpt | None) -> None:
  """Draws the tachogram; a believed beat at either end makes a dot full."""
  beat_s = np.array([beat['time_s'] for beat in result['beats']])
  believed = np.array([b['quality'] >= MIN_QUALITY for b in result['beats']])
  if len(beat_s) < 2:
    _say(axes, 'From beat to beat', 'no beats')
    return
  rr_s = np.diff(beat_s)
  good = believed[1:] & believed[:-1]
  axes.plot(beat_s[1:], rr_s, '-', color=_SHADE, linewidth=1, zorder=0)
  for chosen, style in ((good, 'full'), (~good, 'none')):
    axes.plot(
      beat_s[1:][chosen],
      rr_s[chosen],
      'o',
      color=_REPORTED,
      fillstyle=style,
      markersize=4,
    )
  axes.set_ylim(0, max(1.5, 1.05 * float(np.max(rr_s))))
  axes.set_xlabel('time, s')
  axes.set_title('From beat to beat, s (hollow: not believed)', loc='left')


def _draw_spectrum(axes: Axes, _: dict, excerpt: Excerpt | None) -> None:
  if excerpt is None:
    _say(axes, 'Its spectrum', _NO_EXCERPT)
    return
  power = spectrum.power(excerpt.pulse, _RATES_BPM)
  axes.fill_between(_RATES_BPM, power, color=_PULSE, alpha=0.25)
  axes.plot(_RATES_BPM, power, color=_PULSE, linewidth=1.3)
  axes.axvline(excerpt.estimate.raw_bpm, color=_REPORTED, linewidth=1.6)
  axes.set_xlim(contract.MIN_RATE_BPM, contract.MAX_RATE_BPM)
  axes.set_ylim(bottom=0)
  axes.set_yticks([])
  axes.set_xlabel('BPM')
  axes.set_title(
    f'Its spectrum; estimate {excerpt.estimate.raw_bpm:.1f} BPM', loc='left'
  )


def _draw_frame(axes: Axes, _: dict, excerpt: Excerpt | None) -> None:
  axes.set_axis_off()
  if excerpt is None:
    _say(axes, 'Face and regions', _NO_EXCERPT)
    return
  percents = rois.ROI_GEOMETRIES_PERCENT[excerpt.roi_geometry]
  height_px, width_px = excerpt.frame_bgr.shape[:2]
  axes.imshow(_reduced(excerpt.frame_bgr), extent=(0, width_px, height_px, 0))
  x, y, box_width_px, box_height_px = excerpt.box
  _outline(axes, (x, y), box_width_px, box_height_px, _BOX_COLOUR)
  for percent, colour in zip(percents, _ROI_COLOURS, strict=True):
    x0, x1, y0, y1 = rois.roi_bounds_px(
      excerpt.box, percent, width_px, height_px
    )
    _outline(axes, (x0, y0), x1 - x0, y1 - y0, colour)
  axes.set_title('Face box and the three regions', loc='left')


def _reduced(frame_bgr: np.ndarray) -> np.ndarray:
  """RGB, 480 px wide at most."""
  height_px, width_px = frame_bgr.shape[:2]
  scale = min(1.0, _FRAME_WIDTH_PX / width_px)
  size = (round(width_px * scale), round(height_px * scale))
  small = cv2.resize(frame_bgr, size, interpolation=cv2.INTER_AREA)
  return cv2.cvtColor(small, cv2.COLOR_BGR2RGB)


def _outline(axes: Axes, corner, width_px, height_px, colour) -> None:
  axes.add_patch(
    Rectangle(corner, width_px, height_px, fill=False, ec=colour, lw=1.8)
  )


def _say(axes: Axes, title: str, text: str) -> None:
  axes.set_axis_off()
  axes.set_title(title, loc='left')
  axes.text(0.5, 0.5, text, ha='center', transform=axes.transAxes)


_SMALL_CHARTS = {
  'pulse': _draw_pulse,
  'intervals': _draw_intervals,
  'spectrum': _draw_spectrum,
  'frame': _draw_frame,
}

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>Heart rate from {video}</title>
<style>
body {{ margin: 0 auto; max-width: 1080px; padding: 24px 16px; color: #1d2733;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
    "DejaVu Sans", Arial, sans-serif; }}
h1 {{ font-size: 1.6rem; line-height: 1.25; margin: 0 0 8px; }}
p {{ margin: 0 0 8px; color: #4f5b67; overflow-wrap: anywhere; }}
.small {{ display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 310px), 1fr)); }}
figure {{ margin: 12px 0; min-width: 0; }}
svg {{ display: block; width: 100%; height: auto; }}
svg * {{ stroke-linejoin: round; }}
.wide {{ overflow-x: auto; }}
.wide svg {{ min-width: 640px; }}
svg text {{ font-family: inherit !important; }}
summary {{ cursor: pointer; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 3px 14px 3px 0; text-align: right;
  border-bottom: 1px solid #dde3e9; }}
</style>
</head>
<body>
<h1>{headline}</h1>
<p>{video}</p>
<p>{facts} Not a medical device.</p>
<figure class="wide" tabindex="0">{over_time}</figure>
<div class="small">
<figure>{pulse}</figure>
<figure>{intervals}</figure>
<figure>{spectrum}</figure>
<figure>{frame}</figure>
</div>
<details><summary>All estimates</summary>
<table>
<thead><tr><th scope="col">time, s</th><th scope="col">BPM</th>
<th scope="col">BPM as estimated</th><th scope="col">confidence</th></tr>
</thead>
<tbody>
{rows}</tbody>
</table>
</details>
</body>
</html>
"""
