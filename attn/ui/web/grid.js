// Figures whose points are the cells of a grid that fills the canvas: maps over a photograph and matrices.
import { clampCell } from './cell.js';
import { drawOver, drawPicture } from './picture.js';

/** The points of a grid() = [rows, cols], for figure.js. */
export function cellsOf(grid) {
  const cell = (item) => [Math.floor(item / grid()[1]), item % grid()[1]];
  return {
    cell,
    item: ([row, col]) => row * grid()[1] + col,
    items: () => grid()[0] * grid()[1],
    columns: () => grid()[1],
    hit(x, y, { width, height }) {
      const [rows, cols] = grid();
      const [row, col] = clampCell([Math.floor((y / height) * rows), Math.floor((x / width) * cols)], [rows, cols]);
      return row * cols + col;
    },
    place(item, { width, height }) {
      const [rows, cols] = grid();
      const [row, col] = cell(item);
      return [(col * width) / cols, (row * height) / rows, width / cols, height / rows];
    },
  };
}

/** Every cell with its row, column and value, for a CSV file. */
export function cellTable(values, cols) {
  return [
    { key: 'row', values: Array.from(values, (_, item) => Math.floor(item / cols)) },
    { key: 'column', values: Array.from(values, (_, item) => item % cols) },
    { key: 'value', values },
  ];
}

/**
 * A map over the grey photograph: grey() the photograph, values() of the cells of grid(), scaleOf(values) its colours
 * ({table, low, high, log, unit}), describe([row, col], value); the rest as in figure.js. marks(ctx, size) goes on top.
 */
export function mapFigure({ grey, values, grid, scaleOf, describe, marks, ...rest }) {
  const cells = cellsOf(grid);
  return {
    ...cells,
    ...rest,
    draw(ctx, size) {
      const shown = values();
      const scale = scaleOf(shown);
      drawOver(ctx, size, grey(), shown, grid(), scale);
      marks?.(ctx, size);
      return scale;
    },
    describe: (item) => describe(cells.cell(item), values()[item]),
    data: () => cellTable(values(), grid()[1]),
    ...(rest.point && { point: (item, how) => rest.point(cells.cell(item), how) }),
    ...(rest.pick && { pick: (item) => rest.pick(cells.cell(item)) }),
    ...(rest.start && { start: () => cells.item(rest.start()) }),
  };
}

/**
 * A matrix: image() of side() × side() values(), at a fixed scale; describe([row, col], value); marks(ctx, size) goes on
 * top. pick([row, col]) gets the cell.
 */
export function matrixFigure({ image, values, side, scale, describe, marks, ...rest }) {
  const cells = cellsOf(() => [side(), side()]);
  return {
    ...cells,
    ...rest,
    draw(ctx, size) {
      drawPicture(ctx, size, image());
      marks?.(ctx, size);
      return scale;
    },
    describe: (item) => describe(cells.cell(item), values()[item]),
    data: () => cellTable(values(), side()),
    ...(rest.pick && { pick: (item) => rest.pick(cells.cell(item)) }),
    ...(rest.start && { start: () => cells.item(rest.start()) }),
  };
}
