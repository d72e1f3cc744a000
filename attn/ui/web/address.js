// The address: what a link asks for, and what it holds of what is shown. Each panel tells its own part; the page around
// a window that is embedded keeps its address.

// In the order in which they stand in a link. `view` is the explorer's (see view.js).
const NAMES = [
  'example', 'stem', 'stage', 'detail', 'side', 'weights', 'position', 'seed', 'place', 'step', 'mechanism', 'channel',
  'columns', 'subject', 'sort', 'row', 'turn', 'shuffle', 'strength', 'sentence', 'order', 'view', 'lang',
];
// What belongs to one photograph.
const OF_PHOTOGRAPH = ['channel', 'row', 'shuffle', 'view'];

const listeners = new Set();
// Gradio's element in a page of somebody else's says where it has its content from; on the page's own it does not.
const host = typeof document !== 'undefined' ? document.querySelector('gradio-app[src], gradio-app[space]') : null;
let parts = read();
let own = !host && typeof location !== 'undefined' && !new URLSearchParams(location.search).has('embed');

/** Whether the document is the page's own, and not one of somebody else's that has the page in it. */
export const ownsDocument = () => !host;

function read() {
  if (host || typeof location === 'undefined') return {};
  const given = new URLSearchParams(location.search);
  return Object.fromEntries(NAMES.filter((name) => given.get(name)).map((name) => [name, given.get(name)]));
}

/** What the address asks for now: {name: text}, only what it names. */
export const asked = () => ({ ...parts });

/** Leaves the address alone from now on: it is another page's. */
export function leaveAddress() {
  own = false;
}

/** The query that stands for `some` parts, beside what of `search` is none of the page's own. */
export function queryOf(some, search = '') {
  const query = new URLSearchParams();
  for (const name of NAMES) if (some[name] !== undefined) query.set(name, some[name]);
  for (const [name, value] of new URLSearchParams(search)) if (!NAMES.includes(name)) query.set(name, value);
  return `${query}`.replaceAll('%7E', '~');
}

/** `before` with `changes` made: null and "" take a part out. */
export function changed(before, changes) {
  const after = { ...before };
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === '') delete after[name];
    else after[name] = String(value);
  }
  return after;
}

/**
 * Writes what is shown now into the address. `step: true` makes it a step that the browser's back leads away from.
 */
export function remember(changes, { step = false } = {}) {
  parts = changed(parts, changes);
  if (!own) return;
  const query = queryOf(parts, location.search);
  if (query === location.search.slice(1)) return;
  history[step ? 'pushState' : 'replaceState'](history.state, '', `${location.pathname}?${query}${location.hash}`);
  history.scrollRestoration = parts.step ? 'manual' : 'auto'; // a step of the story scrolls to its own place
}

/** Keeps with this step of the history what no address can hold; and what was kept with it. */
export function keep(things) {
  if (own) history.replaceState({ ...history.state, ...things }, '');
}
export const kept = (name) => history.state?.[name] ?? null;

/** The changes that take out what belonged to the last photograph. */
export const forgotten = () => Object.fromEntries(OF_PHOTOGRAPH.map((name) => [name, null]));

/** A link to what is shown. */
export function link() {
  const page = host?.getAttribute('src') ?? location.pathname;
  return `${new URL(page, location.href).href}?${queryOf(parts)}`;
}

/** Calls `listener(parts)` when the reader goes back or forward, until `element` has left the page. */
export function onAsked(element, listener) {
  const hear = (now) => (element.isConnected ? listener(now) : listeners.delete(hear));
  listeners.add(hear);
}

if (typeof window !== 'undefined') {
  window.addEventListener('popstate', () => {
    if (!own) return;
    parts = read();
    for (const listener of listeners) listener(asked());
  });
}
