// The photograph cut into its positions and shuffled: the block without an encoding gives the same map, shuffled; with
// one, another map. In three pictures each: before, after, put back in order.
import { rough } from '../../web/numbers.js';
import { decodeRow } from '../../web/rows.js';
import { drawCover, drawPosition, drawWords, lamp as newLamp } from './picture.js';
import { below, cellAt, fitted, frameOf, split } from './places.js';

const WAYS = ['spatial', 'spatial_position'];
const TIMES = ['before', 'after', 'restored'];

export function shuffle({ data, lamp, words, covered }) {
  const tiles = newLamp();
  let cut = null; // the photograph with its positions shuffled
  const grid = () => [data.photograph.rows, data.photograph.cols];
  const row = (way, time) => decodeRow(data.arrays, `shuffle_${time}`, WAYS.indexOf(way)).map((p) => p * data.positions);

  function shuffled() {
    if (cut?.of === data.photograph) return cut;
    const { image, rows, cols } = data.photograph;
    const [width, height] = [cols * 16, rows * 16];
    const whole = Object.assign(document.createElement('canvas'), { width, height });
    whole.getContext('2d').drawImage(image, 0, 0, width, height);
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const ctx = canvas.getContext('2d');
    data.arrays.permutation.forEach((from, to) => {
      ctx.drawImage(whole, (from % cols) * 16, Math.floor(from / cols) * 16, 16, 16, (to % cols) * 16, Math.floor(to / cols) * 16, 16, 16);
    });
    cut = { of: data.photograph, image: canvas, rows, cols };
    return cut;
  }
  const query = (time) => (time === 'after' ? data.cellOf(data.arrays.permutation.indexOf(data.indexOf(data.queries[0]))) : data.queries[0]);
  const boxes = (size) => split({ x: 0, y: 0, ...size }, 2, 10, true)
    .flatMap((line) => split(below(line, 20), 3, 8))
    .map((part) => fitted(data.photograph.aspect, below(part, 16)));
  const which = (item) => [WAYS[Math.floor(item / 3)], TIMES[item % 3]];
  return {
    draw(ctx, size, colours) {
      boxes(size).forEach((box, n) => {
        const [way, time] = which(n);
        if (n % 3 === 0) drawWords(ctx, words(`shuffle.${way}`), 0, (n / 3) * (size.height / 2 + 5), colours, { bold: true, width: size.width });
        drawWords(ctx, words(`shuffle.${time}`), box.x, box.y - 15, colours, { width: box.width, quiet: true });
        if (covered() && time === 'restored') {
          drawCover(ctx, box, colours);
          return;
        }
        if (covered() && time === 'after') tiles.plain(ctx, shuffled(), box);
        else (time === 'after' ? tiles : lamp).light(ctx, time === 'after' ? shuffled() : data.photograph, row(way, time), box);
        drawPosition(ctx, box, grid(), query(time));
      });
    },
    items: () => 6 * data.positions,
    columns: () => data.photograph.cols,
    hit(x, y, size) {
      for (const [n, box] of boxes(size).entries()) {
        const cell = cellAt(box, ...grid(), x, y);
        if (cell) return n * data.positions + data.indexOf(cell);
      }
      return null;
    },
    place: (item, size) => frameOf(boxes(size)[Math.floor(item / data.positions)], ...grid(), data.cellOf(item % data.positions)),
    describe(item) {
      const [way, time] = which(Math.floor(item / data.positions));
      const [r, c] = data.cellOf(item % data.positions);
      return words('tip.shuffle', { when: words(`shuffle.${time}`), row: r, col: c, value: rough(row(way, time)[item % data.positions]) });
    },
  };
}
