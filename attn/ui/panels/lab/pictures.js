// The six pictures of the lab: one query's map before the shuffle, after it and put back, in two lanes.
import { drawCell } from '../../web/cell.js';
import { makeFigure } from '../../web/figure.js';
import { saving } from '../../web/frame.js';
import { cellTable, cellsOf } from '../../web/grid.js';
import { readable } from '../../web/numbers.js';
import { drawPicture, picture } from '../../web/picture.js';
import { scaled } from '../../web/statistics.js';
import { t } from '../../web/texts.js';

/** The photograph with its positions in the order of `order`: the content at place j is that of order[j]. */
export function shuffledPicture({ facts, image, order }) {
  const [rows, cols] = facts.grid;
  const canvas = document.createElement('canvas');
  [canvas.height, canvas.width] = facts.image_size;
  const height = canvas.height / rows;
  const width = canvas.width / cols;
  const ctx = canvas.getContext('2d');
  for (let to = 0; to < order.length; to++) {
    const [fromRow, fromCol] = [Math.floor(order[to] / cols), order[to] % cols];
    const [row, col] = [Math.floor(to / cols), to % cols];
    ctx.drawImage(image, fromCol * width, fromRow * height, width, height, col * width, row * height, width, height);
  }
  return canvas;
}

/**
 * Makes `canvas` the picture of its lane and view. lab: shown (what came), lanes[i] (its maps), cell (the query), high
 * (the end of the scale), pointTo(cell, how). In the shuffled picture the query is where its content went.
 */
export function labPicture(canvas, lane, lab) {
  const { view } = canvas.dataset;
  const moved = view === 'after';
  const cells = cellsOf(() => lab.shown.facts.grid);
  const map = () => lab.maps[lane][view];
  const queryItem = () => (moved ? lab.shown.back[cells.item(lab.cell)] : cells.item(lab.cell));
  const contentOf = (item) => (moved ? lab.shown.order[item] : item);
  const figure = makeFigure(canvas, {
    ...cells,
    name: () => `${t(`lab.lane.${lane ? 'with' : 'without'}`)}, ${t(`lab.view.${view}`)}. ${t('lab.canvas')}`,
    draw(ctx, size) {
      const [rows, cols] = lab.shown.facts.grid;
      const { width, height } = size;
      ctx.drawImage(moved ? lab.shown.shuffled : lab.shown.image, 0, 0, width, height);
      const values = scaled(map(), map().length);
      drawPicture(ctx, size, picture(values, rows, cols, { table: 'viridis', low: 0, high: lab.high }), 0.6);
      drawCell(ctx, width, height, [rows, cols], cells.cell(queryItem()));
    },
    hit: (...place) => (lab.shown ? cells.hit(...place) : null),
    items: () => (lab.shown ? cells.items() : 0),
    start: queryItem,
    describe(item) {
      const [row, col] = cells.cell(item);
      return t('lab.cell', { row, col, value: readable(map()[item] * map().length) });
    },
    point: (item, how) => lab.pointTo(cells.cell(contentOf(item)), how),
    data: () => cellTable(scaled(map(), map().length), lab.shown.facts.grid[1]),
  });
  canvas.parentElement.classList.add('attn-figure');
  canvas.after(...figure.nodes);
  canvas.parentElement.append(saving(figure, () => t(`lab.view.${view}`)));
  return figure;
}
