// The pictures that the diagram is made of: real numbers of this photograph, as small canvases.
import { colourise } from '../../web/colourise.js';
import { colormap } from '../../web/colours.js';

const UNIFORM_HIGH = 5; // × uniform at which a map's colour ends, as in the window

function canvasOf(values, rows, cols, range, table) {
  const canvas = Object.assign(document.createElement('canvas'), { width: cols, height: rows });
  const pixels = new ImageData(cols, rows);
  colourise(values, range, colormap(table), pixels.data);
  canvas.getContext('2d').putImageData(pixels, 0, 0);
  return canvas;
}

// Zero lets the page show through, so that it is as light or as dark as all around; blue below, red above.
function signedCanvas(values, rows, cols, most) {
  const canvas = Object.assign(document.createElement('canvas'), { width: cols, height: rows });
  const pixels = new ImageData(cols, rows);
  const table = colormap('diverging');
  values.forEach((value, i) => {
    const end = 3 * (value < 0 ? 38 : 217); // where the map's colours are full and not yet dark
    pixels.data.set([...table.subarray(end, end + 3), Math.min(255, (255 * Math.abs(value)) / most)], 4 * i);
  });
  canvas.getContext('2d').putImageData(pixels, 0, 0);
  return canvas;
}

/** The slices of the cube (channels' maps), q, k and both maps: canvases, made once for a photograph. */
export function texturesOf(value, arrays) {
  const [rows, cols] = value.grid;
  const slices = value.slices.map((_, i) =>
    canvasOf(arrays.slices.subarray(i * rows * cols, (i + 1) * rows * cols), rows, cols, { low: 0, high: 255 }, 'viridis'));
  const factor = (name) => signedCanvas(arrays[name], ...value.factor, 127);
  const map = (name, side) => {
    const uniform = Float32Array.from(arrays[name], (code) => code / value.steps);
    return { values: uniform, side, canvas: canvasOf(uniform, side, side, { low: 0, high: UNIFORM_HIGH }, 'viridis') };
  };
  return {
    slices,
    queries: factor('queries'),
    keys: factor('keys'),
    positions: map('positions', value.sides.positions),
    channels: map('channels', value.sides.channels),
  };
}
