// Where the keyboard leads in a figure.
import assert from 'node:assert/strict';
import test from 'node:test';
import { stepOf } from '../../attn/ui/web/figure.js';

test('arrows walk a list and stop at its ends', () => {
  assert.equal(stepOf('ArrowRight', 0, 3), 1);
  assert.equal(stepOf('ArrowRight', 2, 3), 2);
  assert.equal(stepOf('ArrowLeft', 0, 3), 0);
  assert.equal(stepOf('Home', 2, 3), 0);
  assert.equal(stepOf('End', 0, 3), 2);
  assert.equal(stepOf('x', 0, 3), null);
});

test('they walk a grid by rows', () => {
  assert.equal(stepOf('ArrowDown', 1, 6, 3), 4);
  assert.equal(stepOf('ArrowUp', 4, 6, 3), 1);
  assert.equal(stepOf('ArrowUp', 1, 6, 3), 1);
});

test('the first key leads to the first point', () => {
  assert.equal(stepOf('ArrowRight', -1, 6, 3), 0);
  assert.equal(stepOf('ArrowDown', -1, 6), 0);
});
