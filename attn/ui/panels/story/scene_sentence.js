// The same in a sentence: attention among its words as written, and shuffled and put back in order.
import { language } from '../../web/texts.js';
import { percent } from '../../web/numbers.js';
import { drawCover, drawMap, drawWords } from './picture.js';
import { below, cellAt, frameOf, split } from './places.js';

const WAYS = ['without', 'with'];
const LABELS_PX = 58;

export function sentence({ data, words, covered }) {
  const shown = () => data.facts.sentence[language()] ?? data.facts.sentence.en;
  const count = () => shown().tokens.length;
  // Put back in order: row i of the sentence as written is where its token went.
  const restored = (way) => {
    const { order } = shown();
    const back = order.map((_, i) => order.indexOf(i));
    return back.map((i) => back.map((j) => shown()[way].shuffled[i][j]));
  };
  const matrices = () => WAYS.flatMap((way) => [shown()[way].attention, restored(way)]);
  const boxes = (size) => split({ x: 0, y: 0, ...size }, 2, 8, true)
    .flatMap((line) => split(below(line, 34), 2, 12))
    .map((part) => {
      const side = Math.min(part.width - LABELS_PX, part.height - 4);
      return { x: part.x + LABELS_PX, y: part.y, width: side, height: side };
    });
  return {
    draw(ctx, size, colours) {
      const all = matrices();
      boxes(size).forEach((box, n) => {
        if (n % 2 === 0) drawWords(ctx, words(`sentence.${WAYS[n / 2]}`), 0, box.y - 34, colours, { bold: true, width: size.width });
        drawWords(ctx, words(n % 2 ? 'sentence.restored' : 'sentence.written'), box.x, box.y - 17, colours, { width: box.width, quiet: true });
        if (covered() && n % 2) drawCover(ctx, box, colours);
        else drawMap(ctx, all[n].flat(), [count(), count()], box, { low: 0, high: Math.max(...all[n - (n % 2)].flat()) });
        shown().tokens.forEach((token, i) => {
          const step = box.height / count();
          const small = { ...colours, font: colours.font.replace(/^[\d.]+px/, `${Math.min(12, step).toFixed(1)}px`) };
          drawWords(ctx, token, box.x - 6, box.y + (i + 0.5) * step - Math.min(12, step) / 2, small, { align: 'right' });
        });
      });
    },
    items: () => 4 * count() ** 2,
    columns: () => count(),
    hit(x, y, size) {
      for (const [n, box] of boxes(size).entries()) {
        const cell = cellAt(box, count(), count(), x, y);
        if (cell) return n * count() ** 2 + cell[0] * count() + cell[1];
      }
      return null;
    },
    place(item, size) {
      const at = item % count() ** 2;
      return frameOf(boxes(size)[Math.floor(item / count() ** 2)], count(), count(), [Math.floor(at / count()), at % count()]);
    },
    describe(item) {
      const at = item % count() ** 2;
      const [i, j] = [Math.floor(at / count()), at % count()];
      const value = matrices()[Math.floor(item / count() ** 2)][i][j];
      return words('tip.sentence', { query: shown().tokens[i], key: shown().tokens[j], share: percent(value) });
    },
  };
}
