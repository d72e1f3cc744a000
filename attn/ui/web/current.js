// What is still computing must not describe the map above it: a panel made for another map says so until its own come.
import { emit, latest, on } from './services.js';
import { h } from './reactive.js';
import { t } from './texts.js';

/** Tells every panel which map is shown: the key of its encoding (`Encoding.key`; '' for none), and its photograph. */
export const tellMap = (key, image = null) => emit('attn:map', { key, image });

/** Whether the map shown is another than the one of `key`; never without a map, or for what has no key. */
export function isBehind(key) {
  const map = latest('attn:map');
  return Boolean(map?.key && key && map.key !== key);
}

/**
 * Marks `root` with data-stale while the map shown is another than that of keyOf(); call the returned function when
 * keyOf() has changed. Without any map on the page nothing is stale.
 */
export function markStale(root, keyOf) {
  const note = h('p', { class: 'attn-stale', role: 'status' });
  const check = () => {
    const stale = isBehind(keyOf());
    root.toggleAttribute('data-stale', stale);
    note.textContent = stale ? t('figure.computing') : '';
    if (stale && note.parentElement !== root) root.prepend(note);
    if (!stale) note.remove();
  };
  on(root, 'attn:map', check);
  return check;
}
