// How attention changes with the strength of the encoding: two curves, with uniform attention beside each.
import { makeFigure } from '../../web/figure.js';
import { saving } from '../../web/frame.js';
import { fixed } from '../../web/numbers.js';
import { curvesFigure } from '../../web/plots.js';
import { t } from '../../web/texts.js';

/** Makes the figure in `node` (data-chart: entropy or distance). lab: shown, strength(), setStrength(s). */
export function strengthChart(node, lab) {
  const { chart } = node.dataset;
  const values = () => lab.shown.facts[chart === 'entropy' ? 'entropy' : 'distance_px'];
  const uniform = () => (chart === 'entropy' ? 1 : lab.shown.facts.uniform_distance_px);
  const strengths = () => lab.shown.facts.strengths;
  const digits = chart === 'entropy' ? 2 : 0;
  const at = () => strengths().findIndex((s) => Math.abs(s - lab.strength()) < 0.05);
  const sentence = (i) => t(`lab.chart.${chart}.value`, {
    value: fixed(values()[i], digits), none: fixed(values()[0], digits), uniform: fixed(uniform(), digits),
  });
  const canvas = node.querySelector('canvas');
  const figure = makeFigure(canvas, curvesFigure({
    name: () => `${t(`lab.chart.${chart}`)}: ${sentence(at())}`,
    xs: strengths,
    lines: () => [
      { text: t(`lab.chart.${chart}`), values: values(), strong: true, accent: true },
      { text: t('lab.uniform'), values: strengths().map(uniform), dash: [4, 4] },
    ],
    chosen: at,
    range: () => [0, 1.08 * Math.max(uniform(), ...values())],
    x: () => t('lab.strength'), y: () => '',
    describe: ({ text, values: shown }, i) => `${text}, × ${fixed(strengths()[i], 1)}: ${fixed(shown[i], digits)}`,
    pick: (item) => lab.setStrength(strengths()[item % strengths().length]),
  }));
  node.classList.add('attn-figure');
  canvas.after(...figure.nodes);
  node.append(saving(figure, () => t(`lab.chart.${chart}`)));
  return {
    draw() {
      figure.draw();
      node.querySelector('p').textContent = sentence(at());
      node.dataset.value = values()[at()];
    },
  };
}
