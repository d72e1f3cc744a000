// Pointer and keyboard on the map: point, click to pin, drag a pin, walk with the arrows. On a touch screen a tap asks, a
// finger that is held or goes sideways explores, and a swipe up or down scrolls the page as anywhere else.
import { ARROWS, cellUnder, clampCell, sameCell } from '../../web/cell.js';

const JUMP = 4; // cells per Shift + arrow
const HOLD_MS = 180;
const SIDEWAYS_PX = 8;

/** `ax` is the explorer: canvas, moveTo, smooth, help; `pins` its strip. */
export function listen(ax, state, pins) {
  const { canvas } = ax;
  const grid = () => [state.data.rows, state.data.cols];
  let press = null; // {cell, pin, moved, touch, x, y, since, heard} while a button or finger is down

  let holding = 0; // timer: a finger that rests so long explores

  function hold(on) {
    clearTimeout(holding);
    canvas.classList.toggle('held', on);
  }

  // On a busy page the timer may go off before a finger that moved, or was lifted, in time is heard of.
  function inTime(event) {
    if (press?.touch && !press.heard && event.timeStamp - press.since < HOLD_MS) hold(false);
    if (press) press.heard = true;
  }

  // What the browser has not begun to scroll is not scrolled once the finger is held.
  canvas.addEventListener('touchmove', (event) => {
    inTime(event);
    if (canvas.classList.contains('held') && event.cancelable) event.preventDefault();
  }, { passive: false });
  canvas.addEventListener('contextmenu', (event) => {
    if (press?.touch) event.preventDefault(); // a long press
  });

  canvas.addEventListener('pointerdown', (event) => {
    if (!state.data || event.button) return;
    const cell = cellUnder(event, canvas, grid());
    const touch = event.pointerType === 'touch';
    press = { cell, pin: pins.pinAt(cell), moved: false, touch, x: event.clientX, y: event.clientY, since: event.timeStamp };
    if (touch) {
      holding = setTimeout(() => {
        hold(true);
        ax.moveTo(cell);
      }, HOLD_MS);
      return;
    }
    canvas.setPointerCapture(event.pointerId);
    ax.moveTo(cell);
  });

  canvas.addEventListener('pointermove', (event) => {
    const { data, view } = state;
    if (!data || !view.cell) return;
    const cell = cellUnder(event, canvas, grid());
    inTime(event);
    if (press && !sameCell(cell, press.cell)) press.moved = true;
    if (press?.touch && !canvas.classList.contains('held')) {
      const [across, down] = [event.clientX - press.x, event.clientY - press.y].map(Math.abs);
      if (across < SIDEWAYS_PX || across < down) return; // a swipe of the page, or nothing yet
      hold(true);
    }
    if (press?.pin >= 0 && pins.pinAt(cell) < 0) {
      view.pins[press.pin] = cell;
      pins.changed();
    }
    ax.moveTo(cell);
  });

  canvas.addEventListener('pointerup', (event) => {
    inTime(event);
    const held = canvas.classList.contains('held');
    hold(false);
    if (press?.touch && !held) ax.moveTo(press.cell); // a tap asks; a long press pins, as a click does
    else if (press && !press.moved) pins.toggle(state.view.cell);
    press = null;
  });

  canvas.addEventListener('pointercancel', () => { // the page is scrolled
    hold(false);
    press = null;
  });

  // A pinned position is held: the map goes back to it when the mouse leaves. (A finger leaves whenever it is lifted.)
  canvas.addEventListener('pointerleave', (event) => {
    const { data, view } = state;
    if (data && !press && view.pins.length && event.pointerType === 'mouse') ax.moveTo(view.pins.at(-1));
  });

  // Two keys also elsewhere: one where the map is only pointed at, one wherever it is on the page.
  const typed = (node) => node === canvas || node.closest?.('select, textarea, [contenteditable], input:not([type=checkbox])');
  document.addEventListener('keydown', function elsewhere(event) {
    if (!canvas.isConnected) document.removeEventListener('keydown', elsewhere);
    else if (!state.data || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typed(event.target)) return;
    else if (event.key.toLowerCase() === 's' && canvas.matches(':hover')) ax.smooth();
    else if (event.key === '?' && canvas.checkVisibility() && !document.querySelector('dialog[open]')) ax.help();
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
    else if (event.key === 'Escape') pins.removeLast();
    else if (event.key === '?') ax.help();
    else if (event.key.toLowerCase() === 's') ax.smooth();
    else if (pin) ax.moveTo(pin);
    else return;
    event.preventDefault();
  });
}
