// Numbers of distributions, by hand.
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  cosine, extent, histogram, jensenShannon, movedShare, scaled, sortedOrder, summarise, summariseEven,
} from '../../attn/ui/web/statistics.js';
import { allNear, near } from './near.mjs';

test('numbers of a distribution by hand', () => {
  const numbers = summarise(Float32Array.of(0.5, 0, 0, 0.5), [2, 2], 16, 0, 0, 0.6);
  near(numbers.entropy, 0.5);
  near(numbers.perplexity, 2);
  near(numbers.distance, 0.5 * Math.SQRT2 * 16, 1e-5);
  near(numbers.area, 0.5);
  near(numbers.peak, 2);
  allNear(numbers.drift, [8, 8]);
});

test('uniform attention agrees with its own summary', () => {
  const grid = [3, 5];
  const even = summariseEven(grid, 8, 2, 1, 0.6);
  const measured = summarise(new Float32Array(15).fill(1 / 15), grid, 8, 2, 1, 0.6);
  for (const name of ['entropy', 'perplexity', 'distance', 'area', 'peak']) near(measured[name], even[name], 1e-4);
});

test('one position has no entropy to share out', () => {
  near(summarise(Float32Array.of(1), [1, 1], 16, 0, 0, 0.6).entropy, 0);
});

test('comparing distributions', () => {
  const a = Float32Array.of(1, 0), b = Float32Array.of(0, 1), c = Float32Array.of(0.5, 0.5);
  near(jensenShannon(a, a), 0);
  near(jensenShannon(a, b), 1);
  near(jensenShannon(a, c), 0.311278, 1e-6);
  near(cosine(a, b), 0);
  near(cosine(a, c), Math.SQRT1_2);
  near(movedShare(a, c), 0.5);
  allNear([...scaled(a, 4, c)], [2, -2]);
});

test('extent leaves nan out', () => {
  assert.deepEqual(extent([3, NaN], [-1, 2]), [-1, 3]);
  assert.deepEqual(extent([NaN]), [0, 0]);
});

test('a histogram counts every defined value, the greatest in the last bin', () => {
  assert.deepEqual(histogram([0, 0.1, 0.5, 1, NaN], 0, 1, 2), [2, 2]);
  assert.deepEqual(histogram([2, 2], 2, 2, 3), [2, 0, 0]);
});

test('sorting puts undefined last both ways and keeps the order of equals', () => {
  const values = [2, NaN, 1, 2];
  assert.deepEqual(sortedOrder(values, true), [0, 3, 2, 1]);
  assert.deepEqual(sortedOrder(values, false), [2, 0, 3, 1]);
});
