// Attention as light on the photograph: where there is none, the photograph is grey and dim; where there is as much as
// the scale holds, it stands in its own colours. Nothing covers what is under it.

export const DIM = 0.45; // brightness of the grey photograph
// A lit place is lightened a little as well, warmly: without, light on something black or grey could not be seen.
const WARMTH = 0.2;
const WARM = [255, 190, 90];
const CUBIC = 4; // pixels a cell in each direction; the canvas goes on linearly from there
const FEWEST_CELLS = 12; // fewer a side are shown as cells: between so far places nothing is known

/** Whether a map of this grid is smoothed unless one says otherwise. */
export const smoothGrid = ([rows, cols]) => Math.min(rows, cols) >= FEWEST_CELLS;

/** How much light values get on a scale {low, high, log}: 0 … 1 each, 0 where they are undefined. */
export function lightOf(values, { low, high, log }, out = new Float32Array(values.length)) {
  const start = log ? Math.log(low) : low;
  const range = (log ? Math.log(high) : high) - start;
  for (let j = 0; j < values.length; j++) {
    const level = ((log ? Math.log(Math.max(values[j], low)) : values[j]) - start) / range;
    out[j] = level > 0 ? Math.min(1, level) : 0; // NaN is not > 0
  }
  return out;
}

const weights = Array.from({ length: CUBIC }, (_, f) => {
  const place = (f + 0.5) / CUBIC - 0.5;
  const first = Math.floor(place) - 1;
  const x = place - Math.floor(place);
  // Catmull and Rom 1974: through the cells' own values
  return [first, [
    (-(x ** 3) + 2 * x ** 2 - x) / 2, (3 * x ** 3 - 5 * x ** 2 + 2) / 2,
    (-3 * x ** 3 + 4 * x ** 2 + x) / 2, (x ** 3 - x ** 2) / 2,
  ]];
});

/**
 * rows × cols levels, bicubic between the cells: CUBIC times as many a side, each 0 … 1. `room` has the arrays it is
 * worked out in, {lines, out}, if they are of that size.
 */
export function smoothed(levels, [rows, cols], room = {}) {
  const wide = cols * CUBIC;
  if (room.out?.length !== rows * wide * CUBIC) {
    room.lines = new Float32Array(rows * wide);
    room.out = new Float32Array(rows * wide * CUBIC);
  }
  const { lines, out } = room;
  const within = (i, count) => Math.max(0, Math.min(count - 1, i));
  for (let c = 0; c < cols; c++) {
    weights.forEach(([first, [a, b, d, e]], f) => {
      const [i, j, k, l] = [0, 1, 2, 3].map((step) => within(c + first + step, cols));
      for (let r = 0, at = c * CUBIC + f, from = 0; r < rows; r++, at += wide, from += cols) {
        lines[at] = a * levels[from + i] + b * levels[from + j] + d * levels[from + k] + e * levels[from + l];
      }
    });
  }
  for (let r = 0; r < rows; r++) {
    weights.forEach(([first, [a, b, d, e]], f) => {
      const [i, j, k, l] = [0, 1, 2, 3].map((step) => within(r + first + step, rows) * wide);
      for (let x = 0, at = (r * CUBIC + f) * wide; x < wide; x++, at++) {
        const level = a * lines[i + x] + b * lines[j + x] + d * lines[k + x] + e * lines[l + x];
        out[at] = level > 0 ? Math.min(1, level) : 0;
      }
    });
  }
  return { levels: out, rows: rows * CUBIC, cols: wide };
}

/** One pixel [r, g, b] of the photograph under this much light. */
export function lit([r, g, b], level) {
  const grey = DIM * (0.299 * r + 0.587 * g + 0.114 * b);
  return [r, g, b].map((value, c) => {
    const bright = value + (WARMTH * WARM[c] * (255 - value)) / 255;
    return grey + level * (bright - grey);
  });
}

/** The photograph at a canvas's size, ready to be lit: {bright, dim, plain}, each drawn once a size. */
export function litPhotograph(image, width, height) {
  const [plain, bright, dim] = [0, 1, 2].map(() => Object.assign(document.createElement('canvas'), { width, height }));
  const context = plain.getContext('2d', { willReadFrequently: true });
  context.imageSmoothingQuality = 'high';
  context.drawImage(image, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height);
  const dark = new ImageData(width, height);
  const [red, green, blue] = WARM.map((value) => (WARMTH * value) / 255);
  for (let i = 0, from = pixels.data, to = dark.data; i < from.length; i += 4) {
    to[i] = to[i + 1] = to[i + 2] = DIM * (0.299 * from[i] + 0.587 * from[i + 1] + 0.114 * from[i + 2]);
    to[i + 3] = 255;
    from[i] += red * (255 - from[i]);
    from[i + 1] += green * (255 - from[i + 1]);
    from[i + 2] += blue * (255 - from[i + 2]);
  }
  bright.getContext('2d').putImageData(pixels, 0, 0);
  dim.getContext('2d').putImageData(dark, 0, 0);
  return { bright, dim, plain };
}

// The mask and what it is worked out in are kept: half a megabyte with every move of the pointer would call the garbage
// collector every few seconds.
let mask = null;
let pixels = null;
const room = {};

/** Paints the photograph under the light of `levels`, one a cell, over width × height of the context's units. */
export function paintLight(context, width, height, { bright, dim }, levels, grid, smooth) {
  if (!context.canvas) { // one that only notes what is drawn cannot compose
    const layer = Object.assign(document.createElement('canvas'), { width: bright.width, height: bright.height });
    paintLight(layer.getContext('2d'), layer.width, layer.height, { bright, dim }, levels, grid, smooth);
    context.drawImage(layer, 0, 0, width, height);
    return;
  }
  const map = smooth ? smoothed(levels, grid, room) : { levels, rows: grid[0], cols: grid[1] };
  mask ??= document.createElement('canvas');
  if (pixels?.width !== map.cols || pixels.height !== map.rows) {
    Object.assign(mask, { width: map.cols, height: map.rows });
    pixels = new ImageData(map.cols, map.rows);
  }
  for (let j = 0; j < map.levels.length; j++) pixels.data[4 * j + 3] = 255 * map.levels[j];
  mask.getContext('2d').putImageData(pixels, 0, 0);
  context.save();
  context.clearRect(0, 0, width, height);
  context.imageSmoothingEnabled = smooth;
  context.drawImage(mask, 0, 0, width, height);
  context.globalCompositeOperation = 'source-in'; // the bright photograph as far as the mask lets it
  context.drawImage(bright, 0, 0, width, height);
  context.globalCompositeOperation = 'destination-over'; // and the dim one behind it
  context.drawImage(dim, 0, 0, width, height);
  context.restore();
}

const TONE = [208, 164, 116]; // what the colour bar shows under each light: a middle tone, as of fur

/** Writes RGBA pixels of the colour bar for levels 0 … 1. */
export function lightRampPixels(levels, out) {
  levels.forEach((level, j) => out.set([...lit(TONE, level), 255], 4 * j));
  return out;
}

/** The same from left to right, as a CSS gradient. */
export function lightRamp() {
  const ends = [0, 1].map((level) => `rgb(${lit(TONE, level).map(Math.round).join(' ')})`);
  return `linear-gradient(to right, ${ends.join(', ')})`;
}
