// Where the parts of one matrix product lie while it is turned from q kᵀ (rows are positions) to qᵀ k (rows are
// channels). A square of side n + c: the left factor below the corner `split`, the upper one right of it, and their
// product in what is left. Turning moves the corner along the diagonal and flips both factors over theirs.

// Sides for N positions and C channels, in px within `space`: in proportion, as far as both can still be seen.
const SLIMMEST = 0.16;

export function sides(positions, channels, space) {
  const share = Math.min(1 - SLIMMEST, Math.max(SLIMMEST, positions / (positions + channels)));
  return { n: share * space, c: (1 - share) * space };
}

// turn: 0 = positions … 1 = channels. `flip` is the 2 × 2 matrix [a, b, b, a] that both factors are drawn under: the
// identity at 0, the transposition at 1, a card turning over its diagonal between.
export function layout({ n, c }, turn, gap) {
  const split = c + (n - c) * turn;
  const cosine = Math.cos(Math.PI * turn);
  const product = n + c - split;
  return {
    split,
    flip: [(1 + cosine) / 2, (1 - cosine) / 2],
    left: { x: 0, y: split + gap, width: c, height: n }, // q, as stored: a row a position
    upper: { x: split + gap, y: 0, width: n, height: c }, // kᵀ
    product: { x: split + gap, y: split + gap, side: product },
  };
}

// What lies under (x, y): a row and a column of the product as shares 0 … 1, or null. Only when nothing turns.
export function under(layout, x, y) {
  const { x: left, y: top, side } = layout.product;
  const column = (x - left) / side;
  const row = (y - top) / side;
  return row >= 0 && row < 1 && column >= 0 && column < 1 ? { row, column } : null;
}

// The corner points of slice `index` of `count` in a stack that recedes up and to the right.
export function slice(index, count, { x, y, width, height }, depth) {
  const back = count > 1 ? 1 - index / (count - 1) : 0; // slice 0 is furthest away
  return { x: x + back * depth, y: y + (1 - back) * depth, width: width - depth, height: height - depth };
}

// Slow at both ends.
export const ease = (t) => (t < 0.5 ? 4 * t ** 3 : 1 - (-2 * t + 2) ** 3 / 2);
