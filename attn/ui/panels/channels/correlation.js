// Correlation between channels, before and after, in an order that puts like by like.
import { drawRowMark } from '../../web/cell.js';
import { framed } from '../../web/frame.js';
import { matrixFigure } from '../../web/grid.js';
import { fixed, readable } from '../../web/numbers.js';
import { picture } from '../../web/picture.js';
import { h } from '../../web/reactive.js';
import { listed } from '../../web/texts.js';
import { shortOf, t } from './words.js';

const SCALE = { table: 'diverging', low: -1, high: 1 };
const UNDEFINED = 255;

/** One matrix: of the features where name() is null, else of the mechanism's output; a click chooses a channel. */
export function correlationFigure(panel, name, { title, on = [] }) {
  const { model, state } = panel;
  const order = Array.from(model.arrays.correlation_order);
  const side = Math.sqrt(model.arrays.correlation_features.length);
  const block = Math.ceil(order.length / side);
  const kept = {};
  const matrix = () => {
    const key = model.arrays[`correlation_${name()}`] ? name() : 'features'; // a gate changes no correlation
    kept[key] ??= matrixOf(model.arrays[`correlation_${key}`], side);
    return kept[key];
  };
  const channelAt = (place) => order[Math.min(order.length - 1, place * block)];
  const rank = () => (name() ? model.mechanisms[name()].effective_rank : model.facts.effective_rank);
  return framed(panel.live, matrixFigure({
    image: () => matrix().image, values: () => matrix().values, side: () => side, scale: SCALE,
    marks: (ctx, { width, height }) => drawRowMark(ctx, width, height, order.indexOf(state.channel), order.length),
    describe: ([row, col], value) => t('tip.correlation', {
      row: channelAt(row), col: channelAt(col), value: fixed(value, 2),
    }),
    start: () => [Math.floor(order.indexOf(state.channel) / block), 0],
    pick: ([row]) => panel.setChannel(channelAt(row)),
  }), {
    on: ['channel', ...on], onTitle: on, title, bar: true,
    caption: () => t('rank.note', {
      rank: readable(rank()), most: readable(model.mostPatterns),
    }),
  });
}

function matrixOf(codes, side) {
  const values = Float32Array.from(codes, (code) => (code === UNDEFINED ? NaN : (code - 127) / 127));
  return { values, image: picture(values, side, side, SCALE) };
}

/** The section: before, and after each column's mechanism. */
export function correlations(panel) {
  const { live, model, state } = panel;
  const shown = () => [...new Set(state.columns)].map((name) => model.mechanisms[name]);
  const said = (gates) => {
    const names = shown().filter(({ name }) => Boolean(model.gates(name)) === gates).map(shortOf);
    return names.length ? t(gates ? 'correlation.gate' : 'correlation.mixed', { name: listed(names) }) : '';
  };
  return h('section', {}, h('h2', {}, t('correlation')), h('p', {}, t('correlation.note')),
    h('div', { class: 'strip-of' },
      correlationFigure(panel, () => null, { title: () => t('before') }),
      state.columns.map((_, at) => correlationFigure(panel, () => state.columns[at], {
        on: [`column:${at}`],
        title: () => t('after.of', { name: shortOf(model.mechanisms[state.columns[at]]) }),
      }))),
    live.live(['columns'], () => said(true), 'p', { class: 'note' }),
    live.live(['columns'], () => said(false), 'p', { class: 'note' }));
}
