// Who notices the shuffle: each mechanism's error after its output is put back in order.
import { readable } from '../../web/numbers.js';
import { h } from '../../web/reactive.js';
import { t } from '../../web/texts.js';

/** The rows for `mechanisms` (facts.mechanisms); `labels` are the columns' headings, for narrow screens. */
export function errorRows(mechanisms, labels) {
  return mechanisms.map(({ name, kind, same, title, change_error: change, weights_error: weights }) => {
    const key = `lab.mechanism.${name}`;
    const verdict = change === null ? 'lab.verdict.nothing' : `lab.verdict.${kind}.${same ? 'same' : 'different'}`;
    const cells = [readable(change, 2), readable(weights, 2), t(verdict)];
    return h('tr', { 'data-mechanism': name, 'data-same': String(same) },
      h('th', { scope: 'row' }, t(key) === key ? title ?? name : t(key)),
      cells.map((text, i) => h('td', { 'data-label': labels[i + 1] }, text)));
  });
}
