// One photograph's channels: what came from the server, and what follows from it.
import { softmax } from '../../web/attention.js';
import { decodeRow } from '../../web/rows.js';

/** Offsets of a fit, with what is only float32's rounding (a millionth of the channel's greatest value) made 0. */
export function settled(offsets, lows, highs) {
  return offsets.map((b, c) => (Math.abs(b) < 1e-6 * Math.max(Math.abs(lows[c]), Math.abs(highs[c])) ? 0 : b));
}

/**
 * `before`, `change`, `after` give a channel's map, `stat` a number for each channel, `attention` the map of a query of
 * a mechanism (source: the AttnBlock's logits). facts and arrays as `panel_facts` and `panel_arrays` write them.
 */
export function channelsModel(facts, arrays, source = null) {
  const mechanisms = Object.fromEntries(facts.mechanisms.map((mechanism) => [mechanism.name, mechanism]));
  const before = (channel) => decodeRow(arrays, 'features', channel);
  const change = (name, channel) => {
    if (arrays[`change_${name}`]) return decodeRow(arrays, `change_${name}`, channel);
    const gates = arrays[`gates_${name}`]; // a mechanism that only scales sends no more
    return before(channel).map((x) => (gates[channel] - 1) * x);
  };
  return {
    facts,
    arrays,
    mechanisms,
    /** The greatest effective rank there can be. */
    get mostPatterns() { return Math.min(facts.channels, facts.grid[0] * facts.grid[1] - 1); },
    before,
    change,
    after: (name, channel) => {
      const moved = change(name, channel);
      return before(channel).map((x, i) => x + moved[i]);
    },
    gates: (name) => arrays[`gates_${name}`] ?? null,
    stat: (name, field) => {
      const values = arrays[field.endsWith('_before') ? `stats_${field}` : `stats_${name}_${field}`];
      return field.endsWith('_b') ? settled(values, arrays.stats_min_before, arrays.stats_max_before) : values;
    },
    /** The name of the array that holds the (pooled) map of a mechanism that attends over positions. */
    attentionArray: (name) => (name === 'spatial' ? 'attention' : `attention_${name}`),
    hasRows: (name) => name === 'spatial' || `rows_${name}_low` in arrays,
    queryDifference: (name) => arrays[name === 'spatial' ? 'query_difference' : `query_difference_${name}`],
    attention: (query, name = 'spatial') => {
      if (name !== 'spatial') return decodeRow(arrays, `rows_${name}`, query);
      const p = new Float32Array(source.n);
      softmax(source.row(query, p), 1, p);
      return p;
    },
  };
}

/** The strongest positions of a map, no two within `gap` cells: [{row, col, value}], strongest first, no zeros. */
export function topPositions(values, columns, count, gap) {
  const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
  const found = [];
  for (const index of order) {
    const row = Math.floor(index / columns);
    const col = index % columns;
    const far = found.every((other) => Math.max(Math.abs(other.row - row), Math.abs(other.col - col)) > gap);
    if (far && values[index] > 0) found.push({ row, col, value: values[index] });
    if (found.length === count) break;
  }
  return found;
}
