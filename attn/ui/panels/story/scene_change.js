// One channel as a picture: before, and what each mechanism makes of it, all on one scale.
import { readable } from '../../web/numbers.js';
import { decodeRow } from '../../web/rows.js';
import { drawMap, drawPosition, drawWords } from './picture.js';
import { below, cellAt, fitted, frameOf, split } from './places.js';

export function change({ data, words }) {
  const grid = () => [data.photograph.rows, data.photograph.cols];
  const count = () => data.positions;
  const before = () => decodeRow(data.arrays, 'channel_before', 0);
  const after = (name) => {
    const added = decodeRow(data.arrays, 'channel_added', data.facts.shown.indexOf(name));
    return before().map((value, i) => value + added[i]);
  };
  const pictures = () => [['before', before()], ...data.facts.shown.map((name) => [name, after(name)])].slice(0, 4);
  const boxes = (size) => split({ x: 0, y: 0, ...size }, 2, 12, true)
    .flatMap((row) => split(row, 2, 12))
    .map((part) => fitted(data.photograph.aspect, below(part, 18)));
  const range = () => {
    const x = before();
    return { low: Math.min(...x), high: Math.max(...x) };
  };
  return {
    draw(ctx, size, colours) {
      const places = boxes(size);
      pictures().forEach(([name, values], n) => {
        drawWords(ctx, words(`mechanism.${name}`), places[n].x, places[n].y - 16, colours, { bold: true, width: places[n].width });
        drawMap(ctx, values, grid(), places[n], range());
        drawPosition(ctx, places[n], grid(), data.cell);
      });
    },
    items: () => 4 * count(),
    columns: () => data.photograph.cols,
    hit(x, y, size) {
      for (const [n, box] of boxes(size).entries()) {
        const cell = cellAt(box, ...grid(), x, y);
        if (cell) return n * count() + cell[0] * data.photograph.cols + cell[1];
      }
      return null;
    },
    place: (item, size) => frameOf(boxes(size)[Math.floor(item / count())], ...grid(), data.cellOf(item % count())),
    point: (item) => data.pointAt(data.cellOf(item % count())),
    describe(item) {
      const [name, values] = pictures()[Math.floor(item / count())];
      const [row, col] = data.cellOf(item % count());
      return words('tip.change', { name: words(`mechanism.${name}`), row, col, value: readable(values[item % count()]) });
    },
  };
}
