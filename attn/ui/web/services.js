// Panels talk through events on the document, so that each works alone and nobody knows who else is there:
//   attn:query {source, row, col, rows, cols}   attn:channel {source, channel}   attn:mechanism {source, name}
//   attn:state {source, state, view}: the view that a share link holds, as a text and as it is
//   attn:weighed {name, weights, heights}: what the channel mechanism shown weighs with, null while it is worked out
//   attn:story {step}: the story is to begin there; attn:story-built: it can
//   attn:answered: the server has answered what the page's script asked of it last
//   attn:awaited {on}: whether the address asks for another map than the one shown
import { language, onLanguage, setLanguage, t } from './texts.js';

const last = {}; // type → the latest detail

/** Tells every panel. */
export function emit(type, detail) {
  last[type] = detail;
  document.dispatchEvent(new CustomEvent(type, { detail }));
}

/** Hears what panels tell, until `element` has left the page. */
export function on(element, type, handler) {
  const listener = (event) => {
    if (element.isConnected) handler(event.detail);
    else document.removeEventListener(type, listener);
  };
  document.addEventListener(type, listener);
}

/** Calls `handler` after each change of language, until `element` has left the page. */
export function onSpoken(element, handler) {
  const stop = onLanguage((code) => (element.isConnected ? handler(code) : stop()));
}

/** What was told last: what opens later begins there. */
export const latest = (type) => last[type] ?? null;

/** A name for a panel among those that tell: the sender of an event knows its own. */
export const newSource = (name) => `${name}-${Math.random().toString(36).slice(2, 9)}`;

// For scripts of the page around, and for its tests.
if (typeof window !== 'undefined') {
  window.attn ??= {
    emit, latest, t,
    get lang() { return language(); },
    setLang: setLanguage,
  };
}
