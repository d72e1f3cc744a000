// The maps the explorer shows: of one query, towards one key, on average, what is a query's own, and of two pins.
import { attentionColumn, softmax } from '../../web/attention.js';
import { scaled } from '../../web/statistics.js';

/**
 * The map of the position `cell`: p, its distribution over the positions, and the values to show, in × uniform.
 * Every direction but 'row' needs `all`, the pass over all queries.
 */
export function mapOf({ data, view, all }, [row, col], direction = view.direction) {
  const n = data.source.n;
  const i = row * data.cols + col;
  const p = new Float32Array(n);
  if (direction === 'average') return { p: all.mean, values: scaled(all.mean, n), signed: false };
  if (direction === 'column') {
    const column = attentionColumn(data.source, i, view.temperature, all.logSumExp, p);
    return { p: scaled(column, 1 / (n * all.mean[i])), values: scaled(column, n), signed: false };
  }
  softmax(data.source.row(i, p), view.temperature, p);
  if (direction === 'own') return { p, values: scaled(p, n, all.mean), signed: true };
  return { p, values: scaled(p, n), signed: false };
}

/** Two pins: the first's map minus the second's; `pair` holds both. */
export function difference(state) {
  const { view } = state;
  const direction = view.direction === 'column' ? 'column' : 'row';
  const [a, b] = view.compare.map((index) => mapOf(state, view.pins[index], direction));
  return { values: scaled(a.values, 1, b.values), signed: true, pair: [a, b] };
}
