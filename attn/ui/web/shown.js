// What the page shows now, for every panel that shows it too: published once, heard by all, whoever comes first.
import { on } from './services.js';

const values = new Map();

/**
 * Tells what `name` is now; 'photograph': {image, rows, cols, stride, source, weights} as the explorer shows it, first
 * without `factors`, when the source knows one query alone, then with them.
 */
export function publish(name, value) {
  values.set(name, value);
  document.dispatchEvent(new CustomEvent(`attn:shown:${name}`, { detail: value }));
}

/** Calls `handler(value)` now, if there is one, and whenever there is another, until `element` has left the page. */
export function subscribe(element, name, handler) {
  on(element, `attn:shown:${name}`, handler);
  if (values.has(name)) handler(values.get(name));
}
