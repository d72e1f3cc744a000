// Numbers as people read them.
import assert from 'node:assert/strict';
import test from 'node:test';
import { csvOf, compact, fixed, percent, rSquared, readable, rough, signed, signedPercent } from '../../attn/ui/web/numbers.js';
import { offerLanguages, setLanguage } from '../../attn/ui/web/texts.js';

test('numbers read as people write them', () => {
  assert.equal(readable(0.123456), '0.123');
  assert.equal(readable(-2), '−2');
  assert.equal(readable(-0), '0');
  assert.equal(readable(12345.6), '12,346');
  assert.equal(readable(0.0000123), '1.2×10⁻⁵');
  assert.equal(readable(NaN), '–');
  assert.equal(readable(null), '–');
  assert.equal(compact(79300000), '79.3M');
  assert.equal(signedPercent(0.01234), '+1.23 %');
  assert.equal(signedPercent(-0.01), '−1.00 %');
});

test('an R² is 1 only where it is', () => {
  assert.equal(rSquared(0.99981), '0.9998');
  assert.equal(rSquared(0.999963), '0.99996');
  assert.equal(rSquared(0.9999999), '1');
  assert.equal(rSquared(0.98765), '0.988');
  assert.equal(rSquared(NaN), '–');
  assert.equal(rSquared(null), '–');
});

test('a table as comma-separated lines, undefined empty, in the order given', () => {
  const columns = [{ key: 'channel', values: [0, 1] }, { key: 'r2', values: [0.5, NaN] }];
  assert.equal(csvOf(columns, [1, 0]), 'channel,r2\n1,\n0,0.5\n');
});

test('decimals, shares and signs', () => {
  assert.equal(fixed(0.5951, 2), '0.60');
  assert.equal(fixed(-0.001, 2), '0.00');
  assert.equal(fixed(undefined, 2), '–');
  assert.equal(percent(0.6, 0), '60 %');
  assert.equal(percent(0.123456), '12.3 %');
  assert.equal(percent(NaN), '–');
  assert.equal(signed(1.25, 1), '+1.3');
  assert.equal(signed(-3, 0), '−3');
  assert.equal(signed(0, 1), '0.0');
  assert.deepEqual([12.3, 5.44, 0.1349].map(rough), ['12', '5.4', '0.13']);
  assert.equal(readable(0.16234, 2), '0.16');
});

test('a text with a comma is quoted in a table', () => {
  assert.equal(csvOf([{ key: 'a,b', values: ['x"y'] }]), '"a,b"\n"x""y"\n');
});

test('another language counts in its own units', async (context) => {
  context.mock.method(globalThis, 'fetch', async () => new Response('{"language.tag": "zh-CN"}'));
  offerLanguages(['en', 'zh']);
  await setLanguage('zh');
  assert.equal(compact(79300000), '7930万');
  assert.deepEqual([percent(0.6, 0), signedPercent(0.0123)], ['60%', '+1.23%']);
  await setLanguage('en');
});
