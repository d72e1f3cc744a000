// Byte planes, as attn/figures/compact.py writes them.
import assert from 'node:assert/strict';
import test from 'node:test';
import { factorsOf, logitsOf, logitsOfOne } from '../../attn/ui/web/logits.js';
import { allNear } from './near.mjs';

// Two positions, three columns: 1, −2, 300 and −70000, 0, 256, written as 0 −1 1 −2 … → 0 1 2 3 …
const columns = [1, -70000, -2, 0, 300, 256].map((v) => (v < 0 ? -2 * v - 1 : 2 * v));
const planes = Uint8Array.from([0, 8, 16].flatMap((shift) => columns.map((v) => (v >> shift) & 255)));

const scaled = {
  query_planes: planes, query_scale: Float32Array.of(1, 0.5), key_planes: planes, key_scale: Float32Array.of(2, 1),
  column_scale: Float32Array.of(1, 10, 1),
};

function factors() {
  const shares = [];
  const steps = factorsOf(scaled);
  let step = steps.next();
  for (; !step.done; step = steps.next()) shares.push(step.value);
  return { shares, result: step.value };
}

test('planes give the integers row by row, each row times its scale, columns with theirs', () => {
  const { queries, keys, n } = factors().result;
  assert.equal(n, 2);
  assert.deepEqual([...queries], [1, -20, 300, -35000, 0, 128]);
  assert.deepEqual([...keys], [2, -4, 600, -70000, 0, 256]);
});

test('a column is a step, so that what unpacks them can let others have their turn', () => {
  allNear(factors().shares, [1, 2, 3, 4, 5, 6].map((k) => k / 6));
});

test('logits are products of rows', () => {
  const source = logitsOf(factors().result);
  assert.deepEqual([...source.row(0, new Float32Array(2))], [2 * (1 + 40 + 90000), -70000 + 300 * 256]);
});

test('one query alone, from the text it comes in', () => {
  const steps = btoa(String.fromCharCode(...new Uint8Array(Uint16Array.of(0, 10, 65535).buffer)));
  const source = logitsOfOne({ steps, scale: 0.5 });
  assert.equal(source.n, 3);
  assert.deepEqual([...source.row(2, new Float32Array(3))], [-0, -5, -32767.5]);
});
