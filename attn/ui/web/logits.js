// Logits (before the softmax) from what the server sends. A source has n positions and gives the logits of one
// query (row), of four at once (for passes over all queries), or towards one key (column). Each row may be shifted by a
// constant, which no softmax sees.

/**
 * {queries, keys, n}, the factors of the logits in the arrays of `compact_logits`: (n, width) float32 each, with their
 * scales. Yields the share done.
 */
export function* factorsOf(arrays) {
  const n = arrays.query_scale.length;
  const queries = yield* scaledPlanes(arrays.query_planes, arrays.query_scale, arrays.column_scale, 0);
  const keys = yield* scaledPlanes(arrays.key_planes, arrays.key_scale, null, 0.5);
  return { queries, keys, n };
}

/** The source for such factors: logits[i, j] = queries[i] · keys[j]. */
export function logitsOf({ queries, keys, n }) {
  const width = queries.length / n;
  const query = (i) => queries.subarray(Math.min(i, n - 1) * width, Math.min(i + 1, n) * width);
  return {
    n,
    row: (i, out) => products(query(i), keys, out),
    fourRows: (first, outs) => fourProducts([0, 1, 2, 3].map((m) => query(first + m)), keys, outs),
    column: (j, out) => products(keys.subarray(j * width, (j + 1) * width), queries, out),
  };
}

/** The source that knows one query alone, of `encode_row`: its logits are −steps · scale. */
export function logitsOfOne({ steps, scale }) {
  const bytes = Uint8Array.from(atob(steps), (character) => character.charCodeAt(0));
  const logits = Float32Array.from(new Uint16Array(bytes.buffer), (step) => -step * scale);
  return {
    n: logits.length,
    row: (_, out) => {
      out.set(logits);
      return out;
    },
  };
}

/**
 * (n, width) float32 from the bytes of integers, (3, width, n), each times its row's scale (and its column's): the lowest
 * bytes column by column, then the higher ones; 0 −1 1 −2 … are written as 0 1 2 3 …
 */
function* scaledPlanes(planes, scale, columnScale, begun) {
  const n = scale.length;
  const third = planes.length / 3;
  const width = third / n;
  const out = new Float32Array(third);
  for (let c = 0, at = 0; c < width; c++) {
    for (let i = 0; i < n; i++, at++) {
      const code = planes[at] | (planes[third + at] << 8) | (planes[2 * third + at] << 16);
      out[i * width + c] = ((code >>> 1) ^ -(code & 1)) * scale[i] * (columnScale ? columnScale[c] : 1);
    }
    yield begun + (c + 1) / width / 2;
  }
  return out;
}

/** The source for integer rows with one scale each. */
export const logitsFromFactors = (queries, queryScale, keys, keyScale) => logitsOf({
  queries: scaledRows(queries, queryScale), keys: scaledRows(keys, keyScale), n: queryScale.length,
});

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
