// Numbers that are the same but for rounding.
import assert from 'node:assert/strict';

export const near = (actual, expected, tolerance = 1e-6) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `expected ${expected} ± ${tolerance}, got ${actual}`);
export const allNear = (actual, expected, tolerance) => {
  assert.equal(actual.length, expected.length);
  actual.forEach((value, j) => near(value, expected[j], tolerance));
};
