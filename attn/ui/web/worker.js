// The module worker behind background.js: runs tasks, tells how far they are, ends those nobody waits for.
import { inSlices } from './slices.js';
import { TASKS } from './tasks.js';

const running = new Map(); // number → AbortController

self.onmessage = async ({ data: { number, task, input, cancel } }) => {
  if (cancel) {
    running.get(number)?.abort();
    return;
  }
  const controller = new AbortController();
  running.set(number, controller);
  try {
    const result = await inSlices(TASKS[task](input), {
      milliseconds: 40,
      signal: controller.signal,
      progress: (share) => self.postMessage({ number, share }),
    });
    self.postMessage({ number, result }, buffersOf(result)); // handed over, not copied
  } catch (error) {
    if (!controller.signal.aborted) self.postMessage({ number, error: String(error) });
  }
  running.delete(number);
};

// The memory behind the typed arrays of a result.
const buffersOf = (result) => [...new Set(Object.values(result).filter(ArrayBuffer.isView).map(({ buffer }) => buffer))];

self.postMessage({ ready: true });
