// Two photographs' queries and keys, and what follows: where a query of the first looks in the second.
import { logitsFromFactors } from '../../web/logits.js';

/**
 * answer(query, over): {first, second, share, best}: weights over the positions of each photograph (the first's are null
 * with over = "second"), the second's share of the whole, and the second's best position. `arrays` as `pair_arrays`
 * writes them.
 */
export function pairModel(arrays) {
  const source = (keys) =>
    logitsFromFactors(arrays.queries, arrays.queries_scale, arrays[keys], arrays[`${keys}_scale`]);
  const own = source('keys_first');
  const other = source('keys_second');
  const counts = [arrays.keys_first_scale.length, arrays.keys_second_scale.length];
  return {
    counts,
    answer(query, over) {
      const second = other.row(query, new Float32Array(counts[1]));
      const first = over === 'both' ? own.row(query, new Float32Array(counts[0])) : null;
      const parts = first ? [first, second] : [second];
      let highest = -Infinity;
      for (const part of parts) for (const logit of part) highest = Math.max(highest, logit);
      let total = 0;
      for (const part of parts) {
        for (let i = 0; i < part.length; i++) {
          part[i] = Math.exp(part[i] - highest);
          total += part[i];
        }
      }
      let share = 0;
      let best = 0;
      for (const part of parts) for (let i = 0; i < part.length; i++) part[i] /= total;
      second.forEach((weight, i) => {
        share += weight;
        if (weight > second[best]) best = i;
      });
      return { first, second, share, best };
    },
  };
}

/** `pins` with the one at `place` put in, or taken out where it was; the oldest leaves when there are too many. */
export function togglePin(pins, place, most) {
  return pins.includes(place) ? pins.filter((pin) => pin !== place) : [...pins, place].slice(-most);
}
