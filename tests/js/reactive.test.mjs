// A panel's words in slices.
import assert from 'node:assert/strict';
import test from 'node:test';
import { reactive } from '../../attn/ui/web/reactive.js';

globalThis.cancelAnimationFrame = () => {};
globalThis.requestAnimationFrame = (then) => setTimeout(then);

// A piece that takes longer than a slice.
const slowly = (then) => () => {
  const until = performance.now() + 30;
  while (performance.now() < until);
  then();
};

test('between words that take long others get their turn, and pictures follow all words', async () => {
  const panel = reactive();
  const told = [];
  for (const word of ['one', 'two', 'three']) panel.when(['x'], slowly(() => told.push(word)));
  panel.picture(['x'], { measure: () => null, draw: () => told.push('picture') });
  panel.update('all');
  const flushed = panel.flush();
  setImmediate(() => told.push('another'));
  await flushed;
  assert.deepEqual(told.filter((one) => one !== 'another'), ['one', 'two', 'three', 'picture']);
  assert.ok(told.indexOf('another') < told.indexOf('three'));
});

test('what is built anew meanwhile is not written for nothing', async () => {
  const panel = reactive();
  const told = [];
  panel.when(['x'], slowly(() => told.push('old')));
  panel.when(['x'], () => told.push('older'));
  panel.update('all');
  const flushed = panel.flush();
  panel.clear();
  panel.when(['x'], () => told.push('new'));
  await flushed;
  assert.deepEqual(told, ['old']);
  panel.update('all');
  await panel.flush();
  assert.deepEqual(told, ['old', 'new']);
});
