// Quantised rows.
import assert from 'node:assert/strict';
import test from 'node:test';
import { decodeRow, decodeRows } from '../../attn/ui/web/rows.js';

const arrays = {
  features: Uint8Array.of(0, 10, 20, 255, 0, 5),
  features_low: Float32Array.of(0, -1),
  features_step: Float32Array.of(0.5, 2),
};

test('a row is low + step × code', () => {
  assert.deepEqual([...decodeRow(arrays, 'features', 0)], [0, 5, 10]);
  assert.deepEqual([...decodeRow(arrays, 'features', 1)], [509, -1, 9]);
});

test('all rows at once, times a factor', () => {
  assert.deepEqual([...decodeRows(arrays, 'features', 2)], [0, 10, 20, 1018, -2, 18]);
});
