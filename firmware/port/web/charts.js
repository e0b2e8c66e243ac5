/** The charts, and what is drawn over the picture. */

/* global uPlot */

const HEIGHT_PX = 125;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}

const axis = {
  stroke: () => colour('--quiet'),
  grid: {stroke: () => colour('--line'), width: 1},
  ticks: {show: false},
  font: '12px system-ui, sans-serif',
};

/** A line over seconds. */
export class Chart {
  /**
   * @param {!Element} element that holds it.
   * @param {{colour: string, values: boolean, marks: boolean,
   *     times: function(...), range: function(...)}} options a CSS property;
   *     whether to write values beside, and to mark some; limits of the seconds
   *     and of the values, from uPlot's.
   */
  constructor(element, options) {
    const show = (_, places) => places.map((place) => `${place} s`);
    this.plot = new uPlot(
        {
          width: element.clientWidth,
          height: HEIGHT_PX,
          cursor: {show: false},
          legend: {show: false},
          scales: {
            x: {time: false, range: options.times},
            y: {range: options.range},
          },
          axes: [
            {...axis, values: show, size: 28},
            {...axis, show: options.values, size: 40},
          ],
          series: [
            {},
            {
              stroke: () => colour(options.colour),
              width: 2,
              points: {show: options.values, size: 5},
            },
            {
              stroke: () => colour('--beat'),
              paths: () => null,
              points: {show: true, size: 8, fill: () => colour('--beat')},
            },
          ].slice(0, options.marks ? 3 : 2),
        },
        options.marks ? [[], [], []] : [[], []], element);
    new ResizeObserver(() => {
      this.plot.setSize({width: element.clientWidth, height: HEIGHT_PX});
    }).observe(element);
    matchMedia('(prefers-color-scheme: dark)')
        .addEventListener('change', () => this.plot.redraw(false, true));
  }

  /** @param {!Array<!Array<number>>} data seconds and values. */
  show(data) {
    this.plot.setData(data);
  }
}

/** Draws the face box and the regions over the picture. */
export function drawBoxes(canvas, {size, box, regions}) {
  const context = canvas.getContext('2d');
  [canvas.width, canvas.height] = size;
  if (!box) {
    return;
  }
  context.lineWidth = Math.max(2, size[0] / 200);
  context.strokeStyle = colour('--box');
  context.strokeRect(...box);
  context.fillStyle = colour('--region');
  for (const region of regions) {
    context.fillRect(...region);
  }
}
