// Where things lie in a picture of several parts, in CSS pixels: {x, y, width, height}.

/** The largest box of this aspect (width over height) in the middle of another. */
export function fitted(aspect, { x, y, width, height }) {
  const w = Math.min(width, height * aspect);
  const h = w / aspect;
  return { x: x + (width - w) / 2, y: y + (height - h) / 2, width: w, height: h };
}

/** A box cut into `count` columns (or rows, with `down`) with `gap` between. */
export function split({ x, y, width, height }, count, gap, down = false) {
  return Array.from({ length: count }, (_, i) => {
    if (down) {
      const h = (height - gap * (count - 1)) / count;
      return { x, y: y + i * (h + gap), width, height: h };
    }
    const w = (width - gap * (count - 1)) / count;
    return { x: x + i * (w + gap), y, width: w, height };
  });
}

/** A box without a strip of its height at the top or, with `px` below 0, at the bottom. */
export function below({ x, y, width, height }, px) {
  return px >= 0 ? { x, y: y + px, width, height: height - px } : { x, y, width, height: height + px };
}

/** The cell [row, col] of a grid under (px, py) in a box, or null. */
export function cellAt(box, rows, cols, px, py) {
  const row = Math.floor(((py - box.y) / box.height) * rows);
  const col = Math.floor(((px - box.x) / box.width) * cols);
  return row >= 0 && row < rows && col >= 0 && col < cols ? [row, col] : null;
}

/** The frame of cell [row, col] in a box, as makeFigure's `place` wants it: [left, top, width, height]. */
export function frameOf(box, rows, cols, [row, col]) {
  return [box.x + (col * box.width) / cols, box.y + (row * box.height) / rows, box.width / cols, box.height / rows];
}
