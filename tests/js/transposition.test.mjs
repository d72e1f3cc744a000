// Turning one product from q kᵀ to qᵀ k.
import assert from 'node:assert/strict';
import test from 'node:test';
import { middleOf } from '../../attn/ui/panels/transposition/drawing.js';
import { ease, layout, sides, slice, under } from '../../attn/ui/panels/transposition/geometry.js';
import { near } from './near.mjs';

const SIDES = { n: 300, c: 100 };

test('sides are in proportion, and together the whole', () => {
  assert.deepEqual(sides(300, 100, 400), SIDES);
  const { n, c } = sides(6400, 64, 400); // never so slim that it cannot be seen
  assert.ok(c >= 60);
  near(n + c, 400);
});

test('rows = positions: q is N × C, kᵀ is C × N, the product N × N', () => {
  const { flip, left, upper, product } = layout(SIDES, 0, 0);
  assert.deepEqual(flip, [1, 0]);
  assert.deepEqual(left, { x: 0, y: 100, width: 100, height: 300 });
  assert.deepEqual(upper, { x: 100, y: 0, width: 300, height: 100 });
  assert.deepEqual(product, { x: 100, y: 100, side: 300 });
});

test('rows = channels: the same factors flipped over their diagonals, the product C × C', () => {
  const { flip: [a, b], product, split } = layout(SIDES, 1, 0);
  near(a, 0);
  near(b, 1); // [0 1; 1 0] is the transposition
  assert.equal(split, 300);
  assert.deepEqual(product, { x: 300, y: 300, side: 100 });
});

test('while it turns, everything stays inside the same square', () => {
  for (let turn = 0; turn <= 1; turn += 0.1) {
    const { product } = layout(SIDES, turn, 0);
    near(product.x + product.side, 400);
  }
  assert.deepEqual([ease(0), ease(0.5), ease(1)], [0, 0.5, 1]);
});

test('what is under the pointer, as shares of the product', () => {
  const places = layout(SIDES, 0, 0);
  assert.deepEqual(under(places, 250, 175), { row: 0.25, column: 0.5 });
  assert.equal(under(places, 50, 175), null);
  assert.equal(under(places, 401, 175), null);
});

test('slices recede up and to the right, the last in front', () => {
  const frame = { x: 0, y: 0, width: 100, height: 100 };
  assert.deepEqual(slice(2, 3, frame, 20), { x: 0, y: 20, width: 80, height: 80 });
  assert.deepEqual(slice(0, 3, frame, 20), { x: 20, y: 0, width: 80, height: 80 });
});

test('a label stays whole: its middle moves away from the border that would cut it', () => {
  const ctx = { measureText: () => ({ width: 80 }) };
  assert.equal(middleOf(ctx, 'k: 256 channels', 190, 200), 159);
  assert.equal(middleOf(ctx, 'k: 256 channels', 10, 200), 40);
  assert.equal(middleOf(ctx, 'k: 256 channels', 100, 200), 100);
});
