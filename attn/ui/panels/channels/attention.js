// What attention between positions weighs: its matrix, and the row of the query over the photograph.
import { drawCell, drawRowMark } from '../../web/cell.js';
import { framed } from '../../web/frame.js';
import { mapFigure, matrixFigure } from '../../web/grid.js';
import { percent, readable } from '../../web/numbers.js';
import { picture } from '../../web/picture.js';
import { decodeRows } from '../../web/rows.js';
import { scaled } from '../../web/statistics.js';
import { sentences } from '../../web/texts.js';
import { cellText, t } from './words.js';

const SCALE = { table: 'viridis', low: 0.01, high: 100, log: true, unit: '×' };

/** The whole map, positions × positions, in averaged blocks where it is large; a click asks from that row. */
export function attentionMatrix(panel, name, on) {
  const { model } = panel;
  const [rows, cols] = model.facts.grid;
  const positions = rows * cols;
  const kept = {}; // mechanism → {values, image, side}
  const map = () => {
    kept[name()] ??= matrixOf(model, name(), positions);
    return kept[name()];
  };
  const block = () => Math.ceil(positions / map().side);
  const spot = (place) => {
    const index = Math.min(positions - 1, place * block());
    return cellText({ row: Math.floor(index / cols), col: index % cols });
  };
  return framed(panel.live, matrixFigure({
    image: () => map().image, values: () => map().values, side: () => map().side, scale: SCALE,
    marks: (ctx, { width, height }) =>
      drawRowMark(ctx, width, height, panel.queryIndex() / block(), positions / block()),
    describe: ([row, col], value) => t('tip.attention', { query: spot(row), key: spot(col), value: readable(value) }),
    start: () => [Math.floor(panel.queryIndex() / block()), 0],
    pick: ([row]) => {
      const index = Math.min(positions - 1, row * block());
      panel.setQuery(Math.floor(index / cols), index % cols);
    },
  }), {
    on: ['query', ...on], bar: true, shows: 'weights',
    title: () => t('attention', { positions: readable(positions) }),
    caption: () => sentences(
      t('attention.note', { at: cellText(panel.state.query) }), block() > 1 && t('channel_map.pooled'),
    ),
  });
}

function matrixOf(model, name, positions) {
  const array = model.attentionArray(name);
  const side = model.arrays[`${array}_low`].length;
  const values = decodeRows(model.arrays, array, positions);
  return { side, values, image: picture(values, side, side, SCALE) };
}

/** Where the query's position looks, over the photograph; pointing moves the query. */
export function queryMap(panel, name, on) {
  const { model } = panel;
  const grid = () => model.facts.grid;
  const positions = grid()[0] * grid()[1];
  return framed(panel.live, mapFigure({
    grey: () => panel.photo.grey, grid,
    name: () => t('answer.label', { at: cellText(panel.state.query) }),
    values: () => scaled(model.attention(panel.queryIndex(), name()), positions),
    scaleOf: () => ({ table: 'viridis', low: 0, high: 5, unit: '×' }),
    marks: (ctx, { width, height }) => drawCell(ctx, width, height, grid(), panel.queryCell()),
    describe: ([row, col], value) => t('tip.times', { at: cellText({ row, col }), value: readable(value) }),
    start: panel.queryCell,
    point: (cell) => panel.setQuery(...cell),
    pick: (cell) => panel.setQuery(...cell),
  }), {
    on: ['query', ...on], ratio: panel.ratio(), bar: true,
    title: () => t('answer.left'),
    caption: () => t('answer.left.note', {
      at: cellText(panel.state.query), moved: percent(model.queryDifference(name())[panel.queryIndex()]),
    }),
  });
}

/** The photograph alone: wherever one points, a mechanism without queries answers the same. */
export function sameAnswer(panel, name, on) {
  const grid = () => panel.model.facts.grid;
  const kind = () => panel.model.mechanisms[name()].kind;
  return framed(panel.live, {
    ...mapFigure({
      grey: () => panel.photo.grey, grid, values: () => [], scaleOf: () => null,
      describe: ([row, col]) => t('tip.same', { at: cellText({ row, col }) }),
      start: panel.queryCell,
      point: (cell) => panel.setQuery(...cell),
      pick: (cell) => panel.setQuery(...cell),
    }),
    name: () => t('answer.label', { at: cellText(panel.state.query) }),
    draw(ctx, { width, height }) {
      ctx.drawImage(panel.photo.grey, 0, 0, width, height);
      drawCell(ctx, width, height, grid(), panel.queryCell());
    },
    data: undefined,
  }, {
    on: ['query', ...on], ratio: panel.ratio(),
    title: () => t('answer.right'),
    caption: () => t(`answer.right.${kind()}`, {
      at: cellText(panel.state.query), channels: readable(panel.model.facts.channels),
      positions: readable(grid()[0] * grid()[1]),
    }),
  });
}
