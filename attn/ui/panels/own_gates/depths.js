// Gates by depth: a column a block, every gate a dot, the mean a line across; and one block's gates in order of size.
import { axesOf, drawAxes, drawDot, drawLine } from '../../web/axes.js';
import { sortedOrder } from '../../web/statistics.js';

/** Mean of some gates, and the shares that nearly close or nearly pass a channel. */
export function summaryOf(gates) {
  let sum = 0;
  let closed = 0;
  let open = 0;
  for (const gate of gates) {
    sum += gate;
    if (gate < 0.1) closed += 1;
    if (gate > 0.9) open += 1;
  }
  return { channels: gates.length, mean: sum / gates.length, closed: closed / gates.length, open: open / gates.length };
}

/**
 * columns() [{gates, name, ours}] as a figure; chosen() the column marked, describe(column, summary), pick(index). x, y:
 * the axes' names.
 */
export function depthsFigure({ columns, chosen, describe, pick, x, y }) {
  const names = () => ({ x: x(), y: y() });
  const ranges = () => [[0, columns().length], [0, 1]];
  return {
    draw(ctx, size, colours) {
      const shown = columns();
      const { sx, sy } = drawAxes(ctx, size, colours, ...ranges(), names());
      drawLine(ctx, [sx(0), sy(0.5)], [sx(shown.length), sy(0.5)], colours.quiet, { dash: [4, 4] });
      shown.forEach(({ gates, ours }, i) => {
        const wide = (sx(1) - sx(0)) * 0.7;
        const order = sortedOrder(gates, true);
        const colour = ours ? colours.accent : colours.text;
        order.forEach((channel, rank) => {
          const along = sx(i + 0.5) + wide * ((rank + 0.5) / order.length - 0.5);
          drawDot(ctx, along, sy(gates[channel]), 1.2, colour, 0.5);
        });
        const { mean } = summaryOf(gates);
        drawLine(ctx, [sx(i + 0.1), sy(mean)], [sx(i + 0.9), sy(mean)], colours.accent, { width: 2 });
        if (i === chosen()) {
          ctx.strokeStyle = colours.accent;
          ctx.strokeRect(sx(i) + 1, sy(1), sx(1) - sx(0) - 2, sy(0) - sy(1));
        }
      });
    },
    items: () => columns().length,
    start: () => chosen(),
    hit(px, _, size) {
      const { box } = axesOf(size, ...ranges(), names());
      const i = Math.floor(((px - box.left) / (box.right - box.left)) * columns().length);
      return i >= 0 && i < columns().length ? i : null;
    },
    place(i, size) {
      const { sx, sy } = axesOf(size, ...ranges(), names());
      return [sx(i), sy(1), sx(1) - sx(0), sy(0) - sy(1)];
    },
    describe: (i) => describe(columns()[i], summaryOf(columns()[i].gates)),
    pick,
    data: () => {
      const rows = columns().flatMap(({ name, gates }) => Array.from(gates, (gate, channel) => ({ name, channel, gate })));
      return ['name', 'channel', 'gate'].map((key) => ({ key, values: rows.map((row) => row[key]) }));
    },
  };
}
