// Where an axis has its ticks.
import assert from 'node:assert/strict';
import test from 'node:test';
import { spread, ticks } from '../../attn/ui/web/axes.js';

test('ticks are round and inside', () => {
  assert.deepEqual(ticks(0, 1, 5).map((v) => Number(v.toFixed(6))), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(ticks(-3, 12, 3), [0, 5, 10]);
  assert.deepEqual(ticks(2, 2, 4), [2]);
});

test('labels are spread downwards', () => {
  const labels = spread([{ at: 10 }, { at: 4 }, { at: 11 }], 5);
  assert.deepEqual(labels.map(({ y }) => y), [4, 10, 15]);
});
