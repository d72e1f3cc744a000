// Follow one position through the block: each stage as it is computed, with this photograph's numbers; beneath, a gate's
// much shorter way.
import { fixed, readable } from '../../web/numbers.js';
import { decodeRow } from '../../web/rows.js';
import { CHANNELS, drawBars, drawMap, drawPosition, drawWords } from './picture.js';
import { below, fitted, split } from './places.js';

// In the order of the computation; the first seven are the AttnBlock's, the last three a gate's.
export const STAGES = ['input', 'query', 'logits', 'attention', 'gathered', 'added', 'output', 'input', 'gate', 'gated'];
const MAPS = new Set(['logits', 'attention']);

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
  function boxes(size) {
    const columns = size.width < 560 ? 2 : 4;
    const rows = columns === 2 ? 5 : 3;
    const cells = split({ x: 0, y: 0, ...size }, rows, 10, true).flatMap((line) => split(line, columns, 14));
    // Seven of the block, then the gate's three on a line of their own.
    const order = columns === 2 ? [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] : [0, 1, 2, 3, 4, 5, 6, 8, 9, 10];
    return order.map((at, n) => {
      const inner = below(cells[at], 34);
      const box = MAPS.has(STAGES[n]) ? fitted(data.photograph.aspect, inner) : inner;
      return { ...box, left: inner.x, wide: inner.width };
    });
  }
  return {
    draw(ctx, size, colours) {
      const places = boxes(size);
      STAGES.forEach((stage, n) => {
        const box = places[n];
        const top = box.y - 34;
        drawWords(ctx, words(`stage.${stage}`), box.left, top + 1, colours, { bold: true, width: box.wide });
        drawWords(ctx, `1 × ${fixed(MAPS.has(stage) ? data.positions : data.channels)}`, box.left, top + 17, colours, { quiet: true, width: box.wide });
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
      const at = boxes(size).findIndex((box) => x >= box.left && x < box.left + box.wide && y >= box.y - 34 && y < box.y + box.height);
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
