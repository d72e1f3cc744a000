// A column: one mechanism from its formula to what it changed and what it costs.
import { mathml } from '../../web/latex.js';
import { compact, rSquared, readable } from '../../web/numbers.js';
import { h } from '../../web/reactive.js';
import { fitFigures, movedFigure, whereFigure, whichFigure } from './changes.js';
import { FEWEST_COLUMNS, MOST_COLUMNS } from './linked.js';
import { answerFigure, weightsFigure } from './weights.js';
import { b, known, shortOf, t, titleOf } from './words.js';

// Letters of formulas that figures of the column show.
const SYMBOLS = { A: 'weights', B: 'weights', g: 'weights', x: 'x', y: 'y' };

/** The columns side by side, and a button for one more. */
export function columns(panel) {
  const { state } = panel;
  const more = h('button', { type: 'button', class: 'add', click: panel.addColumn }, b('column.add'));
  more.hidden = state.columns.length >= MOST_COLUMNS;
  return [
    h('div', {
      class: 'lanes', 'data-count': state.columns.length, style: `--columns:${state.columns.length}`,
      role: 'group', 'aria-label': b('columns'), tabindex: 0,
    }, state.columns.map((_, at) => column(panel, at))),
    more,
  ];
}

function column(panel, at) {
  const name = () => panel.state.columns[at];
  const on = [`column:${at}`];
  return h('article', { class: 'lane', 'data-column': at, 'aria-label': b('column', { number: at + 1 }) },
    columnHead(panel, at, name, on),
    columnFormula(panel, name, on),
    pair(weightsFigure(panel, name, on), answerFigure(panel, name, on)),
    pair(whereFigure(panel, name), whichFigure(panel, name)),
    pair(movedFigure(panel, name), fitFigures(panel, name)),
    columnNumbers(panel, name, on));
}

const pair = (...figures) => h('div', { class: 'pair' }, figures);

/** Which mechanism, where its weights come from, its paper, and what it compares with what. */
export function columnHead(panel, at, name, on) {
  const { live, model, state } = panel;
  const mechanism = () => model.mechanisms[name()];
  const select = h('select', {
    'aria-label': b('column.mechanism', { number: at + 1 }), change: () => panel.setColumn(at, select.value),
  }, Object.values(model.mechanisms).map((one) => h('option', { value: one.name, title: titleOf(one) }, (state.columns.length > 2 ? shortOf : titleOf)(one))));
  live.when(on, () => { select.value = name(); });
  const remove = h('button', {
    type: 'button', class: 'remove', 'aria-label': b('column.remove', { name: shortOf(mechanism()) }),
    title: b('column.remove', { name: shortOf(mechanism()) }), click: () => panel.removeColumn(at),
  }, '×');
  remove.hidden = state.columns.length <= FEWEST_COLUMNS;
  const badge = live.live(on, () => {
    const { source, seed } = mechanism();
    return source === 'random' ? t('source.random', { seed }) : t(`source.${source}`);
  }, 'span', { class: 'badge' });
  const paper = h('a', { target: '_blank', rel: 'noopener' });
  live.when(on, () => {
    badge.dataset.source = mechanism().source;
    badge.title = t(`source.${mechanism().source}.note`);
    paper.hidden = !mechanism().paper;
    paper.href = mechanism().paper;
    paper.textContent = t('paper');
  });
  const [rows, cols] = model.facts.grid;
  const { channels } = model.facts;
  const weights = { spatial: (rows * cols) ** 2, gate: channels, channel_map: channels ** 2, spatial_gate: rows * cols };
  return h('header', {},
    h('div', { class: 'choose' }, select, remove),
    h('p', { class: 'from' }, badge, ' ', paper),
    live.live(on, () => t(`compares.${mechanism().kind}`, {
      positions: readable(rows * cols), rows, cols, channels: readable(channels),
      weights: readable(weights[mechanism().kind]),
    }), 'p', { class: 'compares' }));
}

/** Its formula, whose symbols light up the figures of the column that show them, and what they mean. */
export function columnFormula({ live, model }, name, on) {
  const [rows, cols] = model.facts.grid;
  const formula = h('div', { class: 'formula' });
  const light = (event, lit) => {
    const symbol = event.target.closest?.('[data-symbol]')?.dataset.symbol;
    if (!symbol) return;
    for (const shown of formula.closest('.lane').querySelectorAll('[data-shows]')) {
      shown.classList.toggle('lit', lit && shown.dataset.shows === symbol);
    }
  };
  formula.addEventListener('pointerover', (event) => light(event, true));
  formula.addEventListener('pointerout', (event) => light(event, false));
  live.when(on, () => { formula.innerHTML = model.mechanisms[name()].formula.map((line) => mathml(line, SYMBOLS)).join(''); });
  return h('div', {}, formula, live.live(on, () => (known(`symbols.${name()}`) ? t(`symbols.${name()}`, {
    positions: readable(rows * cols), rows, cols, channels: readable(model.facts.channels),
  }) : ''), 'p', { class: 'note' }));
}

/** Its numbers: how much it changed, whether queries differ, what scale and shift explain, and its cost. */
export function columnNumbers({ live, model }, name, on) {
  const mechanism = () => model.mechanisms[name()];
  const line = (key, text) => [
    live.live(on, () => t(`numbers.${key}`), 'dt'),
    live.live(on, text, 'dd', { 'data-number': key }),
  ];
  return h('dl', {},
    line('relative_change', () => readable(mechanism().relative_change)),
    line('specificity', () => {
      const [divergence] = mechanism().specificity;
      return t(mechanism().kind === 'spatial' ? 'numbers.specificity.value' : 'numbers.specificity.none',
        { divergence: readable(divergence) });
    }),
    line('r2', () => t('numbers.r2.value', {
      y: rSquared(mechanism().median_r2), delta: rSquared(mechanism().median_delta_r2),
    })),
    line('effective_rank', () => t('numbers.effective_rank.value', {
      before: readable(model.facts.effective_rank), after: readable(mechanism().effective_rank),
      most: readable(model.mostPatterns),
    })),
    line('parameters', () => readable(mechanism().parameters)),
    line('multiply_adds', () => compact(mechanism().multiply_adds)),
    line('milliseconds', () => t('ms', { value: readable(mechanism().milliseconds) })));
}
