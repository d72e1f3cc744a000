// The chosen channel: its map before and after, what changed, its values and what the photograph shows there.
import { drawCell, drawCellLabel } from '../../web/cell.js';
import { framed } from '../../web/frame.js';
import { mapFigure } from '../../web/grid.js';
import { rSquared, readable } from '../../web/numbers.js';
import { dotsFigure, histogramFigure } from '../../web/plots.js';
import { h } from '../../web/reactive.js';
import { extent, histogram } from '../../web/statistics.js';
import { aroundZero } from './choices.js';
import { crops, topPlaces } from './crops.js';
import { cellText, t } from './words.js';

const ON = ['channel', 'columns', 'subject'];
const BINS = 30;

/** All of it, for the mechanism that panel.subject() names. */
export function chosenChannel(panel) {
  return h('div', { class: 'chosen' },
    h('div', { class: 'triple' },
      channelMap(panel, 'before'), channelMap(panel, 'after'), channelMap(panel, 'change')),
    h('div', { class: 'triple' }, crops(panel), valueDots(panel), valueHistogram(panel)));
}

function both({ model, state, subject }) {
  const before = model.before(state.channel);
  const after = model.after(subject(), state.channel);
  return { before, after, range: extent(before, after) };
}

/** One channel's map over the photograph: `which` is before, after (on the same scale) or change. */
export function channelMap(panel, which) {
  const { model, state } = panel;
  const grid = () => model.facts.maps_grid;
  const places = (ctx, { width, height }) => topPlaces(panel).forEach(({ row, col }, i) => {
    drawCellLabel(ctx, width, height, drawCell(ctx, width, height, grid(), [row, col]), String(i + 1));
  });
  const scaleOf = (values) => {
    if (which === 'change') return aroundZero(values);
    const [low, high] = both(panel).range;
    return { table: 'viridis', low, high };
  };
  return framed(panel.live, mapFigure({
    grey: () => panel.photo.grey, grid, scaleOf,
    values: () => (which === 'change' ? model.change(panel.subject(), state.channel) : both(panel)[which]),
    marks: which === 'before' ? places : undefined,
    describe: ([row, col], value) => t('tip.cell', { at: cellText({ row, col }), value: readable(value) }),
  }), {
    on: ON, ratio: panel.ratio(), bar: true, shows: which === 'before' ? 'x' : 'y',
    title: () => t(`channel.${which}`),
  });
}

/** The channel's values after against before, a dot a position, and the line that fits them. */
export function valueDots(panel) {
  const { model, state } = panel;
  const fit = () => ['a', 'b', 'r2'].map((part) => model.stat(panel.subject(), `affine_${part}`)[state.channel]);
  const cols = model.facts.maps_grid[1];
  return framed(panel.live, dotsFigure({
    xs: () => both(panel).before, ys: () => both(panel).after, alpha: 0.4,
    lines: () => {
      const [a, b] = fit();
      if (!Number.isFinite(a)) return [];
      const [from, to] = extent(both(panel).before).map((x) => [x, a * x + b]);
      return [{ from, to, strong: true }];
    },
    x: () => t('before'), y: () => t('after'),
    describe: (item) => {
      const { before, after } = both(panel);
      return t('tip.dot', {
        at: cellText({ row: Math.floor(item / cols), col: item % cols }),
        before: readable(before[item]), after: readable(after[item]),
      });
    },
  }), {
    on: ON, ratio: '1.1', title: () => t('scatter'),
    caption: () => {
      const [a, b, r2] = fit();
      return t('scatter.note', {
        a: readable(a), b: readable(b), r2: rSquared(r2),
        delta: rSquared(model.stat(panel.subject(), 'delta_r2')[state.channel]),
      });
    },
  });
}

/** How often the channel has which value, before (filled) and after (a line). */
export function valueHistogram(panel) {
  const { model, state } = panel;
  return framed(panel.live, histogramFigure({
    series: () => {
      const { before, after, range } = both(panel);
      return [before, after].map((values) => histogram(values, ...range, BINS));
    },
    range: () => both(panel).range,
    x: () => t('histogram.x'), y: () => t('histogram.y'),
    describe: (_, [low, high], [before, after]) => t('tip.values', {
      low: readable(low), high: readable(high), before: readable(before), after: readable(after),
    }),
  }), {
    on: ON, ratio: '1.1', title: () => t('histogram'),
    caption: () => {
      const stat = (field) => readable(model.stat(panel.subject(), field)[state.channel]);
      return t('histogram.note', {
        mean: stat('mean_before'), std: stat('std_before'), mean2: stat('mean_after'), std2: stat('std_after'),
      });
    },
  });
}
