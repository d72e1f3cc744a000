// The picture: the photograph, a map over it, the query's frame and the pins.
import { drawCell } from '../../web/cell.js';
import { colourise } from '../../web/colourise.js';
import { colormap } from '../../web/colours.js';
import { lightOf, paintLight, smoothGrid } from '../../web/light.js';
import { massPositions } from '../../web/statistics.js';

export const PIN_COLOURS = ['#e69f00', '#56b4e9', '#2bb58a', '#f0e442', '#ff8a65', '#d58fc0']; // dark digits read on each

export const tableFor = (signed, view) => colormap(signed ? 'diverging' : view.colormap);
export const isLight = (signed, view) => view.colormap === 'light' && !signed; // a difference has two colours
export const isSmooth = (view, grid) => view.smooth ?? smoothGrid(grid);

/**
 * Fills ctx (width × height of its units) with the photograph and the map on it; `picture` is {bright, dim, plain}: see
 * litPhotograph(), and as it is.
 */
export function paintMap(ctx, width, height, picture, map, scale, { data, view }) {
  const grid = [data.rows, data.cols];
  const mass = view.share && map.p ? map.p : null;
  const least = mass ? massPositions(mass, view.share).least : 0;
  if (isLight(map.signed, view)) {
    const levels = lightOf(map.values, scale);
    if (mass) for (let j = 0; j < levels.length; j++) if (mass[j] < least) levels[j] = 0;
    paintLight(ctx, width, height, picture, levels, grid, isSmooth(view, grid));
    return;
  }
  const heat = data.heat.getContext('2d');
  const pixels = heat.createImageData(data.cols, data.rows);
  colourise(map.values, scale, tableFor(map.signed, view), pixels.data, mass, least);
  heat.putImageData(pixels, 0, 0);
  const dimmed = view.colormap === 'light';
  ctx.drawImage(dimmed ? picture.dim : picture.plain, 0, 0, width, height);
  ctx.globalAlpha = dimmed ? 1 : view.opacity;
  ctx.imageSmoothingEnabled = isSmooth(view, grid);
  ctx.drawImage(data.heat, 0, 0, width, height);
  ctx.globalAlpha = 1;
}

/** The frame of `cell` and the numbered pins; `pixel` is one CSS pixel in ctx's units. */
export function paintMarkers(ctx, width, height, cell, { data, view }, pixel = 1) {
  drawCell(ctx, width, height, [data.rows, data.cols], cell, pixel);
  const radius = 9 * pixel;
  ctx.font = `bold ${12 * pixel}px sans-serif`;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'middle';
  ctx.lineWidth = 1.5 * pixel;
  view.pins.forEach(([row, col], index) => {
    const x = Math.min(width - radius, Math.max(radius, ((col + 0.5) * width) / data.cols));
    const y = Math.min(height - radius, Math.max(radius, ((row + 0.5) * height) / data.rows));
    ctx.beginPath();
    ctx.arc(x, y, radius, 0, 2 * Math.PI);
    ctx.fillStyle = PIN_COLOURS[index];
    ctx.fill();
    ctx.strokeStyle = '#111';
    ctx.stroke();
    ctx.fillStyle = '#111';
    ctx.fillText(String(index + 1), x, y + pixel / 2);
  });
}
