// What a mechanism changed: where, which channels, how one channel was moved, and whether scale and shift explain it;
// on one scale in all columns.
import { framed } from '../../web/frame.js';
import { mapFigure } from '../../web/grid.js';
import { barsFigure, histogramFigure } from '../../web/plots.js';
import { rSquared, readable } from '../../web/numbers.js';
import { extent, histogram } from '../../web/statistics.js';
import { h } from '../../web/reactive.js';
import { aroundZero, fromZero } from './choices.js';
import { cellText, t } from './words.js';

const FIT_BINS = 20;
const cellValue = ([row, col], value) => t('tip.cell', { at: cellText({ row, col }), value: readable(value) });

/** ‖Δ‖ at every position, over the photograph. */
export function whereFigure(panel, name) {
  const changes = (mechanism) => panel.model.arrays[`position_change_${mechanism}`];
  return framed(panel.live, mapFigure({
    grey: () => panel.photo.grey, grid: () => panel.model.facts.grid,
    values: () => changes(name()), scaleOf: () => fromZero('magma', panel.each(changes)), describe: cellValue,
  }), { on: ['columns'], ratio: panel.ratio(), bar: true, shows: 'y', title: () => t('where') });
}

/** ‖Δ‖ of every channel, as bars; a click chooses a channel. */
export function whichFigure(panel, name) {
  const normsOf = (mechanism) => panel.model.stat(mechanism, 'change_norm');
  const norms = () => normsOf(name());
  return framed(panel.live, barsFigure({
    values: norms, range: () => [0, extent(...panel.each(normsOf))[1]], chosen: () => panel.state.channel,
    x: () => t('axis.channel'), y: () => '‖Δ‖',
    describe: (channel, value) => t('tip.channel', { channel, value: `‖Δ‖ = ${readable(value)}` }),
    pick: (channel) => panel.setChannel(channel),
  }), {
    on: ['channel', 'columns'], onTitle: [], ratio: panel.ratio(), shows: 'y', title: () => t('which'),
    caption: () => t('which.note', { channel: panel.state.channel, norm: readable(norms()[panel.state.channel]) }),
  });
}

/** Δ of the chosen channel, over the photograph. */
export function movedFigure(panel, name) {
  const { model, state } = panel;
  return framed(panel.live, mapFigure({
    grey: () => panel.photo.grey, grid: () => model.facts.maps_grid,
    values: () => model.change(name(), state.channel), describe: cellValue,
    scaleOf: () => aroundZero(...panel.each((mechanism) => model.change(mechanism, state.channel))),
  }), {
    on: ['channel', 'columns'], onTitle: ['channel'], ratio: panel.ratio(), bar: true, shows: 'y',
    title: () => t('moved', { channel: state.channel }),
    caption: () => t('moved.note', {
      norm: readable(model.stat(name(), 'change_norm')[state.channel]),
      r2: rSquared(model.stat(name(), 'delta_r2')[state.channel]),
    }),
  });
}

/** R² of every channel's affine fit, of the output and of the change, as two histograms. */
export function fitFigures(panel, name) {
  const { model } = panel;
  const counts = (field) => (mechanism) => histogram(model.stat(mechanism, field), 0, 1, FIT_BINS);
  const one = (field, label) => framed(panel.live, histogramFigure({
    series: () => [counts(field)(name())], top: () => Math.max(...panel.each(counts(field)).flat()),
    range: () => [0, 1], strong: field === 'delta_r2', x: () => '', y: label,
    describe: (_, [low, high], [count]) =>
      t('tip.bin', { low: readable(low), high: readable(high), count: readable(count) }),
  }), {
    on: ['columns'], ratio: String(2 * Number(panel.ratio())), shows: 'y',
    title: field === 'delta_r2' ? label : () => t('fit'),
    ...(field === 'delta_r2' && { caption: note }),
  });
  function note() {
    const still = model.stat(name(), 'delta_r2').filter(Number.isNaN).length;
    const { median_r2: y, median_delta_r2: delta } = model.mechanisms[name()];
    return t('fit.note', { y: rSquared(y), delta: rSquared(delta) }) + (still ? ` ${t('fit.still', { still })}` : '');
  }
  return h('div', { class: 'stacked' }, one('affine_r2', () => t('fit.y')), one('delta_r2', () => t('fit.delta')));
}
