// Follow one position through the block: each stage as it is computed, with this photograph's numbers; beneath, a gate's
// much shorter way.
import { fixed, readable } from '../../web/numbers.js';
import { decodeRow } from '../../web/rows.js';
import { CHANNELS, drawBars, drawMap, drawPosition, drawWords } from './picture.js';
import { below, fitted, split } from './places.js';

// In the order of the computation; the first seven are the AttnBlock's, the last three a gate's.
export const STAGES = ['input', 'query', 'logits', 'attention', 'gathered', 'added', 'output', 'input', 'gate', 'gated'];
const MAPS = new Set(['logits', 'attention']);
const MAPS_ROW = 1; // of two columns

export function pixel({ data, lamp, words }) {
  const grid = () => [data.photograph.rows, data.photograph.cols];
  const which = () => data.nearestQuery(data.cell);
  // Vectors of C numbers lie in one array, a row a stage of a query.
  const vector = (stage) => (stage === 'gate' ? data.array('gates_se')
    : decodeRow(data.arrays, 'pixel', which() * data.facts.pixel.length + data.facts.pixel.indexOf(stage)));
  const values = (stage) => {
    if (stage === 'logits') return decodeRow(data.arrays, 'pixel_logits', which());
    return stage === 'attention' ? data.mapOf(data.queries[which()]) : vector(stage);
  };
  // On a narrow screen two columns: name and shape in one line, and the maps' row as high as it can be.
  function boxes(size) {
    const narrow = size.width < 560;
    const head = narrow ? 17 : 34;
    const [columns, rows, gap] = narrow ? [2, 5, 6] : [4, 3, 10];
    const high = size.height - gap * (rows - 1);
    const heights = Array.from({ length: rows }, (_, row) => (!narrow ? high / rows : row === MAPS_ROW ? high * 0.36 : (high * 0.64) / (rows - 1)));
    const cells = heights.flatMap((height, row) => {
      const y = heights.slice(0, row).reduce((sum, one) => sum + one + gap, 0);
      return split({ x: 0, y, width: size.width, height }, columns, 14);
    });
    // Seven of the block, then the gate's three on a line of their own.
    const order = narrow ? [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] : [0, 1, 2, 3, 4, 5, 6, 8, 9, 10];
    return order.map((at, n) => {
      const inner = below(cells[at], head);
      const box = MAPS.has(STAGES[n]) ? fitted(data.photograph.aspect, inner) : inner;
      return { ...box, narrow, head, top: cells[at].y, left: inner.x, wide: inner.width };
    });
  }
  return {
    draw(ctx, size, colours) {
      const places = boxes(size);
      STAGES.forEach((stage, n) => {
        const box = places[n];
        const shape = `1 × ${fixed(MAPS.has(stage) ? data.positions : data.channels)}`;
        drawWords(ctx, words(`stage.${stage}`), box.left, box.top + 1, colours, { bold: true, width: box.narrow ? box.wide * 0.66 : box.wide });
        if (box.narrow) drawWords(ctx, shape, box.left + box.wide, box.top + 1, colours, { quiet: true, width: box.wide * 0.32, align: 'right' });
        else drawWords(ctx, shape, box.left, box.top + 17, colours, { quiet: true, width: box.wide });
        if (stage === 'attention') lamp.light(ctx, data.photograph, values(stage), box);
        else if (stage === 'logits') {
          const logits = values(stage);
          drawMap(ctx, logits, grid(), box, { low: Math.min(...logits), high: Math.max(...logits), table: 'magma' });
        } else drawBars(ctx, Array.from(values(stage)), box, colours, n > 6 ? { colour: CHANNELS } : {});
        if (MAPS.has(stage)) drawPosition(ctx, box, grid(), data.queries[which()]);
      });
    },
    items: () => STAGES.length,
    hit(x, y, size) {
      const at = boxes(size).findIndex((box) => x >= box.left && x < box.left + box.wide && y >= box.top && y < box.y + box.height);
      return at < 0 ? null : at;
    },
    place: (item, size) => {
      const box = boxes(size)[item];
      return [box.x, box.y, box.width, box.height];
    },
    describe(item) {
      const stage = STAGES[item];
      const all = values(stage);
      const peak = all.reduce((best, value, i) => (Math.abs(value) > Math.abs(all[best]) ? i : best), 0);
      const text = words(`stage.${stage}.note`, { n: data.positions, c: data.channels });
      if (!MAPS.has(stage)) return `${text} ${words('tip.vector', { channel: peak, value: readable(all[peak]) })}`;
      const [row, col] = data.cellOf(peak);
      return `${text} ${words('tip.map', { row, col, value: readable(all[peak]) })}`;
    },
  };
}
