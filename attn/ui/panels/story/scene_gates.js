// Both kinds at once: the map follows the query, the gates below do not move.
import { fixed, rough } from '../../web/numbers.js';
import { CHANNELS, drawBars, drawCover, drawPosition, drawWords } from './picture.js';
import { cellAt, fitted, frameOf } from './places.js';

const STRIP_PX = 64;
const HIGH = 10; // × uniform: what the positions' strip shows in full height
const WORDS_PX = 18;

export function gates({ data, lamp, words, covered }) {
  const grid = () => [data.photograph.rows, data.photograph.cols];
  const positions = () => data.photograph.rows * data.photograph.cols;
  const values = () => data.array('gates_se');
  function parts(size) {
    const strips = 2 * (STRIP_PX + WORDS_PX) + 12;
    const picture = fitted(data.photograph.aspect, { x: 0, y: 0, width: size.width, height: size.height - strips });
    const strip = (n) => ({ x: 0, y: size.height - strips + 12 + n * (STRIP_PX + WORDS_PX) + WORDS_PX, width: size.width, height: STRIP_PX - 6 });
    return { picture, strips: [strip(0), strip(1)] };
  }
  return {
    moves: true,
    draw(ctx, size, colours) {
      const { picture, strips } = parts(size);
      const map = data.mapOf(data.cell);
      lamp.light(ctx, data.photograph, map, picture);
      drawPosition(ctx, picture, grid(), data.cell);
      const names = { positions: words('strip.positions', { n: fixed(positions()), high: HIGH }), gates: words('strip.gates', { n: data.channels }) };
      Object.entries(names).forEach(([name, strip], n) => {
        const line = covered() ? strip : words(`strip.${name}.told`, { strip });
        drawWords(ctx, line, 0, strips[n].y - 16, colours, { width: size.width });
      });
      if (covered()) strips.forEach((strip) => drawCover(ctx, strip, colours));
      else {
        drawBars(ctx, Array.from(map), strips[0], colours, { low: 0, high: HIGH });
        drawBars(ctx, Array.from(values()), strips[1], colours, { low: 0, high: 1, colour: CHANNELS });
      }
    },
    items: () => positions() + data.channels,
    columns: () => data.photograph.cols,
    start: () => data.cell[0] * data.photograph.cols + data.cell[1],
    hit(x, y, size) {
      const { picture, strips: [, gate] } = parts(size);
      const cell = cellAt(picture, ...grid(), x, y);
      if (cell) return cell[0] * data.photograph.cols + cell[1];
      const channel = cellAt({ ...gate, height: gate.height + 6 }, 1, data.channels, x, y);
      return channel && positions() + channel[1];
    },
    place(item, size) {
      const { picture, strips: [, gate] } = parts(size);
      if (item < positions()) return frameOf(picture, ...grid(), data.cellOf(item));
      return frameOf(gate, 1, data.channels, [0, item - positions()]);
    },
    point: (item) => { if (item < positions()) data.pointAt(data.cellOf(item)); },
    describe(item) {
      if (item >= positions()) return words('tip.gate', { channel: item - positions(), value: fixed(values()[item - positions()], 2) });
      const [row, col] = data.cellOf(item);
      return words('tip.where', { row, col, n: rough(data.perplexityOf(data.cell)) });
    },
  };
}
