// Pointer and keyboard on the map: point, click to pin, drag a pin, walk with the arrows.
import { ARROWS, cellUnder, clampCell, sameCell } from '../../web/cell.js';

const JUMP = 4; // cells per Shift + arrow

/** `ax` is the explorer: canvas, moveTo, help; `pins` its strip. */
export function listen(ax, state, pins) {
  const { canvas } = ax;
  const grid = () => [state.data.rows, state.data.cols];
  let press = null; // {cell, pin, moved} while a button or finger is down

  canvas.addEventListener('pointerdown', (event) => {
    if (!state.data || event.button) return;
    const cell = cellUnder(event, canvas, grid());
    press = { cell, pin: pins.pinAt(cell), moved: false };
    canvas.setPointerCapture(event.pointerId);
    ax.moveTo(cell);
  });

  canvas.addEventListener('pointermove', (event) => {
    const { data, view } = state;
    if (!data || !view.cell) return;
    const cell = cellUnder(event, canvas, grid());
    if (press && !sameCell(cell, press.cell)) press.moved = true;
    if (press?.pin >= 0 && pins.pinAt(cell) < 0) {
      view.pins[press.pin] = cell;
      pins.changed();
    }
    ax.moveTo(cell);
  });

  canvas.addEventListener('pointerup', () => {
    if (press && !press.moved) pins.toggle(state.view.cell);
    press = null;
  });

  canvas.addEventListener('pointercancel', () => { press = null; });

  // A pinned position is held: the map goes back to it when the mouse leaves. (A finger leaves whenever it is lifted.)
  canvas.addEventListener('pointerleave', (event) => {
    const { data, view } = state;
    if (data && !press && view.pins.length && event.pointerType === 'mouse') ax.moveTo(view.pins.at(-1));
  });

  canvas.addEventListener('keydown', (event) => {
    const { data, view } = state;
    if (!data || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = ARROWS[event.key];
    const pin = view.pins[Number(event.key) - 1];
    if (step) {
      const far = event.shiftKey ? JUMP : 1;
      ax.moveTo(clampCell(view.cell.map((place, axis) => place + far * step[axis]), grid()));
    } else if (event.key === 'Enter' || event.key === ' ') pins.toggle(view.cell);
    else if (event.key === 'Escape' && view.compare.length) pins.endCompare();
    else if (event.key === 'Escape') pins.clear();
    else if (event.key === '?') ax.help();
    else if (pin) ax.moveTo(pin);
    else return;
    event.preventDefault();
  });
}
