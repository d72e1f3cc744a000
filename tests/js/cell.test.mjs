// Cells of grids.
import assert from 'node:assert/strict';
import test from 'node:test';
import { compass, sameSpot } from '../../attn/ui/web/cell.js';

test('directions in words', () => {
  assert.equal(compass([0, 0.2], 8), 'here');
  assert.equal(compass([-30, -30], 8), 'up-left');
  assert.equal(compass([0, -30], 8), 'left');
  assert.equal(compass([30, 1], 8), 'down');
});

test('a position is met at the same place of another grid', () => {
  assert.deepEqual(sameSpot({ row: 3, col: 5 }, [10, 10]), [3, 5]);
  assert.deepEqual(sameSpot({ row: 3, col: 5, rows: 10, cols: 10 }, [20, 40]), [7, 22]);
  assert.deepEqual(sameSpot({ row: 19, col: 0, rows: 20, cols: 20 }, [5, 5]), [4, 0]);
  assert.deepEqual(sameSpot({ row: 99, col: -1 }, [5, 5]), [4, 0]);
});
