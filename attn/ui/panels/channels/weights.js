// What a mechanism weighs, whatever its kind: gates, a channel map, or nothing that can be seen.
import { h } from '../../web/reactive.js';
import { channelMapFigure } from './channelmap.js';
import { gatesFigure } from './gates.js';
import { t } from './words.js';

const FIGURES = { gates: gatesFigure, map: channelMapFigure };

/** Which figure shows the weights of the mechanism `name`: gates, map, or none. */
export function weightsKind(model, name) {
  if (model.gates(name)) return 'gates';
  return model.arrays[`map_${name}`] ? 'map' : 'none';
}

/** The figure of the weights of the mechanism name(), another one when its kind is another. */
export function weightsFigure(panel, name, on = ['mechanism']) {
  const { model, live } = panel;
  const slot = h('div', { class: 'slot' });
  const last = {}; // kind → the mechanism its figure shows: while it is away it keeps the last of its kind
  for (const each of Object.keys(model.mechanisms)) last[weightsKind(model, each)] ??= each;
  const nameOf = (kind) => {
    if (weightsKind(model, name()) === kind) last[kind] = name();
    return last[kind];
  };
  const made = { none: h('p', { class: 'note' }, t('weights.none')) };
  for (const kind of Object.keys(last).filter((each) => each in FIGURES)) {
    made[kind] = FIGURES[kind](panel, () => nameOf(kind), ['channel', ...on]);
  }
  live.when(on, () => slot.replaceChildren(made[weightsKind(model, name())]));
  return slot;
}
