// Long work in slices.
import assert from 'node:assert/strict';
import test from 'node:test';
import { inBackground } from '../../attn/ui/web/background.js';
import { inSlices } from '../../attn/ui/web/slices.js';

function* counting(to) {
  for (let i = 1; i <= to; i++) yield i / to;
  return to;
}

test('a generator is run to its end, others get their turn, progress is told', async () => {
  const shares = [];
  let turns = 0;
  const others = setInterval(() => { turns += 1; }, 0);
  const slow = function* () {
    for (let i = 1; i <= 20; i++) {
      const until = performance.now() + 2;
      while (performance.now() < until);
      yield i / 20;
    }
    return 'done';
  };
  assert.equal(await inSlices(slow(), { milliseconds: 4, progress: (share) => shares.push(share) }), 'done');
  clearInterval(others);
  assert.ok(turns > 2);
  assert.ok(shares.length > 2);
  assert.ok(shares.every((share, i) => i === 0 || share > shares[i - 1]));
});

test('what nobody waits for any more ends', async () => {
  const controller = new AbortController();
  const running = inSlices(counting(1e9), { milliseconds: 1, signal: controller.signal });
  controller.abort();
  await assert.rejects(running, { name: 'AbortError' });
});

test('where no worker can be had the work is done all the same', async () => {
  const factors = { queries: Float32Array.of(1, 0, 0, 2), keys: Float32Array.of(1, 0, 0, 1), n: 2 };
  const { mean, logSumExp } = await inBackground('sweep', { factors, temperature: 1 });
  assert.equal(mean.length, 2);
  assert.ok(Math.abs(mean[0] + mean[1] - 1) < 1e-6);
  const overlap = await inBackground('meanOverlap', { factors, temperature: 1, logSumExp });
  assert.ok(overlap > 0 && overlap < 1);
});
