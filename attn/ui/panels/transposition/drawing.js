// The two pictures: the cube of features with what a row of the product stands for, and the product being turned.
import { layout, sides, slice } from './geometry.js';

const DEPTH = 0.3; // of the cube's picture: how far its slices recede
const LABEL_PX = 20;
const GAP = 5;
const LINE_PX = 13; // height of a line of words

/** The cube h × w × C: channels' maps one behind the other. Marked: one position through all, or one channel. */
export function drawCube(ctx, { width, height }, colours, { textures, labels, marked, turn, at }) {
  const frame = { x: LABEL_PX, y: 6, width: width - 2 * LABEL_PX, height: height - LABEL_PX - 30 };
  const depth = DEPTH * frame.width;
  const count = textures.slices.length;
  ctx.imageSmoothingEnabled = false;
  let front = null;
  textures.slices.forEach((picture, index) => {
    front = slice(index, count, frame, depth);
    ctx.globalAlpha = marked !== null && turn > 0.5 && index !== marked % count ? 0.35 : 1;
    ctx.drawImage(picture, front.x, front.y, front.width, front.height);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = colours.paper;
    ctx.lineWidth = 1;
    ctx.strokeRect(front.x, front.y, front.width, front.height);
  });
  if (turn < 0.5) drawFibre(ctx, slice(0, count, frame, depth), front, at);
  ctx.fillStyle = colours.quiet;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'top';
  ctx.fillText(labels.width, front.x + front.width / 2, front.y + front.height + 5);
  ctx.save();
  ctx.translate(front.x - 4, front.y + front.height / 2);
  ctx.rotate(-Math.PI / 2);
  ctx.textBaseline = 'bottom';
  ctx.fillText(labels.height, 0, 0);
  ctx.restore();
  // Along the edge that recedes, as near to its middle as the picture's border lets it be whole.
  const half = (ctx.measureText(labels.channels).width / 2) * Math.SQRT1_2;
  const middle = [front.x + front.width + depth / 2 + 6, front.y + front.height - depth / 2 + 6];
  const out = Math.max(0, middle[0] + half + LINE_PX * Math.SQRT1_2 - width);
  ctx.save();
  ctx.translate(middle[0] - out, middle[1] + out); // down the edge
  ctx.rotate(-Math.PI / 4);
  ctx.textBaseline = 'top';
  ctx.fillText(labels.channels, 0, 0);
  ctx.restore();
}

// One position in every slice: the numbers that are one row of q.
function drawFibre(ctx, back, front, [row, col]) {
  const point = (face) => [face.x + col * face.width, face.y + row * face.height];
  for (const [colour, thickness] of [['#000', 5], ['#fff', 2.5]]) {
    ctx.strokeStyle = ctx.fillStyle = colour;
    ctx.lineWidth = thickness;
    ctx.lineCap = 'round';
    ctx.beginPath();
    ctx.moveTo(...point(back));
    ctx.lineTo(...point(front));
    ctx.stroke();
    ctx.beginPath();
    ctx.arc(...point(front), thickness, 0, 2 * Math.PI);
    ctx.fill();
  }
}

/** What lies where in the product's picture at this stage of the turn. */
export function plan({ width, height }, { positions, channels }, turn) {
  const space = Math.min(width, height) - LABEL_PX - GAP - 2;
  return { ...layout(sides(positions, channels, space), turn, GAP), shift: LABEL_PX };
}

/** Left factor × upper factor = map. `cell`: the row and column looked at, as shares 0 … 1, or null. */
export function drawProduct(ctx, size, colours, { textures, labels, counts, turn, cell }) {
  const { left, upper, product, flip, shift } = plan(size, counts, turn);
  const [a, b] = flip;
  ctx.save();
  ctx.translate(shift, shift);
  const flipped = (at, draw) => {
    ctx.save();
    ctx.translate(at.x, at.y);
    ctx.transform(a, b, b, a, 0, 0);
    draw();
    ctx.restore();
  };
  flipped(left, () => {
    ctx.drawImage(textures.queries, 0, 0, left.width, left.height);
    ctx.strokeStyle = colours.line;
    ctx.strokeRect(0, 0, left.width, left.height);
  });
  // k's picture has a row a position: kᵀ is that picture turned over its diagonal.
  flipped(upper, () => {
    ctx.transform(0, 1, 1, 0, 0, 0);
    ctx.drawImage(textures.keys, 0, 0, upper.height, upper.width);
    ctx.strokeStyle = colours.line;
    ctx.strokeRect(0, 0, upper.height, upper.width);
  });
  ctx.imageSmoothingEnabled = textures.positions.side > product.side;
  for (const [map, alpha] of [[textures.positions, 1 - turn], [textures.channels, turn]]) {
    ctx.globalAlpha = alpha;
    if (alpha) ctx.drawImage(map.canvas, product.x, product.y, product.side, product.side);
  }
  ctx.globalAlpha = 1;
  ctx.strokeStyle = colours.line;
  ctx.strokeRect(product.x, product.y, product.side, product.side);
  if (cell && (turn === 0 || turn === 1)) drawCrossing(ctx, { left, upper, product, turn }, cell);
  ctx.restore();
  if (turn === 0 || turn === 1) drawLabels(ctx, size, colours, { product, shift, turn }, labels);
}

// The row and the column that the cell is the product of.
function drawCrossing(ctx, { left, upper, product, turn }, { row, column }) {
  const y = product.y + row * product.side;
  const x = product.x + column * product.side;
  const wide = turn ? left.height : left.width;
  const tall = turn ? upper.width : upper.height;
  for (const [colour, thickness] of [['#000', 3.5], ['#fff', 1.5]]) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = thickness;
    ctx.beginPath();
    ctx.moveTo(0, y);
    ctx.lineTo(wide, y);
    ctx.moveTo(x, 0);
    ctx.lineTo(x, tall);
    ctx.stroke();
    ctx.strokeRect(x - 3, y - 3, 6, 6);
  }
}

function drawLabels(ctx, { width, height }, colours, { product, shift, turn }, labels) {
  const { x, y, side } = product;
  ctx.fillStyle = colours.text;
  ctx.font = colours.font;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'bottom';
  ctx.fillText(labels.upper[turn], middleOf(ctx, labels.upper[turn], shift + x + side / 2, width), shift - 3);
  ctx.save();
  ctx.translate(shift - 4, middleOf(ctx, labels.left[turn], shift + y + side / 2, height));
  ctx.rotate(-Math.PI / 2);
  ctx.fillText(labels.left[turn], 0, 0);
  ctx.restore();
}

/** Where the middle of a line of words goes: at `middle`, or as near to it as the words are whole within 0 … end. */
export function middleOf(ctx, text, middle, end) {
  const half = ctx.measureText(text).width / 2;
  return Math.max(half, Math.min(middle, end - half - 1));
}
