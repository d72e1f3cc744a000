// The strip under the map: every weight of this query, one a position, drawn anew with every move.
import { fixed } from '../../web/numbers.js';
import { makeFigure } from '../../web/figure.js';
import { onLooks, palette } from '../../web/theme.js';
import { t } from '../../web/texts.js';

const HIGH = 5; // × uniform: the fixed scale of maps
const TOP = 4; // px left free above the tallest bar

/** The strip in `canvas`; `ax` is the explorer (moveTo), `state.map` the map as drawn. {draw} draws it anew. */
export function makeStrip(canvas, state, ax) {
  let size = null; // asking for a size or a colour with every move would lay out the page with every move
  let colours = null;
  const count = () => state.map?.values.length ?? 0;
  const cellOf = (item) => [Math.floor(item / state.data.cols), item % state.data.cols];
  const figure = makeFigure(canvas, {
    name: () => t('window.strip.positions'),
    draw(context, { width, height }, { accent, text }) {
      if (!state.map) return;
      const { heights, even } = barsOf(state.map, Math.round(width));
      const bar = width / heights.length;
      const gap = bar > 3 ? 1 : 0;
      context.fillStyle = accent;
      context.beginPath();
      heights.forEach((value, i) => {
        const high = value * (height - TOP);
        if (high > 0) context.rect(i * bar, height - high, bar - gap, high);
      });
      context.fill();
      context.strokeStyle = text;
      context.lineWidth = 1;
      context.setLineDash([4, 4]);
      context.beginPath();
      const y = Math.round(height - even * (height - TOP)) + 0.5;
      context.moveTo(0, y);
      context.lineTo(width, y);
      context.stroke();
      context.setLineDash([]);
    },
    items: count,
    hit: (x, y, { width }) => (count() ? Math.max(0, Math.min(count() - 1, Math.floor((x / width) * count()))) : null),
    place: (item, { width, height }) => [(item * width) / count(), 0, Math.max(2, width / count()), height],
    describe(item) {
      const [row, col] = cellOf(item);
      return t('window.one.position', { row, col, times: fixed(state.map.values[item], 2) });
    },
    pick: (item) => ax.moveTo(cellOf(item)),
    data: () => [{ key: 'times_uniform', values: state.map.values }],
  });
  canvas.after(...figure.nodes);

  function draw() {
    size ??= figure.measure();
    colours ??= palette(canvas);
    figure.draw(size, colours);
  }

  onLooks(canvas, () => {
    size = colours = null;
    if (state.map) draw();
  });
  return { draw };
}

/** A map's bars, at most `most`: the largest of those that share one, 0 … 1 of the full scale; `even`: uniform's. */
export function barsOf({ values, signed }, most) {
  const n = values.length;
  const heights = new Float32Array(Math.max(1, Math.min(n, most)));
  for (let j = 0; j < n; j++) {
    const i = Math.floor((j * heights.length) / n);
    const value = Math.min(1, (signed ? Math.abs(values[j]) : values[j]) / HIGH);
    if (value > heights[i]) heights[i] = value;
  }
  return { heights, even: signed ? 0 : 1 / HIGH };
}
