// The view that a map opens with.
import { clampCell, sameSpot } from '../../web/cell.js';
import { decodeView } from '../../web/view.js';

/** A view, or its text as in share links, whole. */
export const wholeView = (wanted) => (
  typeof wanted === 'string' ? decodeView(wanted) : { ...decodeView(''), ...structuredClone(wanted) }
);

/** The same on a grid of `sides`; cells outside it move to its edge. */
export function viewOn(sides, wanted) {
  const view = wholeView(wanted);
  view.cell = clampCell(view.cell ?? view.pins.at(-1) ?? sides.map((side) => side >> 1), sides);
  view.pins = view.pins.map((pin) => clampCell(pin, sides));
  return view;
}

/**
 * What a new map opens with where nobody asks for a view. It keeps how the one before is looked at; of the same
 * photograph also where, whatever the grid. Another one is asked from where its first row is.
 */
export function viewOf(value, { view, data: before }) {
  if (value.view && value.view !== before?.view) return value.view;
  const start = value.row?.cell ?? null;
  if (!before) return { ...view, cell: view.cell ?? start };
  if (before.path !== value.image.path) return { ...view, cell: start, pins: [], compare: [] };
  const carry = ([row, col]) => sameSpot({ row, col, rows: before.rows, cols: before.cols }, value.grid);
  return { ...view, cell: carry(view.cell), pins: view.pins.map(carry) };
}
