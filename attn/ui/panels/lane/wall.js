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
 * What all tiles of width × height share: the photograph (RGBA at that size) without light and in full light, and which
 * of the answers on `grid` each pixel lies between.
 */
export function tileOf(photo, [width, height], [rows, cols]) {
  const dark = new Float64Array(width * height);
  const gain = new Float64Array(3 * width * height); // from there to full light
  for (let i = 0; i < dark.length; i++) {
    dark[i] = DIM * (0.299 * photo[4 * i] + 0.587 * photo[4 * i + 1] + 0.114 * photo[4 * i + 2]);
    for (let k = 0; k < 3; k++) {
      const own = Math.min(255, photo[4 * i + k] * 1.25);
      const warm = own + 0.1 * (3 - k) * (255 - own); // red 0.3, green 0.2, blue 0.1 of the way to white
      gain[3 * i + k] = warm - dark[i];
    }
  }
  return { width, height, cols, dark, gain, across: between(width, cols), down: between(height, rows) };
}

// For each of `length` pixels over `count` cells: the cells before and after it, and how far it is on the way.
function between(length, count) {
  const before = new Int32Array(length);
  const after = new Int32Array(length);
  const share = new Float64Array(length);
  for (let x = 0; x < length; x++) {
    const place = ((x + 0.5) / length) * count - 0.5;
    const first = Math.floor(place);
    before[x] = Math.max(0, first);
    after[x] = Math.min(count - 1, first + 1);
    share[x] = place - first;
  }
  return { before, after, share };
}

/**
 * Writes a tile's pixels into `out` (RGBA, `stride` pixels a line) at left, top. answers: a channel's values. light:
 * 0 … 1, how much of the answers goes on: at 0 the photograph is left, grey and dim, as where the map beside has no
 * light.
 */
export function drawTile(out, stride, [left, top], { width, height, cols, dark, gain, across, down }, answers, light) {
  let sum = 0;
  for (let j = 0; j < answers.length; j++) sum += Math.max(0, answers[j]);
  const full = (ANSWERS * sum) / answers.length || 1;
  const share = Math.max(0, Math.min(1, light));
  for (let y = 0, i = 0; y < height; y++) {
    const above = down.before[y] * cols;
    const below = down.after[y] * cols;
    const fy = down.share[y];
    for (let x = 0, to = 4 * ((top + y) * stride + left); x < width; x++, i++, to += 4) {
      const before = across.before[x];
      const after = across.after[x];
      const fx = across.share[x];
      const value = (answers[above + before] * (1 - fx) + answers[above + after] * fx) * (1 - fy) +
        (answers[below + before] * (1 - fx) + answers[below + after] * fx) * fy;
      const lit = share * Math.sqrt(Math.max(0, Math.min(1, value / full)));
      out[to] = dark[i] + lit * gain[3 * i];
      out[to + 1] = dark[i] + lit * gain[3 * i + 1];
      out[to + 2] = dark[i] + lit * gain[3 * i + 2];
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
  const tile = tileOf(shrink(photo, width, height), [width, height], grid);
  const tiles = channels.map((channel, i) => ({
    channel,
    left: Math.floor((i % layout.columns) * layout.width * density) + GAP,
    top: Math.floor(Math.floor(i / layout.columns) * layout.height * density) + GAP,
  }));
  for (const { channel, left, top } of tiles) {
    drawTile(pixels.data, pixels.width, [left, top], tile, answersOf(channel), lightOfChannel(channel));
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
