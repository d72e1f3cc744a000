// What each kind was measured to buy: grouping AUC with its interval, chance at the left edge.
import { fixed } from '../../web/numbers.js';
import { ticks } from '../../web/axes.js';
import { CHANNELS, POSITIONS, drawWords } from './picture.js';

const LEFT_PX = 150;
const LOWEST = 0.5;

export function buys({ data, words }) {
  const rows = () => data.facts.figures;
  const name = (row) => words(`row.${row.mechanism}`);
  const left = (size) => Math.min(LEFT_PX, size.width * 0.4);
  const place = (size) => {
    const high = 1;
    const x = (value) => left(size) + ((value - LOWEST) / (high - LOWEST)) * (size.width - left(size) - 16);
    const step = (size.height - 44) / Math.max(1, rows().length);
    return { x, y: (i) => 20 + (i + 0.5) * step, step };
  };
  return {
    draw(ctx, size, colours) {
      const { x, y, step } = place(size);
      for (const value of ticks(LOWEST, 1, size.width < 480 ? 3 : 5)) {
        ctx.fillStyle = colours.line;
        ctx.fillRect(x(value), 16, 1, size.height - 40);
        drawWords(ctx, fixed(value, 1), x(value), size.height - 20, colours, { align: 'center', quiet: true });
      }
      drawWords(ctx, words('axis.auc'), left(size), 0, colours, { quiet: true, width: size.width - left(size) });
      rows().forEach((row, i) => {
        const colour = row.mechanism.startsWith('attn') ? POSITIONS : ['people', 'features', 'rgb', 'distance', 'random'].includes(row.mechanism) ? colours.quiet : CHANNELS;
        drawWords(ctx, name(row), left(size) - 8, y(i) - 7, colours, { align: 'right', width: left(size) - 10 });
        ctx.fillStyle = colour;
        ctx.fillRect(x(row.low), y(i) - 1, x(row.high) - x(row.low), 2);
        ctx.beginPath();
        ctx.arc(x(row.auc), y(i), Math.min(5, step / 3), 0, 2 * Math.PI);
        ctx.fill();
      });
    },
    items: () => rows().length,
    columns: () => 1, // one under the other
    hit(px, py, size) {
      const { step } = place(size);
      const i = Math.floor((py - 20) / step);
      return i >= 0 && i < rows().length ? i : null;
    },
    place(item, size) {
      const { x, y, step } = place(size);
      const row = rows()[item];
      return [x(row.low) - 4, y(item) - step / 2, x(row.high) - x(row.low) + 8, step];
    },
    describe(item) {
      const row = rows()[item];
      return words('tip.buys', { name: name(row), auc: fixed(row.auc, 3), low: fixed(row.low, 3), high: fixed(row.high, 3), n: row.photographs });
    },
    data: () => ['mechanism', 'auc', 'low', 'high'].map((key) => ({ key, values: rows().map((row) => row[key]) })),
  };
}
