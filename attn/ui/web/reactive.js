// Small reactive helpers: pieces of a panel say what they depend on, and are written anew when it changes.
import { rich } from './rich.js';
import { pause } from './slices.js';

const DRAWING_MS = 24;

/** An element with attributes (functions are listeners, true an empty attribute) and children. */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === 'function') node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

/** What belongs together: its pieces, and what of it has changed. */
export function reactive() {
  let pieces = []; // {on: names, write} or {on: names, picture: {measure, draw}}
  const changed = new Set();
  const waiting = new Set(); // pictures to be drawn
  let frame = 0;

  const when = (on, write) => { pieces.push({ on, write }); };
  const picture = (on, it) => { pieces.push({ on, picture: it }); };

  /**
   * All words, then the pictures, a few milliseconds of them a frame: a panel has dozens. Resolves when all are drawn.
   * Sizes are asked for together, for asking between two changes lays out the page anew.
   */
  async function flush() {
    cancelAnimationFrame(frame);
    const due = pieces.filter(({ on }) => changed.has('all') || on.some((name) => changed.has(name)));
    changed.clear();
    const since = performance.now();
    for (const { write } of due) write?.();
    if (performance.now() - since > DRAWING_MS) await pause(); // a whole panel's words are a task of their own
    const pictures = due.filter((piece) => piece.picture);
    pictures.forEach((piece) => waiting.add(piece.picture));
    await drawn();
  }

  async function drawn() {
    while (waiting.size) {
      const some = [...waiting];
      const sizes = some.map((one) => one.measure());
      const until = performance.now() + DRAWING_MS;
      for (let i = 0; i < some.length && (i === 0 || performance.now() < until); i++) {
        waiting.delete(some[i]);
        some[i].draw(sizes[i]);
      }
      if (waiting.size) await new Promise((done) => { requestAnimationFrame(done); });
    }
  }

  /** Notes what changed; it is shown with the next frame, once, however often it changed until then. */
  function update(...names) {
    names.forEach((name) => changed.add(name));
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(flush);
  }

  /** Forgets all pieces: the panel is built anew. */
  function clear() {
    cancelAnimationFrame(frame);
    pieces = [];
    changed.clear();
    waiting.clear();
  }

  /** A piece of text that is written anew whenever one of `on` changes. */
  function live(on, text, tag = 'p', attributes = {}) {
    const node = h(tag, attributes);
    when(on, () => { node.replaceChildren(...rich(text())); });
    return node;
  }

  /** A row of radio buttons: `options` [{value, label()}] read and written through get and set. */
  function choice(legend, options, get, set, on) {
    const group = `choice-${Math.random().toString(36).slice(2)}`;
    const inputs = options.map(({ value }) =>
      h('input', { type: 'radio', name: group, value, change: () => set(value) }));
    when(on, () => inputs.forEach((input) => { input.checked = input.value === get(); }));
    return h('fieldset', { class: 'choice' }, h('legend', {}, legend), h('div', {},
      options.map(({ label }, i) => h('label', {}, inputs[i], live(on, label, 'span')))));
  }

  return { when, picture, flush, update, clear, live, choice };
}
