// Pieces that several scenes draw: the photograph lit by a map, a framed position, a strip of bars, words.
import { colourise } from '../../web/colourise.js';
import { colormap } from '../../web/colours.js';
import { lightOf, litPhotograph, paintLight, smoothGrid } from '../../web/light.js';

export const POSITIONS = '#0d9488'; // attention over positions, in every picture of the story
export const CHANNELS = '#ea580c'; // and over channels
export const HIGH = 5; // × uniform at which a place stands in full light, as in the window
const SCALE = { low: 0, high: HIGH, log: false };

/** Draws photographs into boxes, under light or as they are; what does not change between frames is kept. */
export function lamp() {
  const kept = new Map(); // size → the photograph at that size
  let image = null;
  return {
    plain(ctx, photograph, box) {
      ctx.drawImage(photograph.image, box.x, box.y, box.width, box.height);
    },
    /** values: × uniform, one a position. */
    light(ctx, photograph, values, box) {
      if (image !== photograph.image) {
        kept.clear();
        image = photograph.image;
      }
      const density = window.devicePixelRatio || 1;
      const [width, height] = [Math.max(1, Math.round(box.width * density)), Math.max(1, Math.round(box.height * density))];
      const size = `${width} ${height}`;
      if (!kept.has(size)) {
        if (kept.size > 6) kept.clear();
        kept.set(size, {
          photo: litPhotograph(image, width, height),
          canvas: Object.assign(document.createElement('canvas'), { width, height }),
        });
      }
      const { photo, canvas } = kept.get(size);
      const grid = [photograph.rows, photograph.cols];
      paintLight(canvas.getContext('2d'), width, height, photo, lightOf(values, SCALE), grid, smoothGrid(grid));
      ctx.drawImage(canvas, box.x, box.y, box.width, box.height);
    },
  };
}

/** What is not shown before the reader has said what they expect. */
export function drawCover(ctx, { x, y, width, height }, colours) {
  ctx.save();
  ctx.strokeStyle = colours.quiet;
  ctx.setLineDash([5, 4]);
  ctx.strokeRect(x + 0.5, y + 0.5, Math.max(0, width - 1), Math.max(0, height - 1));
  ctx.font = `bold ${colours.font.replace(/^[\d.]+px/, `${Math.max(12, Math.min(40, height * 0.5))}px`)}`;
  ctx.fillStyle = colours.quiet;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'middle';
  ctx.fillText('?', x + width / 2, y + height / 2);
  ctx.restore();
}

/** Values (rows × cols) in a colour map over low … high. */
export function drawMap(ctx, values, [rows, cols], box, { low, high, table = 'viridis' }) {
  const canvas = Object.assign(document.createElement('canvas'), { width: cols, height: rows });
  const pixels = new ImageData(cols, rows);
  colourise(values, { low, high: high > low ? high : low + 1 }, colormap(table), pixels.data);
  canvas.getContext('2d').putImageData(pixels, 0, 0);
  ctx.save();
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(canvas, box.x, box.y, box.width, box.height);
  ctx.restore();
}

/** A position framed so that it is seen on light and on dark. */
export function drawPosition(ctx, box, [rows, cols], [row, col]) {
  const at = [box.x + (col * box.width) / cols, box.y + (row * box.height) / rows, box.width / cols, box.height / rows];
  for (const [colour, thickness] of [['#000', 4], ['#fff', 2]]) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = thickness;
    ctx.strokeRect(...at);
  }
}

/** Bars of values around zero (or from it), the whole width of the box; `marked` is one of them. */
export function drawBars(ctx, values, box, colours, { low, high, colour = POSITIONS, marked = null } = {}) {
  const least = low ?? Math.min(0, ...values);
  const most = high ?? Math.max(0, ...values);
  const y = (value) => box.y + box.height * (1 - (value - least) / (most - least || 1));
  const step = box.width / values.length;
  values.forEach((value, i) => {
    ctx.fillStyle = i === marked ? colours.text : colour;
    const [from, to] = [y(0), y(Math.max(least, Math.min(most, value)))];
    ctx.fillRect(box.x + i * step, Math.min(from, to), Math.max(0.7, step * 0.86), Math.max(0.7, Math.abs(to - from)));
  });
  ctx.fillStyle = colours.line;
  ctx.fillRect(box.x, y(0) - 0.5, box.width, 1);
}

/** One line of words at (x, y), its top left corner; kept within `width` where given. */
export function drawWords(ctx, text, x, y, colours, { width, bold = false, align = 'left', quiet = false } = {}) {
  ctx.save();
  ctx.font = bold ? `bold ${colours.font}` : colours.font;
  ctx.fillStyle = quiet ? colours.quiet : colours.text;
  ctx.textAlign = align;
  ctx.textBaseline = 'top';
  // Chinese letters rise over the first font's own top: all equally far, so that words beside each other are level.
  const above = ctx.measureText(/\p{Script=Han}/u.test(text) ? '国' : text).actualBoundingBoxAscent;
  ctx.fillText(text, x, y + Math.max(0, Math.ceil(above ?? 0)), width);
  ctx.restore();
}

/** An arrow from one point to another. */
export function drawArrow(ctx, [x0, y0], [x1, y1], colour) {
  const angle = Math.atan2(y1 - y0, x1 - x0);
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.lineWidth = 1.5;
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  for (const turn of [2.6, -2.6]) ctx.lineTo(x1 + 7 * Math.cos(angle + turn), y1 + 7 * Math.sin(angle + turn));
  ctx.fill();
}
