// Quantised rows.
import assert from 'node:assert/strict';
import test from 'node:test';
import { decodeRow, decodeRows } from '../../attn/ui/web/rows.js';

const arrays = {
  features: Uint8Array.of(0, 10, 20, 255, 0, 5),
  features_low: Float32Array.of(0, -1),
  features_step: Float32Array.of(0.5, 2),
  change_cam: Uint8Array.of(0, 1, 2, 0, 0, 0),
  change_cam_low: Float32Array.of(-1, 4),
  change_cam_step: Float32Array.of(1, 0),
  gates_se: Float32Array.of(0.25, 1),
  stats_mean_before: Float32Array.of(5, 6),
  stats_min_before: Float32Array.of(0, -1),
  stats_max_before: Float32Array.of(10, 509),
  stats_cam_mean_after: Float32Array.of(7, 8),
  stats_cam_affine_b: Float32Array.of(1e-7, 0.5),
};

test('a row is low + step × code', () => {
  assert.deepEqual([...decodeRow(arrays, 'features', 0)], [0, 5, 10]);
  assert.deepEqual([...decodeRow(arrays, 'features', 1)], [509, -1, 9]);
});

test('all rows at once, times a factor', () => {
  assert.deepEqual([...decodeRows(arrays, 'features', 2)], [0, 10, 20, 1018, -2, 18]);
});
