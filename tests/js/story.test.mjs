// The story's order, its numbers, and where things lie in its pictures.
import assert from 'node:assert/strict';
import test from 'node:test';
import { keepAnswers, keptAnswers } from '../../attn/ui/panels/story/answers.js';
import { storyData } from '../../attn/ui/panels/story/data.js';
import { below, cellAt, fitted, frameOf, split } from '../../attn/ui/panels/story/places.js';
import { STEPS, neighbour, stepNamed } from '../../attn/ui/panels/story/steps.js';
import { allNear, near } from './near.mjs';

test('all ten statements are met', () => {
  const met = new Set(STEPS.flatMap((step) => step.statements));
  assert.deepEqual([...met].sort(), Array.from({ length: 10 }, (_, n) => `S${n + 1}`).sort());
});

test('steps have names of their own, and a right answer among their options', () => {
  assert.equal(new Set(STEPS.map(({ id }) => id)).size, STEPS.length);
  for (const { options, right } of STEPS) if (options) assert.ok(right >= 0 && right < options);
  assert.equal(stepNamed('nowhere'), null);
});

test('back and next stay within the story', () => {
  assert.equal(neighbour(STEPS[0].id, -1), STEPS[0].id);
  assert.equal(neighbour(STEPS[0].id, 1), STEPS[1].id);
  assert.equal(neighbour(STEPS.at(-1).id, 1), STEPS.at(-1).id);
});

test('boxes', () => {
  const whole = { x: 0, y: 0, width: 200, height: 100 };
  assert.deepEqual(fitted(1, whole), { x: 50, y: 0, width: 100, height: 100 });
  assert.deepEqual(split(whole, 2, 20), [{ x: 0, y: 0, width: 90, height: 100 }, { x: 110, y: 0, width: 90, height: 100 }]);
  assert.deepEqual(split(whole, 2, 20, true)[1], { x: 0, y: 60, width: 200, height: 40 });
  assert.deepEqual(below(whole, 30), { x: 0, y: 30, width: 200, height: 70 });
  assert.deepEqual(cellAt(whole, 2, 4, 199, 99), [1, 3]);
  assert.equal(cellAt(whole, 2, 4, 200, 99), null);
  assert.deepEqual(frameOf(whole, 2, 4, [1, 3]), [150, 50, 50, 50]);
});

test('maps and perplexities come from the window’s own logits', () => {
  const rows = [[0, 0, 0, Math.log(3)], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]];
  const source = { row: (i, out) => { out.set(rows[i]); return out; } };
  const facts = { queries: [[0, 0], [1, 1]], steps: 256, channels: 3 };
  const arrays = { random: Uint16Array.from([256, 256, 256, 256, 512, 0, 256, 256]) };
  let told = 0;
  const data = storyData(facts, arrays, { rows: 2, cols: 2, source }, () => { told += 1; });
  allNear(Array.from(data.mapOf([0, 0])), [4 / 6, 4 / 6, 4 / 6, 2], 1e-5);
  near(data.perplexityOf([0, 1]), 4, 1e-5);
  assert.deepEqual(Array.from(data.row('random', 1)), [2, 0, 1, 1]);
  assert.equal(data.nearestQuery([1, 0.9]), 1);
  data.pointAt([1, 0]);
  assert.deepEqual([data.cell, told], [[1, 0], 1]);
});

test('answers are kept for the session, and only those a question has', () => {
  const kept = {};
  const storage = { getItem: (name) => kept[name] ?? null, setItem: (name, value) => { kept[name] = value; } };
  assert.deepEqual(keptAnswers(storage), {});
  keepAnswers({ where: 2, shapes: null }, storage);
  assert.deepEqual(keptAnswers(storage), { where: 2, shapes: null });
  keepAnswers({ where: 3, elsewhere: -1, gates: '1', pixel: 0, nowhere: 1, random: 1 }, storage);
  assert.deepEqual(keptAnswers(storage), { random: 1 });
  kept['attn-story-answers'] = '{';
  assert.deepEqual(keptAnswers(storage), {});
});

test('without a storage the story goes on', () => {
  const denied = { getItem() { throw new Error('denied'); }, setItem() { throw new Error('denied'); } };
  for (const storage of [null, denied]) {
    keepAnswers({ where: 1 }, storage);
    assert.deepEqual(keptAnswers(storage), {});
  }
});
