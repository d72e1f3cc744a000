// Attention as light: levels, smoothing, and the colour of a lit place.
import assert from 'node:assert/strict';
import test from 'node:test';
import { DIM, lightOf, lightRampPixels, lit, smoothGrid, smoothed } from '../../attn/ui/web/light.js';

const near = (actual, expected, tolerance = 1e-6) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `expected ${expected} ± ${tolerance}, got ${actual}`);

test('light is linear between the ends of the scale and stays within', () => {
  const levels = lightOf(Float32Array.of(-1, 0, 1, 2.5, 5, 40, NaN), { low: 0, high: 5, log: false });
  [0, 0, 0.2, 0.5, 1, 1, 0].forEach((expected, j) => near(levels[j], expected));
});

test('on a logarithmic scale uniform attention lies half-way', () => {
  const levels = lightOf(Float32Array.of(0, 0.01, 1, 100), { low: 0.01, high: 100, log: true });
  [0, 0, 0.5, 1].forEach((expected, j) => near(levels[j], expected));
});

test('smoothing keeps what is constant, and stays within 0 and 1', () => {
  const even = smoothed(new Float32Array(12).fill(0.25), [3, 4]);
  assert.deepEqual([even.rows, even.cols, even.levels.length], [12, 16, 192]);
  even.levels.forEach((level) => near(level, 0.25));
  const peak = new Float32Array(25);
  peak[12] = 1;
  const { levels, cols } = smoothed(peak, [5, 5]);
  assert.ok(levels.every((level) => level >= 0 && level <= 1));
  near(Math.max(...levels), levels[9 * cols + 9]); // the peak stays in its cell
  near(levels[0], 0);
});

test('smoothing is symmetric', () => {
  const { levels, rows, cols } = smoothed(Float32Array.of(0, 0.2, 0.2, 0, 0.4, 1, 1, 0.4), [2, 4]);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) near(levels[r * cols + c], levels[r * cols + cols - 1 - c]);
  }
});

test('smoothing in room that is there allocates nothing and leaves nothing of the last map', () => {
  const room = {};
  const first = smoothed(Float32Array.of(0, 1, 1, 0), [2, 2], room).levels;
  const second = smoothed(new Float32Array(4), [2, 2], room).levels;
  assert.equal(first, second);
  assert.ok(second.every((level) => level === 0));
  assert.equal(smoothed(new Float32Array(6), [2, 3], room).levels.length, 96);
});

test('few cells are shown as they are', () => {
  assert.equal(smoothGrid([40, 40]), true);
  assert.equal(smoothGrid([40, 8]), false);
});

test('without light a place is grey and dim, with all of it no darker than the photograph', () => {
  const grey = DIM * (0.299 * 200 + 0.587 * 100 + 0.114 * 50);
  lit([200, 100, 50], 0).forEach((value) => near(value, grey));
  const full = lit([200, 100, 50], 1);
  [200, 100, 50].forEach((value, c) => assert.ok(full[c] >= value && full[c] <= 255));
  assert.ok(lit([0, 0, 0], 1)[0] > 20); // light on black is seen
});

test('the colour bar is the same ramp', () => {
  const pixels = lightRampPixels(Float32Array.of(0, 1), new Uint8ClampedArray(8));
  assert.deepEqual([pixels[0], pixels[1], pixels[3]], [pixels[1], pixels[2], 255]);
  assert.ok(pixels[4] > pixels[6]);
});
