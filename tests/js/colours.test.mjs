// Values to colours; the tables are compared with matplotlib's in tests/test_web.py.
import assert from 'node:assert/strict';
import test from 'node:test';
import { colourise, scaleOf } from '../../attn/ui/web/colourise.js';
import { colormap } from '../../attn/ui/web/colours.js';
import { massPositions } from '../../attn/ui/web/statistics.js';

test('flat attention looks flat on the fixed scales, and the scales clip', () => {
  const table = colormap('viridis');
  const level = (value, scale) => [...colourise([value], scale, table, new Uint8ClampedArray(4))];
  const uniform = scaleOf('uniform', false, 1.2);
  assert.deepEqual(level(50, uniform), [...table.slice(765), 255]);
  assert.deepEqual(level(0, uniform), [...table.slice(0, 3), 255]);
  assert.deepEqual(level(1, uniform), [...table.slice(3 * 51, 3 * 52), 255]);
  assert.deepEqual(level(0, scaleOf('log', false, 1)), [...table.slice(0, 3), 255]);
  assert.deepEqual(level(10, scaleOf('log', false, 1)), [...table.slice(3 * 191, 3 * 192), 255]);
  assert.deepEqual(scaleOf('linear', true, 3), { low: -3, high: 3, log: false, fade: true });
});

test('differences are grey and faint at zero', () => {
  const table = colormap('diverging');
  const pixels = colourise([0, -5], scaleOf('uniform', true, 1), table, new Uint8ClampedArray(8));
  const [r, g, b] = pixels;
  assert.ok(Math.max(r, g, b) - Math.min(r, g, b) <= 4);
  assert.deepEqual([pixels[3], pixels[7]], [64, 255]);
});

test('a share of the mass hides the rest', () => {
  const p = Float32Array.of(0.5, 0.3, 0.2);
  const { count, least } = massPositions(p, 0.6);
  assert.equal(count, 2);
  const pixels = colourise(p, scaleOf('uniform', false, 1), colormap('grey'), new Uint8ClampedArray(12), p, least);
  assert.deepEqual([pixels[3], pixels[7], pixels[11]], [255, 255, 0]);
});

test('colour maps as JSON for the comparison with matplotlib', (context) => {
  const maps = ['viridis', 'magma', 'cividis', 'grey', 'diverging'].map((name) => [name, [...colormap(name)]]);
  context.diagnostic(`colormaps ${JSON.stringify(Object.fromEntries(maps))}`);
});
