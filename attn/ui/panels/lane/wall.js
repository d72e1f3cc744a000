// The wall: one small photograph a channel, lit where that channel answers, as bright as its weight; the heaviest first.
import { DIM } from '../../web/light.js';

const LEAST_SIDE = 24; // CSS pixels of a tile's longer side: what a finger still finds; 256 fit on any screen
const DOT = 3; // CSS pixels
const GAP = 1;
const ANSWERS = 4; // times its mean: a channel's answer that lights a place fully

/** Channels from the heaviest weight to the lightest. */
export function heaviestFirst(weights) {
  return Array.from(weights.keys()).sort((a, b) => weights[b] - weights[a] || a - b);
}

/**
 * Tiles of this aspect in a box: as many as can be told apart, at most `count`, in full rows if there are more channels
 * than tiles. {columns, rows, shown, width, height}: tiles across and down, how many there are, their size.
 */
export function layOut(count, [boxWidth, boxHeight], aspect) {
  let best = null;
  for (let columns = 1; columns <= count; columns++) {
    const width = boxWidth / columns;
    const height = width / aspect;
    const rows = Math.min(Math.ceil(count / columns), Math.max(1, Math.floor(boxHeight / height + 1e-6)));
    const fit = Math.min(1, boxHeight / (rows * height));
    if (best && Math.max(width, height) * fit < LEAST_SIDE) break;
    const shown = Math.min(count, rows * columns);
    best = { columns, rows, shown, width: width * fit, height: height * fit };
    if (shown === count) break;
  }
  return best;
}

/** Which of the sorted channels the tiles show: all, or evenly spaced ones from the heaviest to the lightest. */
export function spaced(sorted, shown) {
  if (shown >= sorted.length) return sorted;
  if (shown === 1) return sorted.slice(0, 1);
  return Array.from({ length: shown }, (_, i) => sorted[Math.round((i * (sorted.length - 1)) / (shown - 1))]);
}

/**
 * Writes a tile's pixels into `out` (RGBA, `stride` pixels a line) at left, top.
 * photo: RGBA of the photograph at width × height. answers: a channel's values on `grid`. light: 0 … 1, how much of the
 * answers goes on: at 0 the photograph is left, grey and dim, as where the map beside has no light.
 */
export function drawTile(out, stride, [left, top], photo, [width, height], answers, [rows, cols], light) {
  let sum = 0;
  for (const value of answers) sum += Math.max(0, value);
  const full = (ANSWERS * sum) / answers.length || 1;
  const share = Math.max(0, Math.min(1, light));
  const within = (i, count) => Math.max(0, Math.min(count - 1, i));
  for (let y = 0; y < height; y++) {
    const v = ((y + 0.5) / height) * rows - 0.5;
    const r = Math.floor(v);
    const [above, below] = [within(r, rows) * cols, within(r + 1, rows) * cols];
    for (let x = 0; x < width; x++) {
      const u = ((x + 0.5) / width) * cols - 0.5;
      const c = Math.floor(u);
      const [before, after, fx, fy] = [within(c, cols), within(c + 1, cols), u - c, v - r];
      const value = (answers[above + before] * (1 - fx) + answers[above + after] * fx) * (1 - fy) +
        (answers[below + before] * (1 - fx) + answers[below + after] * fx) * fy;
      const level = Math.sqrt(Math.max(0, Math.min(1, value / full)));
      const from = 4 * (y * width + x);
      const to = 4 * ((top + y) * stride + left + x);
      const grey = DIM * (0.299 * photo[from] + 0.587 * photo[from + 1] + 0.114 * photo[from + 2]);
      for (let k = 0; k < 3; k++) {
        const own = Math.min(255, photo[from + k] * 1.25);
        const warm = own + 0.1 * (3 - k) * (255 - own); // red 0.3, green 0.2, blue 0.1 of the way to white
        out[to + k] = grey + share * level * (warm - grey);
      }
      out[to + 3] = 255;
    }
  }
}

/** The wall as pixels: {pixels: ImageData, tiles: [{channel, left, top}], size: [width, height] of a tile}. */
export function drawWall(photo, layout, density, channels, answersOf, grid, lightOfChannel) {
  const [width, height] = [layout.width, layout.height].map((side) => Math.max(1, Math.floor(side * density) - 2 * GAP));
  const pixels = new ImageData(
    Math.round(layout.columns * layout.width * density), Math.round(layout.rows * layout.height * density),
  );
  const small = shrink(photo, width, height);
  const tiles = channels.map((channel, i) => ({
    channel,
    left: Math.floor((i % layout.columns) * layout.width * density) + GAP,
    top: Math.floor(Math.floor(i / layout.columns) * layout.height * density) + GAP,
  }));
  for (const { channel, left, top } of tiles) {
    const light = lightOfChannel(channel);
    drawTile(pixels.data, pixels.width, [left, top], small, [width, height], answersOf(channel), grid, light);
  }
  return { pixels, tiles, size: [width, height] };
}

/** Frames the tile of the channel pointed at and marks `cell` of `grid` in it; every other tile stays as it is. */
export function drawMarks(context, { tiles, size: [width, height], density }, channel, cell, [rows, cols]) {
  const tile = tiles.find((one) => one.channel === channel);
  if (!tile) return;
  context.save();
  context.beginPath();
  context.rect(tile.left, tile.top, width, height);
  context.clip();
  if (cell) {
    const dot = DOT * density;
    const x = tile.left + ((cell[1] + 0.5) / cols) * width - dot / 2;
    const y = tile.top + ((cell[0] + 0.5) / rows) * height - dot / 2;
    context.fillStyle = '#000';
    context.fillRect(x - density, y - density, dot + 2 * density, dot + 2 * density);
    context.fillStyle = '#fff';
    context.fillRect(x, y, dot, dot);
  }
  context.lineWidth = 4 * density; // the outer half lies outside of the tile
  context.strokeStyle = '#fff';
  context.strokeRect(tile.left, tile.top, width, height);
  context.restore();
}

function shrink(photo, width, height) {
  const context = Object.assign(document.createElement('canvas'), { width, height }).getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(photo, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}
