// The channels' data in the browser.
import assert from 'node:assert/strict';
import test from 'node:test';
import { channelsModel, topPositions } from '../../attn/ui/panels/channels/model.js';

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
const model = channelsModel({ mechanisms: [{ name: 'se' }, { name: 'cam' }] }, arrays);

test('a gate scales, other mechanisms add what was sent', () => {
  assert.deepEqual([...model.after('se', 0)], [0, 1.25, 2.5]);
  assert.deepEqual([...model.change('se', 1)], [0, 0, 0].map((x, i) => (i === 1 ? -0 : x)));
  assert.deepEqual([...model.change('cam', 0)], [-1, 0, 1]);
  assert.deepEqual([...model.after('cam', 1)], [513, 3, 13]);
});

test('statistics before are shared, after belong to a mechanism, and rounding in an offset is 0', () => {
  assert.equal(model.stat('cam', 'mean_before'), arrays.stats_mean_before);
  assert.equal(model.stat('cam', 'mean_after'), arrays.stats_cam_mean_after);
  assert.deepEqual([...model.stat('cam', 'affine_b')], [0, 0.5]);
});

test('top positions keep their distance and leave zeros out', () => {
  const values = [0, 9, 8, 0, 0, 0, 0, 7]; // 2 × 4
  const top = topPositions(values, 4, 3, 1);
  assert.deepEqual(top, [{ row: 0, col: 1, value: 9 }, { row: 1, col: 3, value: 7 }]);
  assert.deepEqual(topPositions(values, 4, 2, 0).map(({ value }) => value), [9, 8]);
  assert.deepEqual(topPositions([0, 0, -1], 3, 2, 1), []);
});
