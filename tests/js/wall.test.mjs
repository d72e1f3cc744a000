// The wall of channels: their order, how many are shown, and a tile's light.
import assert from 'node:assert/strict';
import test from 'node:test';
import { drawTile, heaviestFirst, layOut, spaced } from '../../attn/ui/panels/lane/wall.js';

test('the heaviest channel comes first, equal ones in their own order', () => {
  assert.deepEqual(heaviestFirst(Float32Array.of(0.5, 0.9, 0.5, 1)), [3, 1, 0, 2]);
});

test('tiles keep the photograph\'s shape, can be told apart and fit the box', () => {
  for (const [count, box, aspect] of [[256, [600, 380], 1], [256, [358, 358], 1.5], [2048, [720, 680], 0.7], [64, [600, 380], 2]]) {
    const { columns, rows, shown, width, height } = layOut(count, box, aspect);
    assert.ok(columns * width <= box[0] + 1e-6 && rows * height <= box[1] + 1e-6);
    assert.ok(Math.abs(width / height - aspect) < 1e-6);
    assert.ok(Math.max(width, height) >= 34);
    assert.ok(shown === Math.min(count, columns * rows));
  }
});

test('where not all are shown, the heaviest and the lightest are', () => {
  const sorted = Array.from({ length: 256 }, (_, i) => 255 - i);
  const shown = spaced(sorted, 91);
  assert.deepEqual([shown.length, shown[0], shown.at(-1)], [91, 255, 0]);
  assert.equal(new Set(shown).size, 91);
  assert.equal(spaced(sorted, 300), sorted);
});

test('a tile is as bright as its weight, brightest where the channel answers', () => {
  const photo = new Uint8ClampedArray(4 * 4 * 4).fill(120);
  const tile = (light) => {
    const out = new Uint8ClampedArray(4 * 4 * 4);
    drawTile(out, 4, [0, 0], photo, [4, 4], Float32Array.of(0, 0, 0, 1), [2, 2], light);
    return out;
  };
  const [dark, half, full] = [0, 0.5, 1].map(tile);
  assert.ok(dark[60] < half[60] && half[60] < full[60]);
  assert.ok(full[60] > full[0]); // bottom right answers, top left does not
  assert.equal(full[63], 255);
});
