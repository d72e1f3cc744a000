// Where it looks: the photograph lit by the map of one query, which moves by itself until the reader points.
import { fixed, rough } from '../../web/numbers.js';
import { drawPosition } from './picture.js';
import { cellAt, fitted, frameOf } from './places.js';

/** One picture, one query. */
export function where({ data, lamp, words, covered }) {
  const box = (size) => fitted(data.photograph.aspect, { x: 0, y: 0, ...size });
  const grid = () => [data.photograph.rows, data.photograph.cols];
  return {
    moves: true,
    marked: () => words('where.marked', { row: data.cell[0], col: data.cell[1], n: fixed(data.perplexityOf(data.cell)) }),
    draw(ctx, size) {
      const at = box(size);
      if (covered()) lamp.plain(ctx, data.photograph, at);
      else lamp.light(ctx, data.photograph, data.mapOf(data.cell), at);
      drawPosition(ctx, at, grid(), data.cell);
    },
    items: () => data.photograph.rows * data.photograph.cols,
    columns: () => data.photograph.cols,
    start: () => data.cell[0] * data.photograph.cols + data.cell[1],
    hit(x, y, size) {
      const cell = cellAt(box(size), ...grid(), x, y);
      return cell && cell[0] * data.photograph.cols + cell[1];
    },
    place: (item, size) => frameOf(box(size), ...grid(), data.cellOf(item)),
    point: (item) => data.pointAt(data.cellOf(item)),
    describe: (item) => {
      const [row, col] = data.cellOf(item);
      return words('tip.where', { row, col, n: rough(data.perplexityOf(data.cell)) });
    },
  };
}

/** The map that random weights give, for the two positions of the story in turn, beside the trained one. */
export function random(context) {
  const { data, lamp, covered } = context;
  const scene = where(context);
  const box = (size) => fitted(data.photograph.aspect, { x: 0, y: 0, ...size });
  return {
    ...scene,
    marked: undefined, // what it draws is of the nearest of the story's positions
    draw(ctx, size) {
      const at = box(size);
      const which = data.nearestQuery(data.cell);
      if (covered()) lamp.plain(ctx, data.photograph, at);
      else lamp.light(ctx, data.photograph, data.row('random', which), at);
      drawPosition(ctx, at, [data.photograph.rows, data.photograph.cols], data.queries[which]);
    },
    describe: () => context.words('tip.random', {}),
  };
}
