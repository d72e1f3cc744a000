// What is done in the background, by name: each makes the generator that does it from plain data.
import { meanOverlap, sweep } from './attention.js';
import { factorsOf, logitsOf } from './logits.js';
import { unpack } from './safetensors.js';

export const TASKS = {
  arrays: async function* ({ packed }) { return unpack(packed); },
  logits: async function* ({ packed }) { return yield* factorsOf(await unpack(packed)); },
  sweep: ({ factors, temperature }) => sweep(logitsOf(factors), temperature),
  meanOverlap: ({ factors, temperature, logSumExp }) => meanOverlap(logitsOf(factors), temperature, logSumExp),
};
