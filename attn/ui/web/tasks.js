// What is done in the background, by name: each makes the generator that does it from plain data.
import { meanOverlap, sweep } from './attention.js';
import { logitsFrom } from './logits.js';

export const TASKS = {
  sweep: ({ arrays, temperature }) => sweep(logitsFrom(arrays), temperature),
  meanOverlap: ({ arrays, temperature, logSumExp }) => meanOverlap(logitsFrom(arrays), temperature, logSumExp),
};
