// Logits (before the softmax) from what the server sends. A source has n positions and gives the logits of one
// query (row), of four at once (for passes over all queries), or towards one key (column). Each row may be shifted by a
// constant, which no softmax sees.

/** The source for the arrays of `compact_logits`: query and key factors as byte planes. */
export function logitsFrom(arrays) {
  const n = arrays.query_scale.length;
  const [queries, keys] = [arrays.query_planes, arrays.key_planes].map((planes) => joinPlanes(planes, n));
  return logitsFromFactors(queries, arrays.query_scale, keys, arrays.key_scale, arrays.column_scale);
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
 * (n, width) int32 from its bytes, (3, width, n): the lowest ones column by column, then the higher ones; 0 −1 1 −2 …
 * are written as 0 1 2 3 …
 */
export function joinPlanes(planes, n) {
  const third = planes.length / 3;
  const width = third / n;
  const out = new Int32Array(third);
  for (let c = 0, at = 0; c < width; c++) {
    for (let i = 0; i < n; i++, at++) {
      const code = planes[at] | (planes[third + at] << 8) | (planes[2 * third + at] << 16);
      out[i * width + c] = (code >>> 1) ^ -(code & 1);
    }
  }
  return out;
}

/** logits[i, j] = queries[i] · keys[j], both integer rows with one scale each; `columnScale` of the products, or none */
export function logitsFromFactors(queries, queryScale, keys, keyScale, columnScale = null) {
  const n = queryScale.length;
  const channels = queries.length / n;
  const q = scaledRows(queries, queryScale, columnScale);
  const k = scaledRows(keys, keyScale);
  const query = (i) => q.subarray(Math.min(i, n - 1) * channels, Math.min(i + 1, n) * channels);
  return {
    n,
    row: (i, out) => products(query(i), k, out),
    fourRows: (first, outs) => fourProducts([0, 1, 2, 3].map((m) => query(first + m)), k, outs),
    column: (j, out) => products(k.subarray(j * channels, (j + 1) * channels), q, out),
  };
}

/** value = code · scale of its row (· scale of its column), as float32 */
export function scaledRows(codes, scale, columnScale = null) {
  const width = codes.length / scale.length;
  const out = new Float32Array(codes.length);
  for (let i = 0, at = 0; i < scale.length; i++) {
    for (let c = 0; c < width; c++, at++) out[at] = codes[at] * scale[i] * (columnScale ? columnScale[c] : 1);
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
