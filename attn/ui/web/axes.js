// Axes with ticks inside a canvas, and the lines and dots of plots.
import { compact, readable } from './numbers.js';

export const AXIS = { left: 46, right: 10 }; // what a plot leaves free at its sides, in px

const TICK_PX = 20; // numbers of the upright axis need so much each

/** 'Round' places for an axis from low to high, about `count` of them. */
export function ticks(low, high, count) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= rough);
  const places = [];
  const last = Math.floor(high / step + 1e-9);
  for (let i = Math.ceil(low / step - 1e-9); i <= last; i += 1) places.push(i * step + 0); // + 0: never −0
  return places;
}

/** Labels moved down until none is nearer than `gap` to the one above: [{at, ...}] → the same with `y`. */
export function spread(labels, gap) {
  let last = -Infinity;
  return [...labels]
    .sort((a, b) => a.at - b.at)
    .map((label) => {
      last = Math.max(label.at, last + gap);
      return { ...label, y: last };
    });
}

/** Where values lie in a plot of this size: {sx, sy, box}, in CSS pixels. `x`, `y`: the axes' names, if any. */
export function axesOf({ width, height }, [xLow, xHigh], [yLow, yHigh], { x = '', y = '' } = {}) {
  const box = { left: AXIS.left, right: width - AXIS.right, top: y ? 20 : 8, bottom: height - (x ? 34 : 20) };
  const place = (value, low, high, from, to) => from + ((value - low) / (high > low ? high - low : 1)) * (to - from);
  return {
    box,
    sx: (value) => place(value, xLow, xHigh, box.left, box.right),
    sy: (value) => place(value, yLow, yHigh, box.bottom, box.top),
  };
}

/** Draws the axes and returns axesOf(); with `log`, values are powers of ten. */
export function drawAxes(ctx, size, colours, xRange, yRange, { x = '', y = '', log = false } = {}) {
  const axes = axesOf(size, xRange, yRange, { x, y });
  const { box, sx, sy } = axes;
  const whole = (places) => (log ? places.filter((place) => Math.abs(place - Math.round(place)) < 1e-9) : places);
  const name = (value) => (log ? compact(10 ** value) : readable(Number(value.toPrecision(6))));
  ctx.lineWidth = 1;
  ctx.strokeStyle = colours.line;
  ctx.fillStyle = colours.quiet;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'top';
  for (const value of whole(ticks(...xRange, Math.max(2, Math.floor(size.width / 90))))) {
    ctx.fillText(name(value), sx(value), box.bottom + 4);
  }
  if (x) ctx.fillText(x, (box.left + box.right) / 2, size.height - 14);
  ctx.textAlign = 'right';
  ctx.textBaseline = 'middle';
  const lines = Math.max(2, Math.min(4, Math.floor((box.bottom - box.top) / TICK_PX)));
  for (const value of whole(ticks(...yRange, lines))) {
    ctx.beginPath();
    ctx.moveTo(box.left, sy(value));
    ctx.lineTo(box.right, sy(value));
    ctx.stroke();
    ctx.fillText(name(value), box.left - 5, sy(value));
  }
  ctx.textAlign = 'left';
  ctx.textBaseline = 'alphabetic';
  if (y) ctx.fillText(y, 4, 12);
  return axes;
}

export function drawLine(ctx, from, to, colour, { width = 1.5, dash = [] } = {}) {
  ctx.save();
  ctx.setLineDash(dash);
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.beginPath();
  ctx.moveTo(...from);
  ctx.lineTo(...to);
  ctx.stroke();
  ctx.restore();
}

export function drawDot(ctx, x, y, radius, colour, alpha = 1) {
  ctx.save();
  ctx.globalAlpha = alpha;
  ctx.fillStyle = colour;
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  ctx.fill();
  ctx.restore();
}
