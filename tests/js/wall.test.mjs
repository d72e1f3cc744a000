// The wall of channels: their order, how many are shown, and a tile's light.
import assert from 'node:assert/strict';
import test from 'node:test';
import { drawMarks, drawTile, heaviestFirst, layOut, spaced, tileOf } from '../../attn/ui/panels/lane/wall.js';

test('the heaviest channel comes first, equal ones in their own order', () => {
  assert.deepEqual(heaviestFirst(Float32Array.of(0.5, 0.9, 0.5, 1)), [3, 1, 0, 2]);
});

test('tiles keep the photograph\'s shape, can be told apart and fit the box', () => {
  for (const [count, box, aspect] of [[256, [600, 380], 1], [256, [358, 358], 1.5], [2048, [720, 680], 0.7], [64, [600, 380], 2]]) {
    const { columns, rows, shown, width, height } = layOut(count, box, aspect);
    assert.ok(columns * width <= box[0] + 1e-6 && rows * height <= box[1] + 1e-6);
    assert.ok(Math.abs(width / height - aspect) < 1e-6);
    assert.ok(Math.max(width, height) >= 24);
    assert.ok(shown === Math.min(count, columns * rows));
  }
});

test('256 channels are all drawn, on a laptop and on a phone', () => {
  for (const [box, aspect] of [[[600, 552], 1.05], [[600, 552], 4 / 3], [[600, 372], 1.5], [[390, 390], 1]]) {
    assert.equal(layOut(256, box, aspect).shown, 256);
  }
});

test('only the tile pointed at is marked, within its own pixels', () => {
  const drawn = [];
  const context = Object.fromEntries(['save', 'restore', 'beginPath', 'rect', 'clip', 'fillRect', 'strokeRect']
    .map((name) => [name, (...box) => drawn.push([name, ...box])]));
  const picture = { tiles: [{ channel: 5, left: 1, top: 1 }, { channel: 2, left: 41, top: 1 }], size: [38, 30], density: 1 };
  drawMarks(context, picture, null, [0, 3], [10, 10]);
  assert.deepEqual(drawn, []); // nothing follows who points at the map beside
  drawMarks(context, picture, 2, [0, 3], [10, 10]);
  const named = (name) => drawn.filter(([one]) => one === name).map(([, ...box]) => box);
  assert.deepEqual(named('rect'), [[41, 1, 38, 30]]);
  assert.equal(named('clip').length, 1);
  assert.ok(drawn.findIndex(([name]) => name === 'clip') < drawn.findIndex(([name]) => name === 'fillRect'));
  assert.equal(named('fillRect').length, 2);
  assert.deepEqual(named('strokeRect'), [[41, 1, 38, 30]]);
});

test('where not all are shown, the heaviest and the lightest are', () => {
  const sorted = Array.from({ length: 256 }, (_, i) => 255 - i);
  const shown = spaced(sorted, 91);
  assert.deepEqual([shown.length, shown[0], shown.at(-1)], [91, 255, 0]);
  assert.equal(new Set(shown).size, 91);
  assert.equal(spaced(sorted, 300), sorted);
});

test('a tile is as bright as its weight, brightest where the channel answers', () => {
  const shared = tileOf(new Uint8ClampedArray(4 * 4 * 4).fill(120), [4, 4], [2, 2]);
  const tile = (light) => {
    const out = new Uint8ClampedArray(4 * 4 * 4);
    drawTile(out, 4, [0, 0], shared, Float32Array.of(0, 0, 0, 1), light);
    return out;
  };
  const [dark, half, full] = [0, 0.5, 1].map(tile);
  assert.deepEqual(dark.slice(0, 4), dark.slice(60)); // of a weight of 0 the grey photograph is left, and is seen
  assert.ok(dark[0] > 0.4 * 120);
  assert.ok(dark[60] < half[60] && half[60] < full[60]);
  assert.ok(full[60] > full[0]); // bottom right answers, top left does not
  assert.equal(full[63], 255);
});
