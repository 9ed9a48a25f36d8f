// A small curve over the last minutes. Apart from the rest of the page, because the library is a
// third of its size: it is loaded when the first curve is shown.

import uPlot from 'uplot';

export interface Curve {
  /** Seconds, and a value or a gap for each. */
  show(times: number[], values: (number | null)[]): void;
  end(): void;
}

export interface Frame {
  low: number;
  high: number;
  /** Seconds from the left end to the right. */
  span: number;
}

const HEIGHT_PX = 44;

export function curve(box: HTMLElement, frame: Frame): Curve {
  const colour = () => getComputedStyle(box).color;
  const plot = new uPlot(
    {
      width: box.clientWidth,
      height: HEIGHT_PX,
      padding: [3, 0, 3, 0],
      legend: { show: false },
      cursor: { show: false },
      axes: [{ show: false }, { show: false }],
      scales: {
        x: { time: false, range: (_, __, last) => [last - frame.span, last] },
        // Higher than usual is still shown.
        y: { range: (_, __, top) => [frame.low, Math.max(frame.high, top ?? frame.high)] },
      },
      series: [
        {},
        {
          stroke: colour,
          fill: () => `color-mix(in srgb, ${colour()} 14%, transparent)`,
          fillTo: frame.low,
          width: 2,
          points: { show: false },
        },
      ],
    },
    [[], []],
    box,
  );
  const size = new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: HEIGHT_PX }));
  size.observe(box);
  // The colours of the page follow the system's; those of a canvas do not.
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  const redraw = () => plot.redraw();
  scheme.addEventListener('change', redraw);
  return {
    show: (times, values) => plot.setData([times, values]),
    end() {
      scheme.removeEventListener('change', redraw);
      size.disconnect();
      plot.destroy();
    },
  };
}
