// The pure parts of attn/ui/channels.js under `node --test`; run by tests/test_channels.py.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

const source = readFileSync(new URL('../../attn/ui/channels.js', import.meta.url), 'utf8');
const core = new Function(`${source}; return channelsCore;`)();

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
const model = core.channelsModel({ mechanisms: [{ name: 'se' }, { name: 'cam' }] }, arrays);

test('a row is low + step × code', () => {
  assert.deepEqual([...core.decodeRow(arrays, 'features', 0)], [0, 5, 10]);
  assert.deepEqual([...core.decodeRow(arrays, 'features', 1)], [509, -1, 9]);
});

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
  const top = core.topPositions(values, 4, 3, 1);
  assert.deepEqual(top, [{ row: 0, col: 1, value: 9 }, { row: 1, col: 3, value: 7 }]);
  assert.deepEqual(core.topPositions(values, 4, 2, 0).map(({ value }) => value), [9, 8]);
  assert.deepEqual(core.topPositions([0, 0, -1], 3, 2, 1), []);
});

test('extent leaves nan out', () => {
  assert.deepEqual(core.extent([3, NaN], [-1, 2]), [-1, 3]);
  assert.deepEqual(core.extent([NaN]), [0, 0]);
});

test('a histogram counts every defined value, the greatest in the last bin', () => {
  assert.deepEqual(core.histogram([0, 0.1, 0.5, 1, NaN], 0, 1, 2), [2, 2]);
  assert.deepEqual(core.histogram([2, 2], 2, 2, 3), [2, 0, 0]);
});

test('sorting puts undefined last both ways and keeps the order of equals', () => {
  const values = [2, NaN, 1, 2];
  assert.deepEqual(core.sortedOrder(values, true), [0, 3, 2, 1]);
  assert.deepEqual(core.sortedOrder(values, false), [2, 0, 3, 1]);
});

test('numbers read as people write them', () => {
  assert.equal(core.readable(0.123456), '0.123');
  assert.equal(core.readable(-2), '−2');
  assert.equal(core.readable(-0), '0');
  assert.equal(core.readable(12345.6), '12,346');
  assert.equal(core.readable(0.0000123), '1.2×10⁻⁵');
  assert.equal(core.readable(NaN), '–');
  assert.equal(core.readable(null), '–');
  assert.equal(core.short(79300000, 'en'), '79.3M');
  assert.equal(core.short(79300000, 'zh'), '7930万');
  assert.equal(core.signedPercent(0.01234), '+1.23 %');
  assert.equal(core.signedPercent(-0.01), '−1.00 %');
});

test('an R² is 1 only where it is', () => {
  assert.equal(core.rSquared(0.99981), '0.9998');
  assert.equal(core.rSquared(0.999963), '0.99996');
  assert.equal(core.rSquared(0.9999999), '1');
  assert.equal(core.rSquared(0.98765), '0.988');
  assert.equal(core.rSquared(NaN), '–');
  assert.equal(core.rSquared(null), '–');
});

test('a table as comma-separated lines, undefined empty, in the order given', () => {
  const columns = [{ key: 'channel', values: [0, 1] }, { key: 'r2', values: [0.5, NaN] }];
  assert.equal(core.csvOf(columns, [1, 0]), 'channel,r2\n1,\n0,0.5\n');
});

test('ticks are round and inside', () => {
  assert.deepEqual(core.ticks(0, 1, 5).map((v) => Number(v.toFixed(6))), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(core.ticks(-3, 12, 3), [0, 5, 10]);
  assert.deepEqual(core.ticks(2, 2, 4), [2]);
});

test('labels are spread downwards', () => {
  const spread = core.spread([{ at: 10 }, { at: 4 }, { at: 11 }], 5);
  assert.deepEqual(spread.map(({ y }) => y), [4, 10, 15]);
});
