// The strip of pins under the map: positions kept, recalled, compared and let go.
import { MAX_PINS } from '../../web/view.js';
import { sameCell } from '../../web/cell.js';
import { t } from '../../web/texts.js';
import { PIN_COLOURS } from './paint.js';

function button(label, textContent, onclick, marks) {
  const node = Object.assign(document.createElement('button'), { type: 'button', title: label, textContent, onclick });
  node.setAttribute('aria-label', label);
  Object.assign(node.dataset, marks);
  return node;
}

/** The pins of `state.view`; `ax` is the explorer: moveTo, refresh, changed, full, canvas. */
export function makePins(root, state, ax) {
  const list = root.querySelector('.ax-pins');
  const pinAt = (cell) => state.view.pins.findIndex((pin) => sameCell(pin, cell));

  function build() {
    const { data, view } = state;
    const focused = [...list.querySelectorAll('button')].indexOf(document.activeElement);
    list.replaceChildren(...view.pins.map(([row, col], index) => {
      const place = { n: index + 1, row, col };
      const item = document.createElement('li');
      item.style.setProperty('--pin', PIN_COLOURS[index]);
      const main = button(t('explorer.pins.recall', place), '', () => ax.moveTo(view.pins[index]), { pin: index });
      const number = Object.assign(document.createElement('b'), { textContent: index + 1 });
      const mini = Object.assign(document.createElement('canvas'), { width: 96, height: Math.round(96 / data.aspect) });
      main.append(mini, number);
      main.onmouseenter = main.onfocus = () => recall(index);
      main.onmouseleave = main.onblur = () => recall(null);
      const compare = button(t('explorer.pins.compare', place), '⇄', () => toggleCompare(index), { compare: index });
      compare.setAttribute('aria-pressed', view.compare.includes(index));
      const gone = button(t('explorer.pins.remove', place), '×', () => remove(index), { remove: index });
      item.append(main, compare, gone);
      return item;
    }));
    if (focused >= 0) (list.querySelectorAll('button')[focused] ?? ax.canvas).focus({ preventScroll: true });
    root.querySelector('.ax-hint').hidden = view.pins.length > 0;
    root.querySelector('[data-do=clear]').disabled = !view.pins.length;
    root.dataset.pins = view.pins.length;
  }

  function changed() {
    build();
    ax.refresh();
    ax.changed();
  }

  function recall(index) {
    state.recalled = index;
    ax.schedule();
  }

  function toggle(cell) {
    const index = pinAt(cell);
    if (index >= 0) remove(index);
    else if (state.view.pins.length < MAX_PINS) {
      state.view.pins.push([...cell]);
      changed();
    } else ax.full();
  }

  function remove(index) {
    const { view } = state;
    view.pins.splice(index, 1);
    view.compare = view.compare.filter((k) => k !== index).map((k) => (k > index ? k - 1 : k));
    state.recalled = null;
    changed();
  }

  function removeLast() {
    if (state.view.pins.length) remove(state.view.pins.length - 1);
  }

  function clear() {
    Object.assign(state.view, { pins: [], compare: [] });
    state.recalled = null;
    changed();
  }

  // At most two pins are compared: choosing a third lets go of the first.
  function toggleCompare(index) {
    const { view } = state;
    const chosen = view.compare.includes(index);
    view.compare = chosen ? view.compare.filter((k) => k !== index) : [...view.compare, index].slice(-2);
    state.recalled = null;
    changed();
  }

  function endCompare() {
    state.view.compare = [];
    changed();
  }

  return { build, toggle, removeLast, clear, endCompare, changed, pinAt };
}
