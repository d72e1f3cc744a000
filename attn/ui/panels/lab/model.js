// Attention of any query at any strength of the encoding, on the map as it is or with its positions shuffled. Queries
// and keys are straight lines in the strength, so that the slider asks no server.
import { softmax } from '../../web/attention.js';
import { scaledRows } from '../../web/logits.js';

/** `arrays` as lab_arrays writes them. */
export function labModel(arrays) {
  const n = arrays.queries_scale.length;
  const [q, dq, k, dk] = ['queries', 'query_steps', 'keys', 'key_steps'].map((name) =>
    scaledRows(arrays[name], arrays[`${name}_scale`]));
  const channels = q.length / n;
  const vector = new Float32Array(channels);

  // Content `query` standing at place `place`; the content at place j is order[j].
  function attention(query, place, strength, order) {
    for (let c = 0; c < channels; c++) {
      vector[c] = q[query * channels + c] + strength * dq[place * channels + c];
    }
    const out = new Float32Array(n);
    for (let j = 0; j < n; j++) {
      let content = 0;
      let there = 0;
      for (let c = 0, a = order[j] * channels, b = j * channels; c < channels; c++) {
        content += vector[c] * k[a + c];
        there += vector[c] * dk[b + c];
      }
      out[j] = content + strength * there;
    }
    softmax(out, 1, out);
    return out;
  }

  const asItIs = Uint16Array.from({ length: n }, (_, i) => i);
  return {
    n,
    /** before: on the photograph; after: on the shuffled one, where the query moved along; restored: after, put back. */
    maps(query, strength, order, back) {
      const before = attention(query, query, strength, asItIs);
      const after = attention(query, back[query], strength, order);
      return { before, after, restored: after.map((_, i) => after[back[i]]) };
    },
  };
}

/** back[order[i]] = i */
export function inverse(order) {
  const back = new Uint16Array(order.length);
  order.forEach((from, to) => { back[from] = to; });
  return back;
}

/** Where the colour scale of some maps ends, in × uniform: a whole number, the query's own share left out. */
export function rangeOf(maps, query) {
  let peak = 0;
  for (const map of maps) map.forEach((value, i) => { if (i !== query) peak = Math.max(peak, value * map.length); });
  return Math.max(2, Math.ceil(peak));
}
