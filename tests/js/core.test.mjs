// The pure parts of attn/ui/common.js under `node --test`; run by tests/test_explorer.py.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

const source = readFileSync(new URL('../../attn/ui/common.js', import.meta.url), 'utf8');
const core = new Function(`${source}; return attnCore;`)();

const near = (actual, expected, tolerance = 1e-6) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `expected ${expected} ± ${tolerance}, got ${actual}`);
const allNear = (actual, expected, tolerance) => {
  assert.equal(actual.length, expected.length);
  actual.forEach((value, j) => near(value, expected[j], tolerance));
};

test('arrays are views at their offsets', () => {
  const buffer = new ArrayBuffer(12);
  new Uint16Array(buffer, 0, 2).set([7, 65535]);
  new Float32Array(buffer, 4, 2).set([0.5, -2]);
  const { steps, scale } = core.unpack(buffer, {
    steps: { dtype: 'u16', shape: [1, 2], offset: 0 },
    scale: { dtype: 'f32', shape: [2], offset: 4 },
  });
  assert.deepEqual([...steps], [7, 65535]);
  assert.deepEqual([...scale], [0.5, -2]);
});

test('a table gives rows and columns of the same logits', () => {
  const table = core.logitsFromTable(Uint16Array.of(0, 10, 4, 0), Float32Array.of(0.5, 0.25));
  allNear([...table.row(0, new Float32Array(2))], [0, -5]);
  allNear([...table.column(0, new Float32Array(2))], [0, -1]);
});

test('factors give rows and columns of queries times keys, any number of channels', () => {
  for (const channels of [1, 4, 6]) {
    const q = Int16Array.from({ length: 3 * channels }, (_, k) => (k % 5) - 2);
    const k = Int16Array.from({ length: 3 * channels }, (_, j) => (j % 3) - 1);
    const product = (i, j) => {
      let sum = 0;
      for (let c = 0; c < channels; c++) sum += q[i * channels + c] * 2 * k[j * channels + c] * 0.5;
      return sum;
    };
    const factors = core.logitsFromFactors(q, Float32Array.of(2, 2, 2), k, Float32Array.of(0.5, 0.5, 0.5));
    allNear([...factors.row(1, new Float32Array(3))], [0, 1, 2].map((j) => product(1, j)));
    allNear([...factors.column(2, new Float32Array(3))], [0, 1, 2].map((i) => product(i, 2)));
  }
});

test('softmax by hand, and its temperature', () => {
  const out = new Float32Array(2);
  near(core.softmax(Float32Array.of(0, Math.log(3)), 1, out), Math.log(4));
  allNear([...out], [0.25, 0.75]);
  core.softmax(Float32Array.of(0, Math.log(9)), 2, out); // square root of the odds
  allNear([...out], [0.25, 0.75]);
  core.softmax(Float32Array.of(-5000, -5000), 0.25, out);
  allNear([...out], [0.5, 0.5]);
});

test('the pass over all queries gives the mean map and what columns need', () => {
  const table = core.logitsFromTable(Uint16Array.of(0, 3, 5, 0), Float32Array.of(0.5, 0.5));
  const steps = core.sweep(table, 2);
  assert.equal(steps.next().value, 2);
  const all = steps.next().value;
  const rows = [0, 1].map((i) => {
    const out = new Float32Array(2);
    core.softmax(table.row(i, out), 2, out);
    return out;
  });
  allNear([...all.mean], [0, 1].map((j) => (rows[0][j] + rows[1][j]) / 2));
  const column = core.attentionColumn(table, 1, 2, all.logSumExp, new Float32Array(2));
  allNear([...column], [rows[0][1], rows[1][1]]);
  const meanEntropy = (core.entropy(rows[0]) + core.entropy(rows[1])) / 2;
  near(all.specificity, (core.entropy(all.mean) - meanEntropy) / Math.LN2);
});

test('the pass is the same whatever the form and a number of rows that is no multiple of four', () => {
  const n = 6;
  const q = Int16Array.from({ length: 2 * n }, (_, k) => ((k * 7) % 11) - 5);
  const k = Int16Array.from({ length: 2 * n }, (_, j) => ((j * 5) % 7) - 3);
  const ones = new Float32Array(n).fill(0.2);
  const factors = core.logitsFromFactors(q, ones, k, ones);
  const finish = (steps) => {
    let step;
    do step = steps.next(); while (!step.done);
    return step.value;
  };
  const all = finish(core.sweep(factors, 1));
  const rows = Array.from({ length: n }, (_, i) => {
    const out = new Float32Array(n);
    near(core.softmax(factors.row(i, out), 1, out), all.logSumExp[i]);
    return out;
  });
  allNear([...all.mean], Array.from({ length: n }, (_, j) => rows.reduce((sum, row) => sum + row[j], 0) / n));
});

test('numbers of a distribution by hand', () => {
  const numbers = core.summarise(Float32Array.of(0.5, 0, 0, 0.5), [2, 2], 16, 0, 0, 0.6);
  near(numbers.entropy, 0.5);
  near(numbers.perplexity, 2);
  near(numbers.distance, 0.5 * Math.SQRT2 * 16, 1e-5);
  near(numbers.area, 0.5);
  near(numbers.peak, 2);
  allNear(numbers.drift, [8, 8]);
});

test('uniform attention agrees with its own summary', () => {
  const grid = [3, 5];
  const even = core.summariseEven(grid, 8, 2, 1, 0.6);
  const measured = core.summarise(new Float32Array(15).fill(1 / 15), grid, 8, 2, 1, 0.6);
  for (const name of ['entropy', 'perplexity', 'distance', 'area', 'peak']) near(measured[name], even[name], 1e-4);
});

test('one position has no entropy to share out', () => {
  near(core.summarise(Float32Array.of(1), [1, 1], 16, 0, 0, 0.6).entropy, 0);
});

test('comparing distributions', () => {
  const a = Float32Array.of(1, 0), b = Float32Array.of(0, 1), c = Float32Array.of(0.5, 0.5);
  near(core.jensenShannon(a, a), 0);
  near(core.jensenShannon(a, b), 1);
  near(core.jensenShannon(a, c), 0.311278, 1e-6);
  near(core.cosine(a, b), 0);
  near(core.cosine(a, c), Math.SQRT1_2);
  near(core.movedShare(a, c), 0.5);
  allNear([...core.scaled(a, 4, c)], [2, -2]);
});

test('directions in words', () => {
  assert.equal(core.compass([0, 0.2], 8), 'here');
  assert.equal(core.compass([-30, -30], 8), 'up-left');
  assert.equal(core.compass([0, -30], 8), 'left');
  assert.equal(core.compass([30, 1], 8), 'down');
});

test('flat attention looks flat on the fixed scales, and the scales clip', () => {
  const table = core.colormap('viridis');
  const level = (value, scale) => [...core.colourise([value], scale, table, new Uint8ClampedArray(4))];
  const uniform = core.scaleOf('uniform', false, 1.2);
  assert.deepEqual(level(50, uniform), [...table.slice(765), 255]);
  assert.deepEqual(level(0, uniform), [...table.slice(0, 3), 255]);
  assert.deepEqual(level(1, uniform), [...table.slice(3 * 51, 3 * 52), 255]);
  assert.deepEqual(level(0, core.scaleOf('log', false, 1)), [...table.slice(0, 3), 255]);
  assert.deepEqual(level(10, core.scaleOf('log', false, 1)), [...table.slice(3 * 191, 3 * 192), 255]);
  assert.deepEqual(core.scaleOf('linear', true, 3), { low: -3, high: 3, log: false, fade: true });
});

test('differences are grey and faint at zero', () => {
  const table = core.colormap('diverging');
  const pixels = core.colourise([0, -5], core.scaleOf('uniform', true, 1), table, new Uint8ClampedArray(8));
  const [r, g, b] = pixels;
  assert.ok(Math.max(r, g, b) - Math.min(r, g, b) <= 4);
  assert.deepEqual([pixels[3], pixels[7]], [64, 255]);
});

test('a share of the mass hides the rest', () => {
  const p = Float32Array.of(0.5, 0.3, 0.2);
  const { count, least } = core.massPositions(p, 0.6);
  assert.equal(count, 2);
  const pixels = core.colourise(p, core.scaleOf('uniform', false, 1), core.colormap('grey'), new Uint8ClampedArray(12), p, least);
  assert.deepEqual([pixels[3], pixels[7], pixels[11]], [255, 255, 0]);
});

test('colour maps as JSON for the comparison with matplotlib', (context) => {
  const maps = ['viridis', 'magma', 'cividis', 'grey', 'diverging'].map((name) => [name, [...core.colormap(name)]]);
  context.diagnostic(`colormaps ${JSON.stringify(Object.fromEntries(maps))}`);
});

test('the view survives its link', () => {
  const view = {
    ...core.VIEW, direction: 'column', scale: 'log', temperature: 0.5, smooth: true, fixed: true, colormap: 'magma',
    share: 0.6, opacity: 0.4, cell: [5, 7], pins: [[0, 0], [12, 63]], compare: [1, 0],
  };
  const text = core.encodeState(view);
  assert.deepEqual(core.decodeState(text), view);
  assert.equal(encodeURIComponent(text), text, 'needs no escaping in a URL');
  assert.equal(core.encodeState({ ...core.VIEW }), '');
  assert.deepEqual(core.decodeState(''), { ...core.VIEW });
});

test('a broken link gives a usable view', () => {
  const view = core.decodeState('q1~p1.2_x_3.4~x0.9~dnowhere~t1e9~m~o-5~constructor~💥~cgrey');
  assert.deepEqual(view, { ...core.VIEW, pins: [[1, 2], [3, 4]], temperature: 4, opacity: 0, colormap: 'grey' });
});

test('a position is met at the same place of another grid', () => {
  assert.deepEqual(core.sameSpot({ row: 3, col: 5 }, [10, 10]), [3, 5]);
  assert.deepEqual(core.sameSpot({ row: 3, col: 5, rows: 10, cols: 10 }, [20, 40]), [7, 22]);
  assert.deepEqual(core.sameSpot({ row: 19, col: 0, rows: 20, cols: 20 }, [5, 5]), [4, 0]);
  assert.deepEqual(core.sameSpot({ row: 99, col: -1 }, [5, 5]), [4, 0]);
});
