// Safetensors as the browser reads them.
import assert from 'node:assert/strict';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { fetchArrays } from '../../attn/ui/web/arrays.js';
import { readSafetensors } from '../../attn/ui/web/safetensors.js';

// A file by hand: header length, header, numbers; an odd number of bytes first, so that the floats are out of step.
function fileOf() {
  const header = JSON.stringify({
    __metadata__: { from: 'test' },
    codes: { dtype: 'U8', shape: [3], data_offsets: [0, 3] },
    scale: { dtype: 'F32', shape: [1, 2], data_offsets: [3, 11] },
  });
  const bytes = Buffer.alloc(8 + header.length + 11);
  bytes.writeBigUInt64LE(BigInt(header.length));
  bytes.write(header, 8);
  bytes.set([7, 0, 255], 8 + header.length);
  bytes.writeFloatLE(0.5, 8 + header.length + 3);
  bytes.writeFloatLE(-2, 8 + header.length + 7);
  return bytes;
}
const bufferOf = (bytes) => bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);

test('arrays by name, whatever their place in the file', () => {
  const arrays = readSafetensors(bufferOf(fileOf()));
  assert.deepEqual(Object.keys(arrays), ['codes', 'scale']);
  assert.deepEqual([...arrays.codes], [7, 0, 255]);
  assert.deepEqual([...arrays.scale], [0.5, -2]);
});

test('a file that is cut short is refused', () => {
  assert.throws(() => readSafetensors(bufferOf(fileOf().subarray(0, -4))), RangeError);
});

test('a fetch that comes short is tried once more, past the cache', async (context) => {
  const whole = gzipSync(fileOf());
  const calls = [];
  context.mock.method(globalThis, 'fetch', async (url, options) => {
    calls.push(options.cache);
    return new Response(calls.length === 1 ? whole.subarray(0, 20) : whole);
  });
  assert.deepEqual([...(await fetchArrays('short')).codes], [7, 0, 255]);
  assert.deepEqual(calls, [undefined, 'reload']);
});

test('a fetch that fails twice is an error', async (context) => {
  context.mock.method(globalThis, 'fetch', async () => new Response('', { status: 404 }));
  await assert.rejects(fetchArrays('x'), /404 x/);
  await assert.rejects(fetchArrays('x'), /404 x/, 'and is asked for again');
});

test('what two panels ask for is fetched once', async (context) => {
  const fetched = context.mock.method(globalThis, 'fetch', async () => new Response(gzipSync(fileOf())));
  const [one, other] = await Promise.all([fetchArrays('shared'), fetchArrays('shared')]);
  assert.equal(one, other);
  assert.equal(fetched.mock.callCount(), 1);
});
