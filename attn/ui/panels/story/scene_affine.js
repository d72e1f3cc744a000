// One channel, after against before at every position: a gate gives a line, attention a cloud.
import { drawAxes, drawDot, drawLine, axesOf } from '../../web/axes.js';
import { rSquared, readable } from '../../web/numbers.js';
import { decodeRow } from '../../web/rows.js';
import { CHANNELS, POSITIONS, drawCover, drawWords } from './picture.js';
import { split } from './places.js';

const SHOWN = ['se', 'spatial', 'xca'];

export function affine({ data, words, covered }) {
  const before = () => decodeRow(data.arrays, 'channel_before', 0);
  const added = (name) => decodeRow(data.arrays, 'channel_added', data.facts.shown.indexOf(name));
  const names = () => SHOWN.filter((name) => data.facts.shown.includes(name));
  // One under the other on a narrow screen, with both words in one line and the axis named by the caption alone.
  function plots(size) {
    const x = before();
    const range = [Math.min(...x), Math.max(...x)];
    const narrow = size.width < 520;
    const head = narrow ? 18 : 38;
    return split({ x: 0, y: 0, ...size }, names().length, narrow ? 6 : 10, narrow).map((box, i) => {
      const y = added(names()[i]);
      const inner = { width: box.width, height: box.height - head };
      const ends = [Math.min(...y), Math.max(...y)];
      const axis = narrow ? '' : words('axis.before');
      return { name: names()[i], narrow, head, box, x, y, range, ends, inner, axis, axes: axesOf(inner, range, ends, { x: axis }) };
    });
  }
  const nearest = (plot, px, py) => {
    let best = null;
    let least = 14 ** 2;
    for (let i = 0; i < plot.x.length; i++) {
      const d = (plot.axes.sx(plot.x[i]) - px) ** 2 + (plot.axes.sy(plot.y[i]) - py) ** 2;
      if (d < least) [best, least] = [i, d];
    }
    return best;
  };
  return {
    draw(ctx, size, colours) {
      for (const { name, narrow, head, box, x, y, range, ends, inner, axis } of plots(size)) {
        const fit = data.facts.channel_fit[name];
        drawWords(ctx, words(`mechanism.${name}`), box.x + 4, box.y, colours, { bold: true, width: narrow ? box.width / 2 - 8 : box.width - 8 });
        if (covered()) {
          drawCover(ctx, { ...inner, x: box.x, y: box.y + head }, colours);
          continue;
        }
        const fits = words('fit', { r2: rSquared(fit.r2) });
        if (narrow) drawWords(ctx, fits, box.x + box.width - 4, box.y, colours, { width: box.width / 2 - 8, quiet: true, align: 'right' });
        else drawWords(ctx, fits, box.x + 4, box.y + 17, colours, { width: box.width - 8, quiet: true });
        ctx.save();
        ctx.translate(box.x, box.y + head);
        const { sx, sy } = drawAxes(ctx, inner, colours, range, ends, { x: axis });
        for (let i = 0; i < x.length; i++) drawDot(ctx, sx(x[i]), sy(y[i]), 1.6, name === 'spatial' ? POSITIONS : CHANNELS, 0.45);
        drawLine(ctx, [sx(range[0]), sy(fit.a * range[0] + fit.b)], [sx(range[1]), sy(fit.a * range[1] + fit.b)], colours.text, { dash: [5, 4] });
        ctx.restore();
      }
    },
    items: () => names().length * data.positions,
    hit(px, py, size) {
      for (const [n, plot] of plots(size).entries()) {
        const { box } = plot;
        if (px < box.x || px >= box.x + box.width || py < box.y || py >= box.y + box.height) continue;
        const at = nearest(plot, px - box.x, py - box.y - plot.head);
        return at === null ? null : n * data.positions + at;
      }
      return null;
    },
    place(item, size) {
      const plot = plots(size)[Math.floor(item / data.positions)];
      const i = item % data.positions;
      return [plot.box.x + plot.axes.sx(plot.x[i]) - 4, plot.box.y + plot.head + plot.axes.sy(plot.y[i]) - 4, 8, 8];
    },
    describe(item) {
      const i = item % data.positions;
      const [row, col] = data.cellOf(i);
      const name = names()[Math.floor(item / data.positions)];
      return words('tip.affine', { row, col, before: readable(before()[i]), after: readable(added(name)[i]) });
    },
    data: () => [{ key: 'before', values: Array.from(before()) },
      ...names().map((name) => ({ key: `added_${name}`, values: Array.from(added(name)) }))],
  };
}
