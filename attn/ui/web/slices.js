// Long work in slices: a generator's steps until some milliseconds are over, then whatever waits, then on.

/**
 * Runs `steps`, asynchronous or not, to its end and gives what it returns; what it yields (the share done) goes to `progress`.
 * Rejects with the signal's reason once `signal` is aborted.
 */
export async function inSlices(steps, { milliseconds = 8, progress, signal } = {}) {
  for (;;) {
    signal?.throwIfAborted();
    const until = performance.now() + milliseconds;
    let step;
    do step = await steps.next(); while (!step.done && performance.now() < until);
    if (step.done) return step.value;
    progress?.(step.value);
    await pause();
  }
}

/** Lets what waits have its turn. A message is answered sooner than a timer, which browsers hold back. */
export function pause() {
  return new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      done();
    };
    port2.postMessage(null);
  });
}
