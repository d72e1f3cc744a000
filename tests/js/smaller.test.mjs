// Photographs as they travel.
import assert from 'node:assert/strict';
import test from 'node:test';
import { inputSize, isPlain, scaled } from '../../attn/ui/web/smaller.js';

// Pixels of one grey value each, a strip at a time.
const reader = (values, width) => (top, rows) =>
  Uint8ClampedArray.from(values.slice(top * width, (top + rows) * width).flatMap((value) => [value, value, value, 255]));
const greys = (pixels) => Array.from(pixels).filter((_, i) => i % 4 === 0);

test('the size that the network sees', () => {
  assert.deepEqual(inputSize(4032, 3024, 320, 8), [320, 240]);
  assert.deepEqual(inputSize(3024, 4032, 320, 16), [240, 320]);
  assert.deepEqual(inputSize(502, 343, 320, 8), [320, 216]);
  assert.deepEqual(inputSize(400, 250, 160, 8), [160, 96]); // 12.5 positions are 12, as Python rounds
  assert.deepEqual(inputSize(4000, 10, 320, 8), [320, 8]);
});

test('every pixel counts by its distance from the result', () => {
  // Of eight pixels two: a triangle of four pixels to either side, cut off at the edge.
  const weights = [0.625, 0.875, 0.875, 0.625, 0.375, 0.125];
  const values = [10, 200, 30, 90, 160, 250, 5, 70];
  const sum = weights.reduce((total, weight) => total + weight);
  const left = weights.reduce((total, weight, i) => total + weight * values[i], 0) / sum;
  const right = weights.reduce((total, weight, i) => total + weight * values[7 - i], 0) / sum;
  const expected = [left, right].map(Math.round);
  assert.deepEqual(greys(scaled(reader(values, 8), [8, 1], [2, 1])), expected);
  assert.deepEqual(greys(scaled(reader(values, 1), [1, 8], [1, 2])), expected);
});

test('what is even stays as it is, over more rows than a strip', () => {
  const values = Array(300 * 40).fill(77);
  assert.deepEqual(greys(scaled(reader(values, 40), [40, 300], [4, 30])), Array(120).fill(77));
});

test('a JPEG is plain while its end is there', () => {
  const jpeg = [0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd9, 0, 0, 0xff, 0xda, 0, 4, 1, 2, 55, 0xff, 0, 66, 0xff, 0xd9, 1, 2];
  assert.ok(isPlain(Uint8Array.from(jpeg)));
  assert.ok(!isPlain(Uint8Array.from(jpeg.slice(0, 20)))); // the end in a segment is a thumbnail's
  assert.ok(!isPlain(Uint8Array.from([])));
});

test('a PNG is plain while it is still and has 8 bits', () => {
  const chunk = (kind, content = []) => [0, 0, 0, content.length, ...Buffer.from(kind), ...content, 0, 0, 0, 0];
  const png = (bits, ...chunks) => Uint8Array.from([
    0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10,
    ...chunk('IHDR', [0, 0, 0, 1, 0, 0, 0, 1, bits, 2, 0, 0, 0]), ...chunks.flat(),
  ]);
  assert.ok(isPlain(png(8, chunk('IDAT', [1]), chunk('IEND'))));
  assert.ok(!isPlain(png(16, chunk('IDAT', [1]), chunk('IEND'))));
  assert.ok(!isPlain(png(8, chunk('acTL', [0, 0, 0, 1, 0, 0, 0, 0]), chunk('IDAT', [1]), chunk('IEND'))));
  assert.ok(!isPlain(png(8, chunk('IDAT', [1]))));
});
