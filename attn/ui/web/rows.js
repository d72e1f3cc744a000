// Quantised rows as `quantise_rows` packs them: value = low + step · code, with NAME_low and NAME_step beside NAME.

/** Row `row` of the array `name`. */
export function decodeRow(arrays, name, row) {
  const codes = arrays[name];
  const columns = codes.length / arrays[`${name}_low`].length;
  const low = arrays[`${name}_low`][row];
  const step = arrays[`${name}_step`][row];
  const out = new Float32Array(columns);
  for (let i = 0, at = row * columns; i < columns; i++, at++) out[i] = low + step * codes[at];
  return out;
}

/** All rows of the array `name`, each times `factor`. */
export function decodeRows(arrays, name, factor = 1) {
  const codes = arrays[name];
  const rows = arrays[`${name}_low`].length;
  const columns = codes.length / rows;
  const out = new Float32Array(codes.length);
  for (let row = 0, at = 0; row < rows; row++) {
    const low = factor * arrays[`${name}_low`][row];
    const step = factor * arrays[`${name}_step`][row];
    for (let i = 0; i < columns; i++, at++) out[at] = low + step * codes[at];
  }
  return out;
}
