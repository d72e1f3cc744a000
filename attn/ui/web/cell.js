// Cells of a grid: which one the pointer is over, the same spot of another grid, directions, and how one is framed.

export const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export const sameCell = (a, b) => a[0] === b[0] && a[1] === b[1];

export const clampCell = ([row, col], [rows, cols]) => [
  Math.max(0, Math.min(rows - 1, row)), Math.max(0, Math.min(cols - 1, col)),
];

/** The cell [row, col] of the grid laid over `node` that is under the pointer. */
export function cellUnder(event, node, [rows, cols]) {
  const box = node.getBoundingClientRect();
  return clampCell([
    Math.floor(((event.clientY - box.top) / box.height) * rows),
    Math.floor(((event.clientX - box.left) / box.width) * cols),
  ], [rows, cols]);
}

/** The cell of a grid [height, width] at the same place as one of a grid of rows × cols (by default the same grid). */
export function sameSpot({ row, col, rows, cols }, [height, width]) {
  const here = (place, from, to) => Math.max(0, Math.min(to - 1, Math.floor(((place + 0.5) / (from ?? to)) * to)));
  return [here(row, rows, height), here(col, cols, width)];
}

/** One of eight directions as text keys ("up-left"), or "here" below `least` pixels. */
export function compass([down, right], least) {
  if (Math.hypot(down, right) < least) return 'here';
  const names = ['right', 'down-right', 'down', 'down-left', 'left', 'up-left', 'up', 'up-right'];
  return names[(Math.round(Math.atan2(down, right) / (Math.PI / 4)) + 8) % 8];
}

/** Cell [row, col] framed so that it is seen on light and on dark; returns its box [left, top, width, height]. */
export function drawCell(ctx, width, height, [rows, cols], [row, col], pixel = 1) {
  const box = [(col * width) / cols, (row * height) / rows, width / cols, height / rows];
  for (const [colour, thickness] of [['#000', 4], ['#fff', 2]]) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = thickness * pixel;
    ctx.strokeRect(...box);
  }
  return box;
}

/** A label beside a cell's box, inside the picture. */
export function drawCellLabel(ctx, width, height, [left, top, wide, high], label) {
  ctx.save();
  ctx.font = `bold ${ctx.font}`;
  ctx.textBaseline = 'middle';
  const x = Math.min(width - 12, left + wide + 3);
  const y = Math.min(height - 8, Math.max(8, top + high / 2));
  ctx.strokeStyle = '#000';
  ctx.lineWidth = 3;
  ctx.strokeText(label, x, y);
  ctx.fillStyle = '#fff';
  ctx.fillText(label, x, y);
  ctx.restore();
}

/** A thin frame around a matrix's row, and arrowheads at its ends. */
export function drawRowMark(ctx, width, height, row, rows) {
  const y = ((row + 0.5) * height) / rows;
  const half = Math.max(2, height / rows / 2 + 1);
  for (const [colour, out] of [['#000', 1], ['#fff', 0]]) {
    ctx.strokeStyle = colour;
    ctx.fillStyle = colour;
    ctx.lineWidth = 1;
    ctx.strokeRect(-1, y - half - out, width + 2, 2 * (half + out));
    for (const [x, inward] of [[0, 1], [width, -1]]) {
      ctx.beginPath();
      ctx.moveTo(x, y - 5 - out);
      ctx.lineTo(x, y + 5 + out);
      ctx.lineTo(x + inward * (6 + out), y);
      ctx.fill();
    }
  }
}
