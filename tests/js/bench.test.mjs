// The bench's pure parts: which measured record is shown, where a forest plot's axis ends, what its intervals settle.
import assert from 'node:assert/strict';
import test from 'node:test';
import { mechanismOf, recordFor } from '../../attn/ui/panels/channels/buys.js';
import { axisOf, settledBy } from '../../attn/ui/panels/channels/forest.js';
import { firstPlaces, stateOf } from '../../attn/ui/panels/blocks/model.js';
import { partsOf, stateOf as linkedState } from '../../attn/ui/panels/channels/linked.js';
import { channelsModel } from '../../attn/ui/panels/channels/model.js';
import { answerKind, weightsKind } from '../../attn/ui/panels/channels/weights.js';
import { summaryOf } from '../../attn/ui/panels/own_gates/depths.js';
import { pairModel, togglePin } from '../../attn/ui/panels/pair/model.js';

test('the record of the stage, detail and weights shown is chosen, or the nearest to it', () => {
  const measured = [
    { stage: 'layer3', detail: 'coarse', weights: 'trained' },
    { stage: 'layer3', detail: 'fine', weights: 'tuned' },
    { stage: 'layer3', detail: 'fine', weights: 'trained' },
    { stage: 'layer2', detail: '', weights: 'trained' },
  ];
  assert.equal(recordFor(measured, 'layer3', 'fine', 'random'), 2);
  assert.equal(recordFor(measured, 'layer3', 'fine', 'tuned'), 1);
  assert.equal(recordFor(measured, 'layer3', 'finest', 'trained'), 0);
  assert.equal(recordFor(measured, 'layer2', 'fine', 'tuned'), 3);
  assert.equal(recordFor(measured, 'layer4', 'fine', 'trained'), 0);
});

test('an interval that leaves out 0 settles a difference, one that holds it does not', () => {
  const differences = [
    { mechanism: 'se', low: 0.01, high: 0.03 },
    { mechanism: 'people', low: -0.1, high: -0.05 },
    { mechanism: 'xca', low: -0.001, high: 0.004 },
    { mechanism: 'eca', low: 0, high: 0.004 },
  ];
  assert.deepEqual(settledBy(differences), { better: ['se'], worse: ['people'], open: ['xca', 'eca'] });
});

test('an axis begins at chance unless something lies below it', () => {
  const [low, high] = axisOf([{ low: 0.6, high: 0.9 }], 0.5);
  assert.equal(low, 0.5);
  assert.ok(high > 0.9 && high < 0.95);
  assert.ok(axisOf([{ low: -0.2, high: 0.1 }], 0)[0] < -0.2);
});

test('both rows of the AttnBlock are one mechanism of the page', () => {
  assert.deepEqual(['attn', 'attn_position', 'cam'].map(mechanismOf), ['spatial', 'spatial', 'cam']);
});

test('what a mechanism shows follows from what was sent of it', () => {
  const one = Float32Array.of(1);
  const kinds = { spatial: 'spatial', own: 'spatial', large: 'spatial', se: 'gate', cam: 'channel_map', sam: 'spatial_gate', odd: 'gate' };
  const model = channelsModel({ mechanisms: Object.entries(kinds).map(([name, kind]) => ({ name, kind })) }, {
    attention_low: one, attention_own_low: one, attention_large_low: one, rows_own: Uint8Array.of(0, 4), rows_own_low: one,
    rows_own_step: Float32Array.of(0.5), gates_se: one, map_cam: one, position_gates_sam: one,
  });
  const names = Object.keys(kinds);
  assert.deepEqual(names.map((name) => weightsKind(model, name)),
    ['attention', 'attention', 'attention', 'gates', 'map', 'positions', 'none']);
  assert.deepEqual(names.map((name) => answerKind(model, name)),
    ['query', 'query', 'none', 'same', 'same', 'same', 'same']);
  assert.deepEqual([...model.attention(0, 'own')], [1, 3]);
});

test('a query of the first photograph is answered over the second, or over both', () => {
  const one = Float32Array.of(1, 1);
  const model = pairModel({
    queries: Int16Array.of(1, 0, 0, 2), queries_scale: one,
    keys_first: Int16Array.of(1, 0, 0, 0), keys_first_scale: one,
    keys_second: Int16Array.of(0, 1, 3, 0, 0, 2), keys_second_scale: Float32Array.of(1, 1, 0.5),
  });
  const near = (values, expected) => values.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 1e-6));
  const second = model.answer(0, 'second'); // logits 0, 3, 0
  const sum = 2 + Math.exp(3);
  near(second.second, [1 / sum, Math.exp(3) / sum, 1 / sum]);
  assert.deepEqual([second.best, second.first], [1, null]);
  near([second.share], [1]);
  const both = model.answer(1, 'both'); // own 0, 0; other 2, 0, 2
  const all = 3 + 2 * Math.exp(2);
  near(both.first, [1 / all, 1 / all]);
  near([both.share], [(1 + 2 * Math.exp(2)) / all]);
  assert.equal(both.best, 0);
});

test('a pin is put in once, taken out again, and the oldest makes room', () => {
  assert.deepEqual(togglePin([1, 2], 3, 3), [1, 2, 3]);
  assert.deepEqual(togglePin([1, 2, 3], 4, 3), [2, 3, 4]);
  assert.deepEqual(togglePin([1, 2, 3], 2, 3), [1, 3]);
});

test('a block of a file is used, usable, refused, or fits elsewhere', () => {
  const block = { label: 'a', refusal: null, fits: true, places: [] };
  assert.equal(stateOf(block, 'a'), 'used');
  assert.equal(stateOf(block, 'b'), 'use');
  assert.equal(stateOf({ ...block, refusal: { en: 'no' } }, 'a'), 'refused');
  assert.equal(stateOf({ ...block, fits: false, places: [['resnet18', 'layer4']] }, ''), 'switch');
  assert.equal(stateOf({ ...block, fits: false }, ''), 'nowhere');
  const places = [['bundled', 'layer2'], ['resnet18', 'layer2'], ['resnet50', 'layer1'], ['resnet101', 'layer1']];
  assert.deepEqual(firstPlaces(places), [['bundled', 'layer2'], ['resnet50', 'layer1']]);
});

test('a block of gates is summed up', () => {
  assert.deepEqual(summaryOf([0, 0.05, 0.95, 1]), { channels: 4, mean: 0.5, closed: 0.5, open: 0.5 });
});

test('the bench says in the address what is not as the page opens with it, and reads it back', () => {
  const opened = linkedState({});
  assert.deepEqual(opened, {
    columns: ['spatial', 'se'], subject: 1, sort: { key: 'change_norm', descending: true }, channel: null, picked: false,
  });
  assert.deepEqual(partsOf(opened, {}), { columns: null, subject: null, sort: null });
  const state = { ...opened, columns: ['xca', 'spatial', 'xca'], subject: 2, sort: { key: 'gate', descending: false } };
  const parts = partsOf(state, {});
  assert.deepEqual(parts, { columns: 'xca~spatial~xca', subject: 2, sort: 'gate' });
  assert.deepEqual(linkedState({ ...parts, channel: '7' }), { ...state, channel: 7, picked: true });
  assert.deepEqual(linkedState({ sort: '-std_after' }).sort, { key: 'std_after', descending: true });
});

test('beside the AttnBlock stands what the window shows beside it, unless the address names columns', () => {
  const state = linkedState({ mechanism: 'eca' });
  assert.deepEqual(state.columns, ['spatial', 'eca']);
  assert.equal(partsOf(state, { mechanism: 'eca' }).columns, null);
  assert.equal(partsOf(state, {}).columns, 'spatial~eca');
  assert.deepEqual(linkedState({ mechanism: 'spatial' }).columns, ['spatial', 'se']);
});

test('nonsense in the address is as if it were not there', () => {
  assert.deepEqual(linkedState({ columns: 'xca', subject: '9', channel: '-1' }), linkedState({}));
  assert.deepEqual(linkedState({ columns: 'a~b~c~d~e', subject: 'x' }).columns, ['a', 'b', 'c', 'd']);
  assert.equal(linkedState({ columns: 'a~b~c', subject: '1.5' }).subject, 1);
});
