// Values to colours: where × uniform values lie on the colour bar, and the pixels.

const FIXED_HIGH = 5;

/**
 * Each scale: [low, high] and whether the axis is logarithmic. 'uniform' and 'log' are fixed yardsticks, so that flat
 * attention looks flat; 'linear' ends at the map's own peak. Signed maps fade towards zero: the photograph shows where
 * nothing differs.
 */
export function scaleOf(name, signed, peak) {
  if (signed) {
    const high = name === 'linear' ? Math.max(peak, 1e-6) : FIXED_HIGH;
    return { low: -high, high, log: false, fade: true };
  }
  if (name === 'log') return { low: 0.01, high: 100, log: true };
  return { low: 0, high: name === 'linear' ? Math.max(peak, 1e-6) : FIXED_HIGH, log: false };
}

/** Writes RGBA pixels; with `mass`, positions whose mass is below `least` stay transparent, as do undefined values. */
export function colourise(values, { low, high, log, fade }, table, out, mass = null, least = 0) {
  const start = log ? Math.log(low) : low;
  const factor = 255 / ((log ? Math.log(high) : high) - start);
  for (let j = 0, at = 0; j < values.length; j++, at += 4) {
    const value = log ? Math.log(Math.max(values[j], low)) : values[j];
    const level = 3 * Math.max(0, Math.min(255, Math.round((value - start) * factor)));
    out[at] = table[level];
    out[at + 1] = table[level + 1];
    out[at + 2] = table[level + 2];
    const hidden = (mass && mass[j] < least) || Number.isNaN(values[j]);
    out[at + 3] = hidden ? 0 : fade ? Math.min(255, 64 + (765 * Math.abs(values[j])) / high) : 255;
  }
  return out;
}
