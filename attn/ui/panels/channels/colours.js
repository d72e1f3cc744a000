// The features as colours: their three principal components as red, green and blue, in one basis before and after.
import { cellsOf, cellTable } from '../../web/grid.js';
import { framed } from '../../web/frame.js';
import { drawCell } from '../../web/cell.js';
import { percent, readable } from '../../web/numbers.js';
import { h } from '../../web/reactive.js';
import { b, cellText, shortOf, t } from './words.js';

/** Three bytes a position as a canvas of one pixel each. */
export function coloured(codes, [rows, cols]) {
  const canvas = Object.assign(document.createElement('canvas'), { width: cols, height: rows });
  const pixels = new ImageData(cols, rows);
  for (let i = 0; i < rows * cols; i++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = codes[3 * i + c];
    pixels.data[4 * i + 3] = 255;
  }
  canvas.getContext('2d').putImageData(pixels, 0, 0);
  return canvas;
}

/** One picture: of the features where name() is null, else of the mechanism's output. */
export function coloursFigure(panel, name, { title, caption, on = [] }) {
  const { model } = panel;
  const { grid } = model.facts;
  const cells = cellsOf(() => grid);
  const codes = () => model.arrays[`colours_${name() ?? 'features'}`];
  const kept = {};
  const image = () => {
    kept[name()] ??= coloured(codes(), grid);
    return kept[name()];
  };
  return framed(panel.live, {
    ...cells,
    draw(ctx, { width, height }) {
      ctx.imageSmoothingEnabled = false;
      ctx.drawImage(image(), 0, 0, width, height);
      drawCell(ctx, width, height, grid, panel.queryCell());
    },
    describe: (item) => {
      const [row, col] = cells.cell(item);
      const [red, green, blue] = codes().subarray(3 * item, 3 * item + 3);
      return b('tip.colour', {
        at: cellText({ row, col }), red: readable(red / 255), green: readable(green / 255), blue: readable(blue / 255),
      });
    },
    start: () => cells.item(panel.queryCell()),
    point: (item) => panel.setQuery(...cells.cell(item)),
    pick: (item) => panel.setQuery(...cells.cell(item)),
    data: () => {
      const [rows, columns] = cellTable(Array.from({ length: codes().length / 3 }, () => 0), grid[1]);
      const component = (c) => ({ key: `component_${c + 1}`, values: rows.values.map((_, i) => codes()[3 * i + c] / 255) });
      return [rows, columns, component(0), component(1), component(2)];
    },
  }, { on: ['query', ...on], onTitle: on, ratio: panel.ratio(), title, caption });
}

/** The section: before, and after each column's mechanism. */
export function colours(panel) {
  const { model, state } = panel;
  const shares = model.facts.explained;
  return h('section', {}, h('h2', {}, b('colours')),
    h('p', {}, b('colours.note')),
    h('div', { class: 'strip-of' },
      coloursFigure(panel, () => null, {
        title: () => t('before'),
        caption: () => b('colours.before', { red: percent(shares[0]), green: percent(shares[1]), blue: percent(shares[2]) }),
      }),
      state.columns.map((_, at) => coloursFigure(panel, () => state.columns[at], {
        on: [`column:${at}`],
        title: () => t('after.of', { name: shortOf(model.mechanisms[state.columns[at]]) }),
        caption: () => b('colours.after', { share: percent(model.mechanisms[state.columns[at]].clipped, 0) }),
      }))));
}
