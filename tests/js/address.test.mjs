// What the address holds: its order, what is none of it, and what goes with another photograph.
import assert from 'node:assert/strict';
import test from 'node:test';
import { changed, forgotten, queryOf } from '../../attn/ui/web/address.js';

test('parts stand in one order, whatever order they were told in', () => {
  assert.equal(queryOf({ view: 'q1.2~p3.4', example: 'lion', channel: '7' }), 'example=lion&channel=7&view=q1.2~p3.4');
});

test('what is none of the page\'s own stays', () => {
  assert.equal(queryOf({ place: 'bench' }, '?__theme=dark&embed=window&place=see'), 'place=bench&__theme=dark&embed=window');
});

test('null and "" take a part out', () => {
  assert.deepEqual(changed({ place: 'bench', channel: '3' }, { place: null, channel: '' }), {});
  assert.deepEqual(changed({}, { position: 0 }), { position: '0' });
});

test('another photograph takes out what belonged to the last', () => {
  const before = { example: 'lion', mechanism: 'se', channel: '3', row: '4', shuffle: '5', view: 'q1.2', turn: 'channels' };
  const after = { example: 'tower', mechanism: 'se', turn: 'channels' };
  assert.deepEqual(changed(before, { ...forgotten(), example: 'tower' }), after);
  assert.deepEqual(changed(before, { ...forgotten(), example: '' }), { mechanism: 'se', turn: 'channels' });
});
