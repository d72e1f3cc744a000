// What a mechanism weighs and what it answers at the pointer, whatever its kind: attention between positions, gates, a
// channel map, gates for positions, or nothing that can be seen.
import { framed } from '../../web/frame.js';
import { mapFigure } from '../../web/grid.js';
import { readable } from '../../web/numbers.js';
import { h } from '../../web/reactive.js';
import { attentionMatrix, queryMap, sameAnswer } from './attention.js';
import { channelMapFigure } from './channelmap.js';
import { gatesFigure } from './gates.js';
import { b, cellText, t } from './words.js';

const WEIGHTS = {
  attention: attentionMatrix,
  gates: gatesFigure,
  map: channelMapFigure,
  positions: positionGates,
  none: () => h('p', { class: 'note' }, t('weights.none')),
};
const ANSWERS = {
  query: queryMap,
  same: sameAnswer,
  none: () => h('p', { class: 'note' }, b('answer.unknown')),
};

/** Which figure shows the weights of the mechanism `name`. */
export function weightsKind(model, name) {
  if (model.gates(name)) return 'gates';
  if (model.arrays[`position_gates_${name}`]) return 'positions';
  if (model.arrays[`${model.attentionArray(name)}_low`] && model.mechanisms[name].kind === 'spatial') return 'attention';
  return model.arrays[`map_${name}`] ? 'map' : 'none';
}

/** Which figure shows its answer at the pointer. */
export function answerKind(model, name) {
  if (model.mechanisms[name].kind !== 'spatial') return 'same';
  return model.hasRows(name) ? 'query' : 'none';
}

/** The figure of the weights of the mechanism name(), another one when its kind is another. */
export const weightsFigure = (panel, name, on) => switching(panel, WEIGHTS, weightsKind, name, on);

/** What the mechanism name() answers where the pointer is. */
export const answerFigure = (panel, name, on) => switching(panel, ANSWERS, answerKind, name, on);

// One figure a kind, of which one is in the page: while it is away it keeps the last mechanism of its kind.
function switching(panel, figures, kindOf, name, on) {
  const { model, live } = panel;
  const slot = h('div', { class: 'slot' });
  const last = {};
  for (const each of Object.keys(model.mechanisms)) last[kindOf(model, each)] ??= each;
  const nameOf = (kind) => {
    if (kindOf(model, name()) === kind) last[kind] = name();
    return last[kind];
  };
  const made = Object.fromEntries(Object.keys(last).map((kind) => [kind, figures[kind](panel, () => nameOf(kind), on)]));
  live.when(on, () => {
    const shown = made[kindOf(model, name())];
    if (slot.firstChild !== shown) slot.replaceChildren(shown);
  });
  return slot;
}

/** One number a position, over the photograph. */
function positionGates(panel, name, on) {
  return framed(panel.live, mapFigure({
    grey: () => panel.photo.grey, grid: () => panel.model.facts.grid,
    values: () => panel.model.arrays[`position_gates_${name()}`],
    scaleOf: () => ({ table: 'viridis', low: 0, high: 1 }),
    describe: ([row, col], value) => t('tip.cell', { at: cellText({ row, col }), value: readable(value) }),
  }), { on, ratio: panel.ratio(), bar: true, shows: 'weights', title: () => b('positions') });
}
