// The table of channels: every statistic before and after, sorted by any, with only the rows in sight in the document.
import { csvOf, rSquared, readable, signedPercent } from '../../web/numbers.js';
import { h } from '../../web/reactive.js';
import { saveFile } from '../../web/save.js';
import { sortedOrder } from '../../web/statistics.js';
import { STATISTICS } from './choices.js';
import { SORT } from './linked.js';
import { statisticText, t } from './words.js';

const ROW_PX = 28;
const FITS = ['affine_a', 'affine_b', 'affine_r2', 'delta_a', 'delta_b', 'delta_r2'];
const GROUPS = ['channel', 'change_norm', 'gate', ...STATISTICS, 'importance_shift', 'affine', 'delta'];
const JUMPS = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };

/** Every column of the table for the mechanism `name`: [{key, values}], a value for each channel. */
export function columnsOf(model, name) {
  const stat = (field) => ({ key: field, values: model.stat(name, field) });
  const all = Array.from({ length: model.facts.channels }, (_, i) => i);
  return [
    { key: 'channel', values: all },
    stat('change_norm'),
    { key: 'gate', values: model.gates(name) ?? new Float32Array(all.length).fill(NaN) },
    ...STATISTICS.flatMap((s) => [stat(`${s}_before`), stat(`${s}_after`)]),
    stat('importance_shift'),
    ...FITS.map(stat),
  ];
}

function valueText(key, value) {
  if (key === 'importance_shift') return signedPercent(value);
  return key.endsWith('r2') ? rSquared(value) : statisticText(key, value);
}

/** The table of the mechanism that panel.subject() names, with a button for its CSV file. */
export function channelTable(panel) {
  const { model, state, live } = panel;
  const rowId = `channels-row-${Math.random().toString(36).slice(2)}-`;
  let shown = columnsOf(model, panel.subject());
  if (!shown.some(({ key }) => key === state.sort.key)) state.sort = { ...SORT }; // a link may name anything
  let order = [];
  const body = h('tbody');
  const grid = h('table', { role: 'grid', tabindex: 0, 'aria-rowcount': model.facts.channels + 2 },
    h('caption', { class: 'unseen' }, t('table.caption')), heading(shown, sortBy), body);
  const box = h('div', { class: 'scroll' }, grid);

  function sortBy(key) {
    const same = state.sort.key === key;
    panel.setSort({ key, descending: same ? !state.sort.descending : key !== 'channel' });
    arrange();
  }

  function arrange() {
    shown = columnsOf(model, panel.subject());
    const by = shown.find((column) => column.key === state.sort.key);
    order = sortedOrder(by.values, state.sort.descending);
    for (const th of grid.querySelectorAll('th[data-key]')) {
      const active = th.dataset.key === state.sort.key;
      th.setAttribute('aria-sort', active ? (state.sort.descending ? 'descending' : 'ascending') : 'none');
    }
    rows();
  }

  // Only the rows in sight exist: thousands of channels must not cost thousands of table rows.
  function rows() {
    const first = Math.max(0, Math.floor(box.scrollTop / ROW_PX) - 4);
    const last = Math.min(order.length, first + Math.ceil((box.clientHeight || 400) / ROW_PX) + 8);
    const gap = (count) => h('tr', { class: 'gap', 'aria-hidden': 'true', style: `height:${count * ROW_PX}px` });
    body.replaceChildren(gap(first), ...order.slice(first, last).map((channel, i) => h('tr', {
      id: rowId + channel, 'data-channel': channel, 'aria-rowindex': first + i + 3,
      'aria-selected': String(channel === state.channel), click: () => panel.setChannel(channel),
    }, shown.map(({ key, values }) => (key === 'channel'
      ? h('th', { scope: 'row' }, h('small', {}, `${first + i + 1}.`), ` #${channel}`)
      : h('td', {}, valueText(key, values[channel])))))), gap(order.length - last));
    markActive();
  }

  // A row that is out of sight is none.
  function markActive() {
    const id = rowId + state.channel;
    if (body.querySelector(`#${id}`)) grid.setAttribute('aria-activedescendant', id);
    else grid.removeAttribute('aria-activedescendant');
  }

  function reveal(rank) {
    const top = rank * ROW_PX;
    const room = box.clientHeight - grid.tHead.offsetHeight - ROW_PX;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top > box.scrollTop + room) box.scrollTop = top - room;
  }

  box.addEventListener('keydown', (event) => {
    if (!(event.key in JUMPS) || event.target.tagName === 'BUTTON') return;
    event.preventDefault();
    const rank = order.indexOf(state.channel) + JUMPS[event.key];
    const next = Math.max(0, Math.min(order.length - 1, rank));
    panel.setChannel(order[next]);
    reveal(next);
  });
  box.addEventListener('scroll', rows, { passive: true });
  live.when(['columns', 'subject'], arrange);
  live.when(['channel'], () => {
    for (const row of body.rows) row.setAttribute('aria-selected', row.dataset.channel === String(state.channel));
    markActive();
  });
  const save = () =>
    saveFile(`channels-${panel.subject()}.csv`, csvOf(columnsOf(model, panel.subject()), order), 'text/csv');
  return h('div', { class: 'table' }, box, h('button', { type: 'button', class: 'csv', click: save }, t('csv')));
}

// Two rows of headings: what has several parts (before and after; a, b and R²) spans them.
function heading(shown, sortBy) {
  const keys = new Set(shown.map(({ key }) => key));
  const one = (key, label, group, attributes) => h('th', { scope: 'col', 'data-key': key, ...attributes },
    h('button', { type: 'button', click: () => sortBy(key), title: t(`column.${group}.note`) },
      h('span', {}, label), h('i', { 'aria-hidden': 'true' })));
  const top = [];
  const second = [];
  for (const group of GROUPS) {
    const parts = ['before', 'after', 'a', 'b', 'r2'].filter((part) => keys.has(`${group}_${part}`));
    if (!parts.length) top.push(one(group, t(`column.${group}`), group, { rowspan: 2 }));
    else {
      const about = t(`column.${group}.note`);
      top.push(h('th', { colspan: parts.length, scope: 'colgroup', title: about }, t(`column.${group}`)));
      second.push(...parts.map((part) => one(`${group}_${part}`, t(part), group)));
    }
  }
  return h('thead', {}, h('tr', {}, top), h('tr', {}, second));
}
