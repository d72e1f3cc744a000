// The map as a figure: what it says of each position, and the map as a file.
import { clampCell } from '../../web/cell.js';
import { fixed, signed } from '../../web/numbers.js';
import { t } from '../../web/texts.js';
import { paintMap, paintMarkers } from './paint.js';

export function shownMap(state) {
  const cellOf = (item) => [Math.floor(item / state.data.cols), item % state.data.cols];
  return {
    name: () => t('explorer.canvas'),
    draw(ctx, { width, height }) {
      paintMap(ctx, width, height, state.photo, state.map, state.scale, state);
      paintMarkers(ctx, width, height, state.drawn, state);
    },
    items: () => state.data.source.n,
    columns: () => state.data.cols,
    hit(x, y, { width, height }) {
      if (!state.map) return null;
      const { rows, cols } = state.data;
      const [row, col] = clampCell([Math.floor((y / height) * rows), Math.floor((x / width) * cols)], [rows, cols]);
      return row * cols + col;
    },
    place(item, { width, height }) {
      const { rows, cols } = state.data;
      const [row, col] = cellOf(item);
      return [(col * width) / cols, (row * height) / rows, width / cols, height / rows];
    },
    describe(item) {
      const [row, col] = cellOf(item);
      const value = state.map.values[item];
      const shown = state.map.signed ? signed(value, 2) : fixed(value, 2);
      return t('explorer.cell', { row, col, value: shown });
    },
    data: () => [
      { key: 'row', values: Array.from(state.map.values, (_, item) => cellOf(item)[0]) },
      { key: 'column', values: Array.from(state.map.values, (_, item) => cellOf(item)[1]) },
      { key: 'times_uniform', values: state.map.values },
    ],
  };
}
