// Logits (before the softmax) from either form the server sends. A source has n positions and gives the logits of one
// query (row), of four at once (for passes over all queries), or towards one key (column). Each row may be shifted by a
// constant, which no softmax sees.

/**
 * The source for the arrays of `encode_logits`, a table for small grids, query and key factors for large ones; or of
 * `compact_logits`, factors as byte planes.
 */
export function logitsFrom(arrays) {
  if (arrays.logits) return logitsFromTable(arrays.logits, arrays.logit_scale);
  const n = arrays.query_scale.length;
  const queries = arrays.queries ?? joinPlanes(arrays.query_planes, n);
  const keys = arrays.keys ?? joinPlanes(arrays.key_planes, n);
  return logitsFromFactors(queries, arrays.query_scale, keys, arrays.key_scale);
}

/** (n, width) int16 from its bytes, (2, width, n): the low ones column by column, then the high ones. */
export function joinPlanes(planes, n) {
  const half = planes.length / 2;
  const width = half / n;
  const out = new Int16Array(half);
  for (let c = 0, at = 0; c < width; c++) {
    for (let i = 0; i < n; i++, at++) out[i * width + c] = planes[at] | (planes[half + at] << 8);
  }
  return out;
}

/** logits[i, j] = −steps[i, j] · scale[i] */
export function logitsFromTable(steps, scale) {
  const n = scale.length;
  const row = (i, out) => {
    const step = -scale[i];
    for (let j = 0, at = i * n; j < n; j++, at++) out[j] = steps[at] * step;
    return out;
  };
  return {
    n,
    row,
    fourRows: (first, outs) => outs.forEach((out, k) => row(Math.min(first + k, n - 1), out)),
    column(j, out) {
      for (let i = 0, at = j; i < n; i++, at += n) out[i] = -steps[at] * scale[i];
      return out;
    },
  };
}

/** logits[i, j] = queries[i] · keys[j], both integer rows with one scale each */
export function logitsFromFactors(queries, queryScale, keys, keyScale) {
  const n = queryScale.length;
  const channels = queries.length / n;
  const q = scaledRows(queries, queryScale);
  const k = scaledRows(keys, keyScale);
  const query = (i) => q.subarray(Math.min(i, n - 1) * channels, Math.min(i + 1, n) * channels);
  return {
    n,
    row: (i, out) => products(query(i), k, out),
    fourRows: (first, outs) => fourProducts([0, 1, 2, 3].map((m) => query(first + m)), k, outs),
    column: (j, out) => products(k.subarray(j * channels, (j + 1) * channels), q, out),
  };
}

/** value = code · scale of its row, as float32 */
export function scaledRows(codes, scale) {
  const width = codes.length / scale.length;
  const out = new Float32Array(codes.length);
  for (let i = 0, at = 0; i < scale.length; i++) {
    for (let c = 0; c < width; c++, at++) out[at] = codes[at] * scale[i];
  }
  return out;
}

// out[i] = vector · rows[i]; four sums at once, so that additions do not wait for each other
function products(vector, rows, out) {
  const width = vector.length;
  const whole = width & ~3;
  for (let i = 0, at = 0; i < out.length; i++) {
    let a = 0, b = 0, c = 0, d = 0, k = 0;
    for (; k < whole; k += 4, at += 4) {
      a += vector[k] * rows[at];
      b += vector[k + 1] * rows[at + 1];
      c += vector[k + 2] * rows[at + 2];
      d += vector[k + 3] * rows[at + 3];
    }
    for (; k < width; k++, at++) a += vector[k] * rows[at];
    out[i] = a + b + (c + d);
  }
  return out;
}

// outs[m][i] = vectors[m] · rows[i], reading each row once for all four: more than twice as fast
function fourProducts([v0, v1, v2, v3], rows, [out0, out1, out2, out3]) {
  const width = v0.length;
  for (let i = 0, at = 0; i < out0.length; i++) {
    let a = 0, b = 0, c = 0, d = 0;
    for (let k = 0; k < width; k++, at++) {
      const value = rows[at];
      a += v0[k] * value;
      b += v1[k] * value;
      c += v2[k] * value;
      d += v3[k] * value;
    }
    out0[i] = a;
    out1[i] = b;
    out2[i] = c;
    out3[i] = d;
  }
}
