// Two queries side by side, and how much of their attention they share.
import { rough } from '../../web/numbers.js';
import { drawPosition, drawWords } from './picture.js';
import { below, cellAt, fitted, frameOf, split } from './places.js';

export function two({ data, lamp, words, covered }) {
  const grid = () => [data.photograph.rows, data.photograph.cols];
  const side = (size) => size.width >= size.height * 0.9 && data.photograph.aspect < 1.3;
  const boxes = (size) => split({ x: 0, y: 0, ...size }, 2, 12, !side(size))
    .map((part) => fitted(data.photograph.aspect, below(part, 18)));
  const count = () => data.photograph.rows * data.photograph.cols;
  return {
    draw(ctx, size, colours) {
      boxes(size).forEach((box, which) => {
        const [row, col] = data.queries[which];
        drawWords(ctx, words('two', { row, col }), box.x, box.y - 16, colours, { width: box.width, bold: true });
        if (covered()) lamp.plain(ctx, data.photograph, box);
        else lamp.light(ctx, data.photograph, data.mapOf(data.queries[which]), box);
        drawPosition(ctx, box, grid(), data.queries[which]);
      });
    },
    items: () => 2 * count(),
    columns: () => data.photograph.cols,
    hit(x, y, size) {
      for (const [which, box] of boxes(size).entries()) {
        const cell = cellAt(box, ...grid(), x, y);
        if (cell) return which * count() + cell[0] * data.photograph.cols + cell[1];
      }
      return null;
    },
    place: (item, size) => frameOf(boxes(size)[Math.floor(item / count())], ...grid(), data.cellOf(item % count())),
    describe(item) {
      const which = Math.floor(item / count());
      const [row, col] = data.cellOf(item % count());
      return words('tip.two', { n: which + 1, row, col, value: rough(data.mapOf(data.queries[which])[item % count()]) });
    },
  };
}
