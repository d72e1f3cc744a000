// A sentence as cells, one a token: its text, a bar and a number, shaded by the attention it gets.
import { rough } from '../../web/numbers.js';
import { h } from '../../web/reactive.js';
import { t } from '../../web/texts.js';

const FULL_SHADE = 10; // × uniform

/** Weights as "5.4×". */
export const times = (value) => `${rough(value)}×`;

/** Places of the largest values, largest first; equal ones in order. */
export function largest(values, count) {
  return [...values.keys()].sort((a, b) => values[b] - values[a] || a - b).slice(0, count);
}

/** The cells of a lane, as typed and shuffled; only the first lane's typed ones can be walked. */
export function buildTokens(lanes, { tokens, order }) {
  for (const [name, lane] of Object.entries(lanes)) {
    for (const [view, places] of [['attention', tokens.map((_, i) => i)], ['shuffled', order]]) {
      const walked = name === 'without' && view === 'attention';
      const list = lane.querySelector(`[data-view="${view}"]`);
      list.replaceChildren(...places.map((original) =>
        h(walked ? 'button' : 'span', { type: walked && 'button', class: 'at-token', 'data-token': original },
          h('b', {}, tokens[original]), h('i'), h('small'))));
      if (!walked) continue;
      list.setAttribute('role', 'toolbar');
      list.setAttribute('aria-label', t('text_lane.tokens'));
    }
  }
}

/** Shows the attention of the token at place `token` in every lane. */
export function fillTokens(lanes, shown, token) {
  const count = shown.tokens.length;
  for (const [name, lane] of Object.entries(lanes)) {
    for (const view of ['attention', 'shuffled']) {
      const place = view === 'attention' ? token : shown.order.indexOf(token);
      const row = shown[name][view][place].map((weight) => weight * count);
      lane.querySelectorAll(`[data-view="${view}"] .at-token`).forEach((cell, j) => {
        cell.style.setProperty('--shade', Math.min(1, row[j] / FULL_SHADE));
        cell.dataset.times = row[j];
        cell.classList.toggle('at-chosen', j === place);
        cell.lastChild.textContent = times(row[j]);
        if (cell.tagName !== 'BUTTON') return;
        cell.tabIndex = j === token ? 0 : -1;
        cell.setAttribute('aria-pressed', j === token);
      });
    }
  }
}
