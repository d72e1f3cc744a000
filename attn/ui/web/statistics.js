// Numbers of distributions and of lists of values (definitions: attn/measures/attention.py).

/** Shannon entropy in nats; 0 ln 0 = 0 */
export function entropy(p) {
  let sum = 0;
  for (let j = 0; j < p.length; j++) if (p[j] > 0) sum -= p[j] * Math.log(p[j]);
  return sum;
}

/** How many positions, largest first, hold `share` of the mass, and the smallest value among them. */
export function massPositions(p, share) {
  const sorted = Float32Array.from(p).sort();
  let held = 0;
  for (let count = 1; count <= sorted.length; count++) {
    held += sorted[sorted.length - count];
    if (held >= share - 1e-6 || count === sorted.length) return { count, least: sorted[sorted.length - count] };
  }
  return { count: 0, least: 0 };
}

/**
 * The numbers of one distribution p over the grid as seen from position (row, col); distances in image pixels.
 * drift is the mean displacement [rows, cols] in pixels: where the attention lies from here.
 */
export function summarise(p, [rows, cols], stride, row, col, share) {
  let distance = 0, down = 0, right = 0, peak = 0;
  for (let r = 0, j = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, j++) {
      const v = p[j], dr = r - row, dc = c - col;
      distance += v * Math.sqrt(dr * dr + dc * dc);
      down += v * dr;
      right += v * dc;
      if (v > peak) peak = v;
    }
  }
  const nats = entropy(p);
  return {
    entropy: p.length > 1 ? nats / Math.log(p.length) : 0,
    perplexity: Math.exp(nats),
    distance: distance * stride,
    area: massPositions(p, share).count / p.length,
    peak: peak * p.length,
    drift: [down * stride, right * stride],
  };
}

/** summarise() of uniform attention, the yardstick beside every number */
export function summariseEven([rows, cols], stride, row, col, share) {
  const n = rows * cols;
  let distance = 0;
  for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) distance += Math.hypot(r - row, c - col);
  const area = Math.ceil(share * n - 1e-6) / n;
  return { entropy: 1, perplexity: n, distance: (distance / n) * stride, area, peak: 1, own: 0, received: 1 };
}

/** Jensen–Shannon divergence of two distributions in bits: 0 (equal) … 1 (disjoint) */
export function jensenShannon(p, q) {
  let sum = 0;
  for (let j = 0; j < p.length; j++) {
    const m = (p[j] + q[j]) / 2;
    if (p[j] > 0) sum += p[j] * Math.log(p[j] / m);
    if (q[j] > 0) sum += q[j] * Math.log(q[j] / m);
  }
  return Math.max(0, sum / 2 / Math.LN2);
}

export function cosine(p, q) {
  let pq = 0, pp = 0, qq = 0;
  for (let j = 0; j < p.length; j++) {
    pq += p[j] * q[j];
    pp += p[j] * p[j];
    qq += q[j] * q[j];
  }
  return pq / Math.sqrt(pp * qq);
}

/** Half the total absolute difference: the share of the mass that would have to move to turn p into q. */
export function movedShare(p, q) {
  let sum = 0;
  for (let j = 0; j < p.length; j++) sum += Math.abs(p[j] - q[j]);
  return sum / 2;
}

/** values[j] = factor · (p[j] − q[j]); q may be absent */
export function scaled(p, factor, q) {
  const out = new Float32Array(p.length);
  for (let j = 0; j < p.length; j++) out[j] = factor * (q ? p[j] - q[j] : p[j]);
  return out;
}

/** ‖value − reference‖ / ‖reference‖ */
export function relativeError(value, reference) {
  let difference = 0, norm = 0;
  for (let i = 0; i < value.length; i++) {
    difference += (value[i] - reference[i]) ** 2;
    norm += reference[i] ** 2;
  }
  return Math.sqrt(difference / norm);
}

/** The greatest absolute value; 0 of none. */
export function peakOf(values) {
  let peak = 0;
  for (let j = 0; j < values.length; j++) peak = Math.max(peak, Math.abs(values[j]));
  return peak;
}

/** Least and greatest of some arrays, nan left out; [0, 0] where nothing is defined. */
export function extent(...lists) {
  let low = Infinity;
  let high = -Infinity;
  for (const list of lists) {
    for (const value of list) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : [0, 0];
}

/** How many values fall into each of `bins` equal parts of low … high; nan is not counted. */
export function histogram(values, low, high, bins) {
  const counts = new Array(bins).fill(0);
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    const bin = high > low ? Math.floor(((value - low) / (high - low)) * bins) : 0;
    counts[Math.min(bins - 1, Math.max(0, bin))] += 1;
  }
  return counts;
}

/** Indices in order of their value; equal values keep their order and nan comes last either way. */
export function sortedOrder(values, descending) {
  const sign = descending ? -1 : 1;
  return Array.from(values.keys()).sort((a, b) => {
    const nanA = Number.isNaN(values[a]);
    const nanB = Number.isNaN(values[b]);
    if (nanA || nanB) return nanA - nanB || a - b;
    return sign * (values[a] - values[b]) || a - b;
  });
}
