// Values as small pictures, and maps over a photograph.
import { colourise } from './colourise.js';
import { colormap } from './colours.js';

/** Values (rows × cols) as a canvas of one pixel each; undefined ones stay transparent. */
export function picture(values, rows, cols, { table, low, high, log = false }) {
  const canvas = Object.assign(document.createElement('canvas'), { width: cols, height: rows });
  const pixels = new ImageData(cols, rows);
  const flat = table === 'diverging' ? { low: -1, high: 1 } : { low, high: low + 1 };
  colourise(values, { ...(high > low ? { low, high } : flat), log }, colormap(table), pixels.data);
  canvas.getContext('2d').putImageData(pixels, 0, 0);
  return canvas;
}

/** Draws it over the whole figure: cells stay sharp, a matrix larger than the figure is averaged. */
export function drawPicture(ctx, { width, height }, image, alpha = 1) {
  ctx.save();
  ctx.imageSmoothingEnabled = image.width > width;
  ctx.globalAlpha = alpha;
  ctx.drawImage(image, 0, 0, width, height);
  ctx.restore();
}

/** A map over the grey photograph. */
export function drawOver(ctx, size, grey, values, [rows, cols], scale) {
  ctx.drawImage(grey, 0, 0, size.width, size.height);
  drawPicture(ctx, size, picture(values, rows, cols, scale), 0.72);
}

/** The photograph without its colours. */
export function greyOf(image) {
  const [width, height] = [image.naturalWidth || image.width, image.naturalHeight || image.height];
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const ctx = canvas.getContext('2d');
  ctx.drawImage(image, 0, 0);
  ctx.globalCompositeOperation = 'saturation';
  ctx.fillStyle = '#000';
  ctx.fillRect(0, 0, width, height);
  return canvas;
}
