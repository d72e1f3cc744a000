// Logits, softmax and the passes over all queries.
import assert from 'node:assert/strict';
import test from 'node:test';
import { attentionColumn, meanOverlap, softmax, sweep } from '../../attn/ui/web/attention.js';
import { logitsFromFactors } from '../../attn/ui/web/logits.js';
import { entropy } from '../../attn/ui/web/statistics.js';
import { allNear, near } from './near.mjs';

// The logits of two queries, in halves.
const ofTwo = (...logits) =>
  logitsFromFactors(Int16Array.from(logits), Float32Array.of(0.5, 0.5), Int16Array.of(1, 0, 0, 1), Float32Array.of(1, 1));

test('factors give rows and columns of queries times keys, any number of channels', () => {
  for (const channels of [1, 4, 6]) {
    const q = Int16Array.from({ length: 3 * channels }, (_, k) => (k % 5) - 2);
    const k = Int16Array.from({ length: 3 * channels }, (_, j) => (j % 3) - 1);
    const product = (i, j) => {
      let sum = 0;
      for (let c = 0; c < channels; c++) sum += q[i * channels + c] * 2 * k[j * channels + c] * 0.5;
      return sum;
    };
    const factors = logitsFromFactors(q, Float32Array.of(2, 2, 2), k, Float32Array.of(0.5, 0.5, 0.5));
    allNear([...factors.row(1, new Float32Array(3))], [0, 1, 2].map((j) => product(1, j)));
    allNear([...factors.column(2, new Float32Array(3))], [0, 1, 2].map((i) => product(i, 2)));
  }
});

test('softmax by hand, and its temperature', () => {
  const out = new Float32Array(2);
  near(softmax(Float32Array.of(0, Math.log(3)), 1, out), Math.log(4));
  allNear([...out], [0.25, 0.75]);
  softmax(Float32Array.of(0, Math.log(9)), 2, out); // square root of the odds
  allNear([...out], [0.25, 0.75]);
  softmax(Float32Array.of(-5000, -5000), 0.25, out);
  allNear([...out], [0.5, 0.5]);
});

test('the pass over all queries gives the mean map and what columns need', () => {
  const table = ofTwo(0, -3, -5, 0);
  const steps = sweep(table, 2);
  assert.equal(steps.next().value, 1);
  const all = steps.next().value;
  const rows = [0, 1].map((i) => {
    const out = new Float32Array(2);
    softmax(table.row(i, out), 2, out);
    return out;
  });
  allNear([...all.mean], [0, 1].map((j) => (rows[0][j] + rows[1][j]) / 2));
  const column = attentionColumn(table, 1, 2, all.logSumExp, new Float32Array(2));
  allNear([...column], [rows[0][1], rows[1][1]]);
  const meanEntropy = (entropy(rows[0]) + entropy(rows[1])) / 2;
  near(all.specificity, (entropy(all.mean) - meanEntropy) / Math.LN2);
});

test('the pass is the same whatever the form and a number of rows that is no multiple of four', () => {
  const n = 6;
  const q = Int16Array.from({ length: 2 * n }, (_, k) => ((k * 7) % 11) - 5);
  const k = Int16Array.from({ length: 2 * n }, (_, j) => ((j * 5) % 7) - 3);
  const ones = new Float32Array(n).fill(0.2);
  const factors = logitsFromFactors(q, ones, k, ones);
  const finish = (steps) => {
    let step;
    do step = steps.next(); while (!step.done);
    return step.value;
  };
  const all = finish(sweep(factors, 1));
  const rows = Array.from({ length: n }, (_, i) => {
    const out = new Float32Array(n);
    near(softmax(factors.row(i, out), 1, out), all.logSumExp[i]);
    return out;
  });
  allNear([...all.mean], Array.from({ length: n }, (_, j) => rows.reduce((sum, row) => sum + row[j], 0) / n));
});

test('the overlap of two queries, on average over all pairs', () => {
  const n = 5;
  const q = Int16Array.from({ length: 2 * n }, (_, k) => ((k * 7) % 11) - 5);
  const k = Int16Array.from({ length: 2 * n }, (_, j) => ((j * 5) % 7) - 3);
  const ones = new Float32Array(n).fill(0.3);
  const factors = logitsFromFactors(q, ones, k, ones);
  const rows = [];
  const logSumExp = Array.from({ length: n }, (_, i) => {
    rows.push(new Float32Array(n));
    return softmax(factors.row(i, rows[i]), 0.7, rows[i]);
  });
  let sum = 0;
  for (let a = 0; a < n; a++) {
    for (let b = 0; b < a; b++) sum += rows[a].reduce((held, value, j) => held + Math.min(value, rows[b][j]), 0);
  }
  const steps = meanOverlap(factors, 0.7, logSumExp);
  let step;
  do step = steps.next(); while (!step.done);
  near(step.value, sum / 10, 1e-6);
});
