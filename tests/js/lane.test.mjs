// The lane: what it says of the weights, its scale, and when it is behind the map beside it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { plainSentenceOf } from '../../attn/ui/panels/explorer/readouts.js';
import { sentenceOf, ticksOf } from '../../attn/ui/panels/lane/weights.js';
import { isBehind, tellMap } from '../../attn/ui/web/current.js';
import { addTexts } from '../../attn/ui/web/texts.js';

globalThis.document ??= new EventTarget();
addTexts({
  en: {
    'window.say.row': '{count} of {n}.',
    'window.say.overlap': '{share} shared.',
    'window.say.counting': '(counting)',
    'window.say.gate': '{count} gates.',
    'window.say.channel_map': 'Channel {channel} draws on {effective} of {count}.',
    'window.say.transposed': 'Summed over {n}.',
    'window.say.drawn': '{drawn} of {count} are drawn.',
  },
});

test('what belongs to another map than the one shown is behind, until its own is shown', () => {
  assert.equal(isBehind('lion'), false); // no map yet
  tellMap('lion');
  assert.equal(isBehind('lion'), false);
  tellMap('cheetah');
  assert.equal(isBehind('lion'), true);
  assert.equal(isBehind(''), false); // made without a map
  tellMap('lion');
  assert.equal(isBehind('lion'), false);
});

test('a flat row of a channel map draws on all channels, a one-hot row on one', () => {
  const row = (weights) => sentenceOf('channel_map', { count: weights.length, weights, row: 3 }, null, weights.length);
  assert.equal(row(new Float32Array(128).fill(1 / 128)), 'Channel 3 draws on 128 of 128.');
  assert.equal(row(Float32Array.of(0, 0.995, 0, 0)), 'Channel 3 draws on 1.0 of 4.'); // rounded on its way
});

test('a row of the turned AttnBlock that is one channel’s says why', () => {
  const now = { count: 4, row: 3, name: 'transposed', summed: 1600 };
  const said = (weights, name = 'transposed') => sentenceOf('channel_map', { ...now, name, weights }, null, 4);
  assert.equal(said(Float32Array.of(0, 1, 0, 0)), 'Channel 3 draws on 1.0 of 4. Summed over 1,600.');
  assert.equal(said(Float32Array.of(0, 1, 0, 0), 'cam'), 'Channel 3 draws on 1.0 of 4.');
  assert.equal(said(Float32Array.of(0.3, 0.2, 0.2, 0.3)), 'Channel 3 draws on 3.9 of 4.');
});

test('it is said how many channels are drawn where not all are, and only of the whole wall', () => {
  const now = { count: 1024, weights: [], describe: (one) => `Channel ${one}.` };
  assert.equal(sentenceOf('gate', now, null, 1024), '1,024 gates.');
  assert.equal(sentenceOf('gate', now, null, 533), '1,024 gates. 533 of 1,024 are drawn.');
  assert.equal(sentenceOf('gate', now, 7, 533), '1,024 gates. Channel 7.');
});

test('the scale of a channel map has uniform attention where the map beside has it, that of gates its ends', () => {
  assert.deepEqual(ticksOf({ even: 0.25, high: 1.25 }), [
    { text: '0', place: 0 }, { text: '1', place: 0.2 }, { text: '2.5', place: 0.5 }, { text: '≥ 5', place: 1 },
  ]);
  assert.deepEqual(ticksOf({ even: 0, high: 1 }).map(({ text }) => text), ['0', '1']);
});

test('the left sentence says that its share is being counted, and is about as long as when it is', () => {
  const said = (overlap) => plainSentenceOf({ perplexity: 354 }, { data: { source: { n: 1600 } }, overlap });
  assert.equal(said(0.26), '354 of 1,600. 26 % shared.');
  assert.equal(said(null), '354 of 1,600. (counting)');
  for (const language of ['en', 'zh']) {
    const texts = JSON.parse(readFileSync(new URL(`../../attn/texts/${language}/window.json`, import.meta.url)));
    const counted = texts['window.say.overlap'].replace('{share}', '43 %');
    assert.ok(Math.abs(texts['window.say.counting'].length - counted.length) <= 2, language); // no line more or less
  }
});
