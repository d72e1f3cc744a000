// What each mechanism costs: parameters, multiply-adds, time, and how they grow.
import { framed } from '../../web/frame.js';
import { compact, readable } from '../../web/numbers.js';
import { curvesFigure } from '../../web/plots.js';
import { h } from '../../web/reactive.js';
import { known, shortOf, t, titleOf } from './words.js';

const NAMES_PX = 62; // beside the curves

/** Multiply-adds over `by`: "positions" or "channels", a curve a mechanism, both axes logarithmic. */
export function costCurves(panel, by) {
  const { model, state } = panel;
  const { curves, grid, channels } = model.facts;
  const series = curves[`by_${by}`];
  const names = Object.keys(series).filter((name) => name in model.mechanisms);
  const x = () => t(`costs.${by}`);
  return framed(panel.live, curvesFigure({
    xs: () => curves[by],
    lines: () => names.map((name) => ({
      key: name, text: shortOf(model.mechanisms[name]), values: series[name],
      strong: state.columns.includes(name), accent: name === 'spatial',
    })),
    now: () => (by === 'positions' ? grid[0] * grid[1] : channels),
    log: true, room: NAMES_PX, x, y: () => t('numbers.multiply_adds'),
    describe: ({ text, values }, i) => t('tip.cost', {
      name: text, x: x(), at: readable(curves[by][i]), value: compact(values[i]),
    }),
  }), { on: ['columns'], ratio: '1.35', title: x });
}

/** The costs of every mechanism at the present size, as a table. */
export function costTable(panel) {
  const { live, model, state } = panel;
  const body = h('tbody', {}, Object.values(model.mechanisms).map((mechanism) => {
    const { name, parameters, multiply_adds: madds, milliseconds } = mechanism;
    const growth = known(`growth.${name}`) ? t(`growth.${name}`) : '–';
    const cells = [readable(parameters), compact(madds), t('ms', { value: readable(milliseconds) }), growth];
    const row = h('tr', {}, h('th', { scope: 'row' }, titleOf(mechanism)), cells.map((text) => h('td', {}, text)));
    live.when(['columns'], () => row.classList.toggle('chosen', state.columns.includes(name)));
    return row;
  }));
  const headings = [
    t('costs.mechanism'), t('numbers.parameters'), t('numbers.multiply_adds'), t('numbers.milliseconds'), t('costs.growth'),
  ];
  const head = h('thead', {}, h('tr', {}, headings.map((heading) => h('th', { scope: 'col' }, heading))));
  return h('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': t('costs') },
    h('table', { class: 'plain' }, head, body));
}

/** The section. */
export function costs(panel) {
  const { grid, channels } = panel.model.facts;
  return h('section', {}, h('h2', {}, t('costs')),
    h('p', {}, t('costs.note', { positions: readable(grid[0] * grid[1]), channels: readable(channels) })),
    h('div', { class: 'costs' }, costTable(panel), costCurves(panel, 'positions'), costCurves(panel, 'channels')));
}
