// Attention from logits: one query's map, what one key receives, and passes over all queries. The passes are
// generators that yield the share done, so that whoever runs them can pause or end them (see slices.js).
import { entropy } from './statistics.js';

/** Writes softmax(logits / temperature) to out and returns ln Σ exp(logits / temperature). */
export function softmax(logits, temperature, out) {
  let top = -Infinity;
  for (let j = 0; j < logits.length; j++) if (logits[j] > top) top = logits[j];
  let sum = 0;
  for (let j = 0; j < logits.length; j++) {
    out[j] = Math.exp((logits[j] - top) / temperature);
    sum += out[j];
  }
  for (let j = 0; j < logits.length; j++) out[j] /= sum;
  return top / temperature + Math.log(sum);
}

/** Every query's attention towards key j; needs each row's log-sum-exp at this temperature. */
export function attentionColumn(source, j, temperature, logSumExp, out) {
  source.column(j, out);
  for (let i = 0; i < out.length; i++) out[i] = Math.exp(out[i] / temperature - logSumExp[i]);
  return out;
}

/**
 * One pass over all queries, four rows a step: the mean map, each row's log-sum-exp, and query specificity (entropy of
 * the mean map less the mean entropy, over ln n; 0: every query gets the same map).
 */
export function* sweep(source, temperature) {
  const n = source.n;
  const logits = Array.from({ length: 4 }, () => new Float32Array(n));
  const p = new Float32Array(n);
  const sum = new Float64Array(n);
  const logSumExp = new Float64Array(n);
  let entropies = 0;
  for (let first = 0; first < n; first += 4) {
    const done = Math.min(first + 4, n);
    source.fourRows(first, logits);
    for (let i = first; i < done; i++) {
      const row = logits[i - first];
      logSumExp[i] = softmax(row, temperature, p);
      let expected = 0;
      for (let j = 0; j < n; j++) {
        sum[j] += p[j];
        expected += p[j] * row[j];
      }
      entropies += logSumExp[i] - expected / temperature;
    }
    yield done / n;
  }
  const mean = Float32Array.from(sum, (s) => s / n);
  const specificity = n > 1 ? (entropy(mean) - entropies / n) / Math.log(n) : 0;
  return { mean, logSumExp, specificity };
}

/**
 * The share of their weight that two queries have in common, Σ_j min(A_ij, A_kj), on average over all pairs i ≠ k:
 * 1 where every query gets the same map. Exact in one sort a key: the r-th smallest of a column is the lesser of
 * n − 1 − r pairs.
 */
export function* meanOverlap(source, temperature, logSumExp) {
  const n = source.n;
  const column = new Float32Array(n);
  let sum = 0;
  for (let j = 0; j < n; j++) {
    attentionColumn(source, j, temperature, logSumExp, column);
    column.sort();
    for (let r = 0; r < n; r++) sum += column[r] * (n - 1 - r);
    yield (j + 1) / n;
  }
  return n > 1 ? Math.min(1, (2 * sum) / (n * (n - 1))) : 1;
}
