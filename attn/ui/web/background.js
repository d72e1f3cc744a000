// What takes long, off the main thread: in a module worker, or, where none can be had (a page opened as a file),
// in slices between events.
import { inSlices } from './slices.js';
import { TASKS } from './tasks.js';

const waiting = new Map(); // number → {task, input, progress, signal, resolve, reject}
let worker; // undefined: not tried yet; null: there is none
let ready = false;
let count = 0;

/**
 * The result of `tasks.js`'s `task` on `input` (plain data and typed arrays, which are copied).
 * `progress(share)` tells how far it is. Rejects with the signal's reason once `signal` is aborted.
 */
export function inBackground(task, input, { progress, signal } = {}) {
  if (worker === undefined) worker = start();
  if (!worker) return inSlices(TASKS[task](input), { progress, signal });
  const number = ++count;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    waiting.set(number, { task, input, progress, signal, resolve, reject });
    worker.postMessage({ number, task, input });
    signal?.addEventListener('abort', () => {
      if (!waiting.delete(number)) return;
      worker?.postMessage({ number, cancel: true });
      reject(signal.reason);
    }, { once: true });
  });
}

function start() {
  try {
    const started = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
    started.onmessage = hear;
    started.onerror = (event) => {
      event.preventDefault();
      if (!ready) doWithout();
    };
    return started;
  } catch {
    return null;
  }
}

function hear({ data: { number, share, result, error, ready: started } }) {
  if (started) ready = true;
  const one = waiting.get(number);
  if (!one) return;
  if (share !== undefined) {
    one.progress?.(share);
    return;
  }
  waiting.delete(number);
  if (error) one.reject(new Error(error));
  else one.resolve(result);
}

// The worker could not be started after all: what was given to it is done here.
function doWithout() {
  worker = null;
  for (const [number, { task, input, progress, signal, resolve, reject }] of waiting) {
    waiting.delete(number);
    inSlices(TASKS[task](input), { progress, signal }).then(resolve, reject);
  }
}
