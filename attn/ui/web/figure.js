// The one way in which a canvas answers: the value under the pointer in a small label, the same by keyboard and in a
// live region, and the figure as a file. A figure says what it shows:
//
//   name()                     what it is called: its label for those who do not see it, and its files' name
//   draw(ctx, size, colours)   draws it; size {width, height} in CSS pixels
//   items()                    how many data points there are, or their numbers in the order in which to walk them
//   columns()                  optional: points lie in rows of so many; up and down walk between rows
//   hit(x, y, size)            the point under the pointer (CSS pixels), or null
//   place(item, size)          where a point is: [left, top, width, height]
//   describe(item)             what is said of it
//   start()                    optional: the point at which the keyboard begins
//   point(item, how)           optional: pointed at or walked to; how: "pointer" or "keyboard"
//   pick(item)                 optional: clicked, or Enter
//   data()                     optional: its numbers, columns [{key, values}], for a CSV file
import { csvOf } from './numbers.js';
import { h } from './reactive.js';
import { saveFile } from './save.js';
import { svgOf } from './svg.js';
import { palette } from './theme.js';

const REST_MS = 500; // the pointer rests: what it is on is spoken
const BEFORE_LABEL_PX = 14;

/** Makes `canvas` a figure; `keys: false` leaves the keyboard to its owner. */
export function makeFigure(canvas, shown, { keys = true } = {}) {
  const mark = h('span', { class: 'attn-mark', 'aria-hidden': 'true', hidden: true });
  const label = h('span', { class: 'attn-tip', 'aria-hidden': 'true', hidden: true });
  const spoken = h('span', { class: 'attn-spoken', 'aria-live': 'polite' });
  let item = null;
  let told = {}; // how it was told last
  let resting = 0;

  const measure = () => ({ width: canvas.clientWidth, height: canvas.clientHeight });

  /** Draws at the screen's own resolution; nothing where the figure has no size, as in a closed tab. */
  function draw(size = measure(), colours = palette(canvas)) {
    if (!size.width || !size.height) return null;
    const density = window.devicePixelRatio || 1;
    canvas.width = Math.round(size.width * density);
    canvas.height = Math.round(size.height * density);
    const ctx = canvas.getContext('2d');
    ctx.scale(canvas.width / size.width, canvas.height / size.height);
    ctx.font = colours.font;
    const scale = shown.draw(ctx, size, colours);
    canvas.setAttribute('aria-label', shown.name());
    refresh();
    return scale;
  }

  /** What is said is said anew: the figure shows something else now. */
  function refresh() {
    if (item !== null) tell(item, told);
  }

  /** Shows what is said of a point beside it, or beside the pointer. */
  function tell(next, { at, framed = false } = {}) {
    item = next;
    told = { at, framed };
    const text = shown.describe(next);
    const size = measure();
    const box = shown.place(next, size);
    const [x, y] = at ?? [box[0] + box[2] / 2, box[1] + box[3] / 2];
    const [left, top] = [canvas.offsetLeft, canvas.offsetTop];
    label.textContent = text;
    label.hidden = false;
    const along = Math.min(1, Math.max(0, x / size.width)); // of the label as of the figure: it never sticks out
    label.style.left = `${left + along * size.width}px`;
    label.style.top = `${top + y + (y > 40 ? -BEFORE_LABEL_PX : BEFORE_LABEL_PX)}px`;
    label.style.translate = `${-100 * along}% ${y > 40 ? '-100%' : '0'}`;
    mark.hidden = !framed;
    if (framed) place(mark, left, top, box);
    return text;
  }

  function hide() {
    item = null;
    clearTimeout(resting);
    label.hidden = mark.hidden = true;
  }

  function under(event) {
    const frame = canvas.getBoundingClientRect();
    const size = measure();
    const at = [
      ((event.clientX - frame.left) * size.width) / frame.width,
      ((event.clientY - frame.top) * size.height) / frame.height,
    ];
    return { at, next: shown.hit(...at, size) };
  }

  function follow(event) {
    const { at, next } = under(event);
    if (next === null || next === undefined) {
      hide();
      return;
    }
    const fresh = next !== item;
    if (fresh) shown.point?.(next, 'pointer');
    const text = tell(next, { at });
    clearTimeout(resting);
    if (fresh) resting = setTimeout(() => { spoken.textContent = text; }, REST_MS);
  }

  function walk(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const all = shown.items();
    const order = typeof all === 'number' ? null : all;
    const count = order ? order.length : all;
    const to = stepOf(event.key, order ? order.indexOf(here()) : here(), count, shown.columns?.());
    if (to !== null && count) {
      const next = order ? order[to] : to;
      shown.point?.(next, 'keyboard'); // first: what is said may follow it
      spoken.textContent = tell(next, { framed: true });
    } else if ((event.key === 'Enter' || event.key === ' ') && shown.pick && item !== null) shown.pick(item);
    else if (event.key === 'Escape' && item !== null) hide();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  const here = () => item ?? shown.start?.() ?? -1;

  canvas.addEventListener('pointermove', follow);
  canvas.addEventListener('pointerdown', follow);
  canvas.addEventListener('pointerleave', hide);
  if (shown.pick) {
    canvas.classList.add('pick');
    canvas.addEventListener('click', (event) => {
      const { next } = under(event);
      if (next !== null && next !== undefined) shown.pick(next);
    });
  }
  if (keys) {
    canvas.tabIndex = 0;
    canvas.setAttribute('role', 'application');
    canvas.addEventListener('keydown', walk);
    canvas.addEventListener('blur', hide);
  }

  /** Saves the figure: "png" as it is on the screen, "svg" to be scaled, "csv" its numbers. */
  async function save(kind) {
    const name = shown.name().replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '').slice(0, 60);
    if (kind === 'csv') saveFile(`${name}.csv`, csvOf(shown.data()), 'text/csv');
    else if (kind === 'svg') saveFile(`${name}.svg`, svgOf(shown.draw, measure(), palette(canvas)), 'image/svg+xml');
    else saveFile(`${name}.png`, await new Promise((done) => { canvas.toBlob(done); }));
  }

  return {
    /** To be put after the canvas, in an element of class "attn-figure". */
    nodes: [mark, label, spoken],
    kinds: shown.data ? ['png', 'svg', 'csv'] : ['png', 'svg'],
    measure, draw, refresh, hide, save,
  };
}

function place(node, left, top, [x, y, width, height]) {
  Object.assign(node.style, {
    left: `${left + x}px`, top: `${top + y}px`, width: `${width}px`, height: `${height}px`,
  });
}

/** Where a key leads from place `at` of `count` (−1: nowhere yet), in rows of `columns`; null: it leads nowhere. */
export function stepOf(key, at, count, columns = 0) {
  const last = count - 1;
  const steps = {
    ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns || -1, ArrowUp: -columns || 1, PageDown: 10, PageUp: -10,
  };
  if (key === 'Home') return 0;
  if (key === 'End') return last;
  if (!(key in steps)) return null;
  if (at < 0) return 0;
  const to = at + steps[key];
  if (columns && (to < 0 || to > last)) return at;
  return Math.max(0, Math.min(last, to));
}
