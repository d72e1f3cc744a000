// What each kind was measured to buy on photographs nobody learnt from, and what it does on this one.
import { framed } from '../../web/frame.js';
import { compact, fixed, rSquared, readable } from '../../web/numbers.js';
import { h } from '../../web/reactive.js';
import { rich } from '../../web/rich.js';
import { listed, sentences, t as text } from '../../web/texts.js';
import { forestFigure, forestHeight, settledBy } from './forest.js';
import { b, shortOf, t, titleOf } from './words.js';

const CHANCE = 0.5;
const POSITION = 'attn_position'; // the row that the others are compared with

const rowName = ({ mechanism }) => text(`story.row.${mechanism}`);

/** The mechanism of the page that a row measures; of rows that are none, null. */
export const mechanismOf = (row) => ({ attn: 'spatial', [POSITION]: 'spatial' }[row] ?? row);

/** The record of `measured` for this stage, detail and weights, or the nearest to them, or the first: its place. */
export function recordFor(measured, stage, detail, source) {
  const fitting = [
    (one) => [detail, ''].includes(one.detail) && one.weights === (source === 'tuned' ? 'tuned' : 'trained'),
    (one) => [detail, ''].includes(one.detail) && one.weights === 'trained',
    () => true,
  ];
  const places = fitting.map((fits) => measured.findIndex((one) => one.stage === stage && fits(one)));
  return places.find((place) => place >= 0) ?? 0;
}

/** The section; nothing where nothing was measured. */
export function buys(panel) {
  const { live, model, state } = panel;
  const { measured, stage, detail } = model.facts;
  if (!measured.length) return h('section', {}, h('h2', {}, b('buys')), h('p', {}, b('buys.missing')));
  if (!(state.measured in measured)) state.measured = recordFor(measured, stage, detail, model.mechanisms.spatial.source);
  const on = ['measured'];
  const record = () => measured[state.measured];
  const shown = (row) => state.columns.includes(mechanismOf(row.mechanism));
  const choose = (row) => {
    if (mechanismOf(row.mechanism) in model.mechanisms) panel.setColumn(state.subject, mechanismOf(row.mechanism));
  };
  const byValue = (rows) => [...rows].sort((one, other) => other.value - one.value);
  // What is tuned is compared with the same block that was only trained.
  const reference = () => {
    const name = rowName({ mechanism: POSITION });
    return record().weights === 'tuned' ? b('paired.trained', { name }) : name;
  };
  const rows = () => byValue(record().rows.map((row) => ({
    ...row, value: row.auc, costs: [row.parameters, row.multiply_adds],
  })));
  const differences = () => byValue(record().paired.map((row) => ({ ...row, value: row.difference })));
  const label = ({ stage: where, detail: how, weights }) => [
    where, how && text(`page.detail.${how}`), weights === 'tuned' && b('buys.tuned'),
  ].filter(Boolean).join(' · ');

  const forest = framed(live, forestFigure({
    rows, nameOf: rowName, strong: shown, line: () => CHANCE, x: () => b('buys.axis'), pick: choose,
    heads: () => [t('numbers.parameters'), t('numbers.multiply_adds')],
    describe: (row) => b('tip.buys', {
      name: rowName(row), auc: fixed(row.auc, 3), low: fixed(row.low, 3), high: fixed(row.high, 3),
      photographs: row.photographs, parameters: compact(row.parameters), madds: compact(row.multiply_adds),
    }),
  }), {
    on: ['columns', ...on], onTitle: on,
    title: () => b('buys.title', { photographs: rows()[0].photographs, side: record().longest_side }),
  });
  const paired = framed(live, forestFigure({
    rows: differences, nameOf: rowName, strong: shown, line: () => 0, x: () => b('paired.axis'), pick: choose,
    describe: (row) => b('tip.paired', {
      name: rowName(row), difference: fixed(row.difference, 3), low: fixed(row.low, 3), high: fixed(row.high, 3),
    }),
  }), { on: ['columns', ...on], onTitle: on, title: () => b('paired.title', { name: reference() }) });
  live.when(on, () => {
    paired.hidden = !record().paired.length;
    for (const [figure, count] of [[forest, rows().length], [paired, differences().length]]) {
      const canvas = figure.querySelector('canvas');
      canvas.style.cssText = `aspect-ratio: auto; max-width: none; height: ${forestHeight(count)}px`;
    }
  });

  function remark() {
    if (!record().paired.length) return b('paired.none');
    const { better, worse, open } = settledBy(record().paired);
    const of = (name) => (record().weights === 'tuned' ? b('paired.of', { name, weights: t('source.tuned') }) : name);
    const names = (list) => listed(list.map((mechanism) => of(rowName({ mechanism }))));
    const name = reference();
    return sentences(
      better.length && b('paired.better', { name, names: names(better) }),
      worse.length && b('paired.worse', { name, names: names(worse) }),
      open.length && b('paired.open', { name, names: names(open) }),
    );
  }

  return h('section', { class: 'buys' }, h('h2', {}, b('buys')),
    h('p', {}, b('buys.note')),
    measured.length > 1 ? h('div', { class: 'controls' }, live.choice(b('buys.choose'),
      measured.map((one, at) => ({ value: String(at), label: () => label(one) })),
      () => String(state.measured), (value) => {
        state.measured = Number(value);
        live.update('measured');
      }, on)) : null,
    h('div', { class: 'forests' }, forest, paired),
    live.live(on, remark, 'p', { class: 'remark' }),
    h('h3', {}, b('here')),
    h('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': b('here') }, hereTable(panel, record, on)));
}

// Every mechanism: measured, and on this photograph.
function hereTable({ live, model, state }, record, on) {
  const heads = [
    t('costs.mechanism'), b('buys.auc'), t('numbers.relative_change'), b('here.r2'), t('numbers.effective_rank'),
    t('numbers.parameters'), t('numbers.multiply_adds'),
  ];
  const auc = (name) => {
    const rows = record().rows.filter((row) => mechanismOf(row.mechanism) === name);
    return rows.map((row) => b('here.auc', {
      auc: fixed(row.auc, 3), low: fixed(row.low, 3), high: fixed(row.high, 3),
      which: rows.length > 1 ? rowName(row) : '',
    })).join('\n') || '–';
  };
  const body = h('tbody', {}, Object.values(model.mechanisms).map((mechanism) => {
    const { name } = mechanism;
    const row = h('tr', {}, h('th', { scope: 'row', title: titleOf(mechanism) }, shortOf(mechanism)),
      live.live(on, () => auc(name), 'td', { class: 'lines' }),
      [readable(mechanism.relative_change),
        b('here.r2.value', { y: rSquared(mechanism.median_r2), delta: rSquared(mechanism.median_delta_r2) }),
        `${readable(model.facts.effective_rank)} → ${readable(mechanism.effective_rank)}`,
        readable(mechanism.parameters), compact(mechanism.multiply_adds)].map((cell) => h('td', {}, cell)));
    live.when(['columns'], () => row.classList.toggle('chosen', state.columns.includes(name)));
    return row;
  }));
  return h('table', { class: 'plain' },
    h('thead', {}, h('tr', {}, heads.map((head) => h('th', { scope: 'col' }, rich(head))))), body);
}
