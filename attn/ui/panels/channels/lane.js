// A lane: one mechanism from its formula to what it changed and what it costs.
import { compact, rSquared, readable } from '../../web/numbers.js';
import { h } from '../../web/reactive.js';
import { attentionMatrix, queryMap, sameAnswer } from './attention.js';
import { fitFigures, movedFigure, whereFigure, whichFigure } from './changes.js';
import { FORMULAS } from './formulas.js';
import { weightsFigure } from './weights.js';
import { known, t, titleOf } from './words.js';

/** The two lanes: the AttnBlock, and the mechanism chosen. */
export function lanes(panel) {
  return h('div', { class: 'lanes' }, ['left', 'right'].map((side) => {
    const left = side === 'left';
    const name = () => (left ? 'spatial' : panel.state.mechanism);
    const on = left ? [] : ['mechanism'];
    const onChannel = ['channel', ...on];
    const pair = (...figures) => h('div', { class: 'pair' }, figures);
    return h('article', { class: `lane ${side}`, 'data-lane': side },
      laneHead(panel, name, on),
      laneFormula(panel, name, on),
      left ? pair(attentionMatrix(panel), queryMap(panel)) : pair(weightsFigure(panel, name), sameAnswer(panel, name)),
      pair(whereFigure(panel, name, on), whichFigure(panel, name, onChannel)),
      pair(movedFigure(panel, name, onChannel), fitFigures(panel, name, on)),
      laneNumbers(panel, name, on));
  }));
}

/** The mechanism's name, where its weights come from, its paper, and what it compares with what. */
export function laneHead({ live, model }, name, on) {
  const mechanism = () => model.mechanisms[name()];
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
    h('h3', {}, live.live(on, () => titleOf(mechanism()), 'span'), badge, paper),
    live.live(on, () => t(`compares.${mechanism().kind}`, {
      positions: readable(rows * cols), rows, cols, channels: readable(channels),
      weights: readable(weights[mechanism().kind]),
    }), 'p', { class: 'compares' }));
}

/** Its formula, whose symbols light up the figures of the lane that show them, and what they mean. */
export function laneFormula({ live, model }, name, on) {
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
  live.when(on, () => { formula.innerHTML = FORMULAS[name()] ?? ''; });
  return h('div', {}, formula, live.live(on, () => (known(`symbols.${name()}`) ? t(`symbols.${name()}`, {
    positions: readable(rows * cols), rows, cols, channels: readable(model.facts.channels),
  }) : ''), 'p', { class: 'note' }));
}

/** Its numbers: how much it changed, whether queries differ, what scale and shift explain, and its cost. */
export function laneNumbers({ live, model }, name, on) {
  const mechanism = () => model.mechanisms[name()];
  const line = (key, text) => [
    live.live(on, () => t(`numbers.${key}`), 'dt'),
    live.live(on, text, 'dd', { 'data-number': key }),
  ];
  return h('dl', {},
    line('relative_change', () => readable(mechanism().relative_change)),
    line('specificity', () => {
      const [divergence, cosine] = mechanism().specificity;
      return t(mechanism().kind === 'spatial' ? 'numbers.specificity.value' : 'numbers.specificity.none',
        { divergence: readable(divergence), cosine: readable(cosine) });
    }),
    line('r2', () => t('numbers.r2.value', {
      y: rSquared(mechanism().median_r2), delta: rSquared(mechanism().median_delta_r2),
    })),
    line('effective_rank', () => t('numbers.effective_rank.value', {
      before: readable(model.facts.effective_rank), after: readable(mechanism().effective_rank),
    })),
    line('parameters', () => readable(mechanism().parameters)),
    line('multiply_adds', () => compact(mechanism().multiply_adds)),
    line('milliseconds', () => t('ms', { value: readable(mechanism().milliseconds) })));
}
