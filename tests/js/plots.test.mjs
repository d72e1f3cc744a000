// What a plot asks for while it draws.
import assert from 'node:assert/strict';
import test from 'node:test';
import { histogramFigure } from '../../attn/ui/web/plots.js';

test('a histogram asks for its counts and its range once a drawing, whatever they cost', () => {
  const asked = { series: 0, range: 0 };
  const drawn = [];
  const context = new Proxy({}, {
    get: (kept, name) => kept[name] ?? ((...box) => {
      if (name === 'fillRect') drawn.push(box);
      return { width: 10 };
    }),
  });
  const figure = histogramFigure({
    series: () => { asked.series += 1; return [[0, 2, 1], [1, 1, 1]]; },
    range: () => { asked.range += 1; return [-1, 2]; },
    x: () => 'x', y: () => 'y', describe: (bin, ends, counts) => ({ bin, ends, counts }),
  });
  figure.draw(context, { width: 300, height: 200 }, {});
  assert.deepEqual(asked, { series: 1, range: 1 });
  assert.ok(drawn.length >= 3);
  assert.deepEqual(figure.describe(1), { bin: 1, ends: [0, 1], counts: [2, 1] });
  assert.deepEqual(figure.data().map(({ values }) => values), [[-1, 0, 1], [0, 1, 2], [0, 2, 1], [1, 1, 1]]);
});
