// Plots with axes: bars, dots, histograms and curves, as figures.
import { AXIS, axesOf, drawAxes, drawDot, drawLine, spread } from './axes.js';
import { extent } from './statistics.js';

const NEAR_PX = 20; // how near a dot must be to be pointed at

/**
 * A bar for each of values(); chosen() is marked. describe(index, value), pick(index); x, y: the axes' names;
 * range(): the values' axis, by default 0 … the greatest.
 */
export function barsFigure({ values, chosen, describe, x, y, range, ...rest }) {
  const at = (size) => axesOf(size, [0, values().length], range?.() ?? [0, extent(values())[1]], { x: x(), y: y() });
  return {
    ...rest,
    draw(ctx, size, colours) {
      const shown = values();
      const high = range?.() ?? [0, extent(shown)[1]];
      const { sx, sy } = drawAxes(ctx, size, colours, [0, shown.length], high, { x: x(), y: y() });
      ctx.fillStyle = colours.quiet;
      const bar = Math.max(1, sx(1) - sx(0));
      shown.forEach((value, i) => ctx.fillRect(sx(i), sy(value), bar, sy(0) - sy(value)));
      const i = chosen?.();
      if (!(i >= 0)) return;
      ctx.fillStyle = colours.accent;
      ctx.fillRect(sx(i) - 1, sy(shown[i]), bar + 2, sy(0) - sy(shown[i]));
      drawDot(ctx, sx(i) + bar / 2, sy(shown[i]), 4, colours.accent);
    },
    items: () => values().length,
    start: () => chosen?.() ?? -1,
    hit: (px, _, { width }) => {
      const along = (px - AXIS.left) / (width - AXIS.left - AXIS.right);
      return Math.max(0, Math.min(values().length - 1, Math.floor(along * values().length)));
    },
    place(i, size) {
      const { sx, sy } = at(size);
      return [sx(i), sy(values()[i]), sx(1) - sx(0), sy(0) - sy(values()[i])];
    },
    describe: (i) => describe(i, values()[i]),
    data: () => [
      { key: x(), values: Array.from(values(), (_, i) => i) },
      { key: y(), values: values() },
    ],
  };
}

/**
 * A dot for each pair of xs() and ys(); chosen() is marked, lines(axes) gives lines [{from, to, dash}] in values.
 * describe(index), pick(index); x, y: the axes' names; ranges(): [xRange, yRange], by default what there is.
 */
export function dotsFigure({ xs, ys, chosen, lines, describe, x, y, ranges, alpha = 0.45, ...rest }) {
  const both = () => ranges?.() ?? [extent(xs()), extent(ys())];
  const names = () => ({ x: x(), y: y() });
  const placed = (size) => {
    const { sx, sy } = axesOf(size, ...both(), names());
    const down = ys();
    return Array.from(xs(), (value, i) => [sx(value), sy(down[i])]);
  };
  return {
    ...rest,
    draw(ctx, size, colours) {
      const { sx, sy, box } = drawAxes(ctx, size, colours, ...both(), names());
      const down = ys();
      xs().forEach((value, i) => drawDot(ctx, sx(value), sy(down[i]), 2.5, colours.text, alpha));
      ctx.save();
      ctx.beginPath();
      ctx.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
      ctx.clip();
      for (const { from, to, dash, strong } of lines?.() ?? []) {
        const ends = [from, to].map(([a, b]) => [sx(a), sy(b)]);
        drawLine(ctx, ...ends, strong ? colours.accent : colours.quiet, { dash, width: strong ? 2 : 1.5 });
      }
      ctx.restore();
      const i = chosen?.();
      if (i >= 0) drawDot(ctx, sx(xs()[i]), sy(down[i]), 5.5, colours.accent);
    },
    items: () => {
      const along = xs();
      return Array.from(along.keys()).sort((a, b) => along[a] - along[b] || a - b);
    },
    start: () => chosen?.() ?? -1,
    hit(px, py, size) {
      let best = null;
      placed(size).forEach(([cx, cy], item) => {
        const distance = Math.hypot(cx - px, cy - py);
        if (distance < (best?.distance ?? NEAR_PX)) best = { item, distance };
      });
      return best?.item ?? null;
    },
    place(i, size) {
      const [cx, cy] = placed(size)[i];
      return [cx - 5, cy - 5, 10, 10];
    },
    describe,
    data: () => [
      { key: x(), values: xs() },
      { key: y(), values: ys() },
    ],
  };
}

/**
 * Counts over equal bins of range(): series() of counts, the first filled and the others as lines;
 * describe(bin, [low, high], counts). x, y: the axes' names; strong: the first in the accent colour; top(): the counts'
 * axis, by default up to the greatest.
 */
export function histogramFigure({ series, range, describe, x, y, strong = false, top, ...rest }) {
  const names = () => ({ x: x(), y: y() });
  const bins = () => series()[0].length;
  // Between `count` bins and at their ends: asked for once a drawing, for a range may take a pass over many values.
  const edgesOf = (count) => {
    const [low, high] = range();
    return Array.from({ length: count + 1 }, (_, bin) => low + (bin / count) * (high - low));
  };
  const most = (counts) => top?.() ?? Math.max(1, ...counts.flat());
  return {
    ...rest,
    draw(ctx, size, colours) {
      const counts = series();
      const [filled, ...outlined] = counts;
      const edges = edgesOf(filled.length);
      const ends = [edges[0], edges.at(-1)];
      const { sx, sy } = drawAxes(ctx, size, colours, ends, [0, most(counts)], names());
      ctx.globalAlpha = outlined.length ? 0.5 : 1;
      ctx.fillStyle = strong ? colours.accent : colours.quiet;
      filled.forEach((count, bin) =>
        ctx.fillRect(sx(edges[bin]) + 0.5, sy(count), sx(edges[bin + 1]) - sx(edges[bin]) - 1, sy(0) - sy(count)));
      ctx.globalAlpha = 1;
      ctx.strokeStyle = colours.accent;
      ctx.lineWidth = 2;
      for (const line of outlined) {
        ctx.beginPath();
        ctx.moveTo(sx(ends[0]), sy(0));
        line.forEach((count, bin) => {
          ctx.lineTo(sx(edges[bin]), sy(count));
          ctx.lineTo(sx(edges[bin + 1]), sy(count));
        });
        ctx.lineTo(sx(ends[1]), sy(0));
        ctx.stroke();
      }
    },
    items: bins,
    hit: (px, _, { width }) => {
      const along = (px - AXIS.left) / (width - AXIS.left - AXIS.right);
      return Math.max(0, Math.min(bins() - 1, Math.floor(along * bins())));
    },
    place(bin, size) {
      const counts = series();
      const edges = edgesOf(counts[0].length);
      const { sx, sy } = axesOf(size, [edges[0], edges.at(-1)], [0, most(counts)], names());
      const top = sy(Math.max(...counts.map((line) => line[bin])));
      return [sx(edges[bin]), top, sx(edges[bin + 1]) - sx(edges[bin]), sy(0) - top];
    },
    describe: (bin) => {
      const counts = series();
      const edges = edgesOf(counts[0].length);
      return describe(bin, [edges[bin], edges[bin + 1]], counts.map((line) => line[bin]));
    },
    data: () => [
      { key: 'from', values: edgesOf(bins()).slice(0, -1) },
      { key: 'to', values: edgesOf(bins()).slice(1) },
      ...series().map((counts, i) => ({ key: `count_${i + 1}`, values: counts })),
    ],
  };
}

/**
 * A curve for each of lines() [{key, text, values, strong, accent}] over xs(). `log`: both axes are logarithmic.
 * now(): where on the x axis things stand; chosen(): the index marked on the first; describe(line, index). x, y: the axes' names; room: for the curves' names.
 */
export function curvesFigure({ xs, lines, now, chosen, describe, x, y, log = false, room = 0, range, ...rest }) {
  const scaled = (value) => (log ? Math.log10(value) : value);
  const ranges = () => {
    const [low, high] = range?.() ?? extent(...lines().map(({ values }) => values));
    const along = xs();
    return [[scaled(along[0]), scaled(along[along.length - 1])],
      log ? [Math.floor(scaled(low)), Math.ceil(scaled(high))] : [low, high]];
  };
  const inner = ({ width, height }) => ({ width: width - room, height });
  const names = () => ({ x: x(), y: y(), log });
  const point = (item, size) => {
    const { sx, sy } = axesOf(inner(size), ...ranges(), names());
    const [line, i] = [Math.floor(item / xs().length), item % xs().length];
    return [sx(scaled(xs()[i])), sy(scaled(lines()[line].values[i]))];
  };
  const items = () => lines().length * xs().length;
  return {
    ...rest,
    draw(ctx, size, colours) {
      const [along, up] = ranges();
      const { sx, sy } = drawAxes(ctx, inner(size), colours, along, up, names());
      const here = now?.();
      if (here !== undefined) {
        drawLine(ctx, ...up.map((end) => [sx(scaled(here)), sy(end)]), colours.quiet, { dash: [4, 4] });
      }
      const labels = lines().map(({ text, values, strong, accent, dash = [] }) => {
        const colour = strong ? colours.text : colours.quiet;
        ctx.setLineDash(dash);
        ctx.strokeStyle = accent ? colours.accent : colour;
        ctx.lineWidth = strong ? 2.5 : 1;
        ctx.beginPath();
        xs().forEach((value, i) => ctx.lineTo(sx(scaled(value)), sy(scaled(values[i]))));
        ctx.stroke();
        return { at: sy(scaled(values[values.length - 1])), text, colour };
      });
      ctx.setLineDash([]);
      const i = chosen?.() ?? -1;
      if (i >= 0) drawDot(ctx, ...point(i, size), 4.5, colours.accent);
      ctx.textBaseline = 'middle';
      for (const label of room ? spread(labels, 13) : []) {
        ctx.fillStyle = label.colour;
        ctx.fillText(label.text, sx(along[1]) + 6, label.y);
      }
    },
    items,
    columns: () => xs().length,
    start: () => chosen?.() ?? -1,
    hit(px, py, size) {
      let best = null;
      for (let item = 0; item < items(); item++) {
        const [cx, cy] = point(item, size);
        const distance = Math.hypot(cx - px, cy - py);
        if (distance < (best?.distance ?? 3 * NEAR_PX)) best = { item, distance };
      }
      return best?.item ?? null;
    },
    place(item, size) {
      const [cx, cy] = point(item, size);
      return [cx - 5, cy - 5, 10, 10];
    },
    describe: (item) => describe(lines()[Math.floor(item / xs().length)], item % xs().length),
    data: () => [{ key: x(), values: xs() }, ...lines().map(({ text, values }) => ({ key: text, values }))],
  };
}
