// matplotlib's colour maps, exactly: 256 RGB triples each.
import { TABLES } from './colour_tables.js';

const decoded = {};

/** The 768 bytes of a colour map: viridis, magma, cividis, grey, or diverging (RdBu_r). */
export function colormap(name) {
  decoded[name] ??= decode(TABLES[name]);
  return decoded[name];
}

// 256 reds, then greens, then blues (once where they are the same); each is the first value, then a letter a step: P
// stays, Q is one more.
function decode({ first, steps }) {
  const table = new Uint8ClampedArray(768);
  first.forEach((value, c) => {
    table[c] = value;
    for (let level = 1; level < 256; level++) {
      value += steps.charCodeAt((c * 255) % steps.length + level - 1) - 80;
      table[3 * level + c] = value;
    }
  });
  return table;
}

/** A colour map as a CSS gradient from left to right. */
export function gradient(name) {
  const table = colormap(name);
  const stops = Array.from({ length: 18 }, (_, i) => table.subarray(45 * i, 45 * i + 3)); // every 15th of 256
  return `linear-gradient(to right, ${stops.map((rgb) => `rgb(${rgb.join(' ')})`).join(', ')})`;
}
