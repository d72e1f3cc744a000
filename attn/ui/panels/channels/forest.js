// A forest plot: a row a thing measured, its value as a dot, its interval as a line, one place to compare it with.
import { ticks } from '../../web/axes.js';
import { compact, fixed } from '../../web/numbers.js';
import { extent } from '../../web/statistics.js';

const TOP_PX = 24;
const BOTTOM_PX = 22;
const RIGHT_PX = 14;
const COST_PX = 64; // a column of costs, where there is room
const WIDE_PX = 620;
const ROW_PX = 26;

/** How high the figure of `count` rows is. */
export const forestHeight = (count) => TOP_PX + BOTTOM_PX + count * ROW_PX;

/** Which of `differences` (first − row) are told apart from 0 by their interval: {better, worse, open} of mechanisms. */
export function settledBy(differences) {
  const named = (test) => differences.filter(test).map(({ mechanism }) => mechanism);
  return {
    better: named(({ low }) => low > 0),
    worse: named(({ high }) => high < 0),
    open: named(({ low, high }) => low <= 0 && high >= 0),
  };
}

/** Where the axis of rows [{low, high}] ends, `line` (chance, or no difference) within: a little room to both sides. */
export function axisOf(rows, line) {
  const [low, high] = extent(rows.flatMap((row) => [row.low, row.high, line]));
  const room = 0.03 * (high - low || 1);
  return [low < line ? low - room : line, high + room];
}

/**
 * The rows() [{mechanism, value, low, high, costs}] as a figure: nameOf(row), strong(row), line() the place compared with,
 * x() the axis's name, heads() of the columns of costs, describe(row), pick(row).
 */
export function forestFigure({ rows, nameOf, strong, line, x, heads = () => [], describe, pick, ...rest }) {
  const left = ({ width }) => Math.min(190, width * 0.38);
  const costs = ({ width }) => (width >= WIDE_PX ? heads().length * COST_PX : 0);
  const placed = (size) => {
    const [low, high] = axisOf(rows(), line());
    const from = left(size);
    const to = size.width - RIGHT_PX - costs(size);
    return {
      low, high, from, to,
      at: (value) => from + ((value - low) / (high - low)) * (to - from),
      y: (i) => TOP_PX + (i + 0.5) * ((size.height - TOP_PX - BOTTOM_PX) / rows().length),
      step: (size.height - TOP_PX - BOTTOM_PX) / rows().length,
    };
  };
  return {
    ...rest,
    draw(ctx, size, colours) {
      const { low, high, from, to, at, y } = placed(size);
      const bottom = size.height - BOTTOM_PX;
      ctx.fillStyle = colours.quiet;
      ctx.textBaseline = 'top';
      ctx.fillText(x(), from, 2, to - from);
      ctx.textAlign = 'center';
      const places = ticks(low, high, Math.max(2, Math.floor((to - from) / 80)));
      const digits = places.every((value) => Math.abs(10 * value - Math.round(10 * value)) < 1e-6) ? 1 : 2;
      for (const value of places) {
        ctx.fillStyle = colours.line;
        ctx.fillRect(at(value), TOP_PX - 4, 1, bottom - TOP_PX + 4);
        ctx.fillStyle = colours.quiet;
        ctx.fillText(fixed(value, digits), at(value), bottom + 5);
      }
      ctx.fillStyle = colours.text;
      ctx.fillRect(at(line()) - 1, TOP_PX - 4, 2, bottom - TOP_PX + 4);
      ctx.textBaseline = 'middle';
      rows().forEach((row, i) => {
        const colour = strong(row) ? colours.accent : colours.text;
        ctx.fillStyle = strong(row) ? colour : colours.quiet;
        ctx.textAlign = 'right';
        ctx.fillText(nameOf(row), from - 10, y(i), from - 12);
        ctx.fillStyle = colour;
        ctx.fillRect(at(row.low), y(i) - 1, Math.max(1, at(row.high) - at(row.low)), 2);
        for (const end of [row.low, row.high]) ctx.fillRect(at(end) - 0.5, y(i) - 4, 1, 8);
        ctx.beginPath();
        ctx.arc(at(row.value), y(i), 4.5, 0, 2 * Math.PI);
        ctx.fill();
        if (!costs(size)) return;
        ctx.fillStyle = colours.quiet;
        row.costs.forEach((cost, c) =>
          ctx.fillText(compact(cost), size.width - (heads().length - 1 - c) * COST_PX - 4, y(i)));
      });
      if (costs(size)) {
        ctx.textBaseline = 'top';
        ctx.textAlign = 'right';
        heads().forEach((head, c) =>
          ctx.fillText(head, size.width - (heads().length - 1 - c) * COST_PX - 4, 2, COST_PX - 6));
      }
      ctx.textAlign = 'left';
      ctx.textBaseline = 'alphabetic';
    },
    items: () => rows().length,
    columns: () => 1,
    hit(_, py, size) {
      const i = Math.floor((py - TOP_PX) / placed(size).step);
      return i >= 0 && i < rows().length ? i : null;
    },
    place(i, size) {
      const { at, y, step } = placed(size);
      const row = rows()[i];
      return [at(row.low) - 6, y(i) - step / 2 + 2, at(row.high) - at(row.low) + 12, step - 4];
    },
    describe: (i) => describe(rows()[i]),
    pick: pick && ((i) => pick(rows()[i])),
    data: () => ['mechanism', 'value', 'low', 'high', 'photographs']
      .map((key) => ({ key, values: rows().map((row) => row[key]) })),
  };
}
