// Byte planes, as attn/figures/compact.py writes them.
import assert from 'node:assert/strict';
import test from 'node:test';
import { joinPlanes, logitsFrom } from '../../attn/ui/web/logits.js';

// Two positions, three columns: 1, −2, 300 and −32767, 0, 256.
const columns = [1, -32767, -2, 0, 300, 256];
const planes = Uint8Array.from([...columns.map((v) => v & 255), ...columns.map((v) => (v >> 8) & 255)]);

test('planes give the integers row by row', () => {
  assert.deepEqual([...joinPlanes(planes, 2)], [1, -2, 300, -32767, 0, 256]);
});

test('logits are products of rows, each with its scale', () => {
  const source = logitsFrom({
    query_planes: planes, query_scale: Float32Array.of(1, 0.5), key_planes: planes, key_scale: Float32Array.of(2, 1),
  });
  assert.equal(source.n, 2);
  assert.deepEqual([...source.row(0, new Float32Array(2))], [2 * (1 + 4 + 90000), -32767 + 300 * 256]);
});
